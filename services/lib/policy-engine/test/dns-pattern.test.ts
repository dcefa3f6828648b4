// SPDX-License-Identifier: Apache-2.0
/** Names and patterns of DNS rules; most rows of patterns are in e2e/conformance/cases/dns-patterns.json. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readDnsName, readDnsPattern } from '../src/index.ts';

const matches = (pattern: string, name: string): boolean => readDnsPattern(pattern).matcher?.matches(name) ?? false;

/** The meaning as a regular expression, which is what the reader must not need: some patterns make it slow. */
const asRegExp = (pattern: string): RegExp => {
  const text = pattern.toLowerCase().replace(/\.$/, '');
  if (/^\*+$/.test(text)) return /^([-a-z0-9_]+(\.[-a-z0-9_]+)*)?$/;
  const depth = /^\*{2,}\./.exec(text);
  const rest = (depth ? text.slice(depth[0].length) : text).replaceAll('.', '[.]').replaceAll(/\*+/g, '[-a-z0-9_]*');
  return new RegExp(`^${depth ? '[-a-z0-9_]+([.][-a-z0-9_]+)*[.]' : ''}${rest}$`);
};

test('patterns mean what they mean as regular expressions', () => {
  const label = fc.array(fc.constantFrom('a', 'b', '*', '**', '-'), { minLength: 1, maxLength: 4 });
  const pattern = fc
    .array(label, { minLength: 1, maxLength: 3 })
    .map((all) => all.map((one) => one.join('')).join('.'));
  const name = fc.array(fc.array(fc.constantFrom('a', 'b', '-'), { minLength: 1, maxLength: 4 }), { maxLength: 4 });
  let matched = 0;
  const check = fc.property(pattern, fc.array(name, { minLength: 20, maxLength: 20 }), (text, names) => {
    for (const labels of names) {
      const asked = labels.map((one) => one.join('')).join('.');
      const wanted = asRegExp(text).test(asked);
      if (wanted) matched++;
      assert.equal(matches(text, asked), wanted, `${text} of ${asked}`);
      assert.equal(matches(`${text.toUpperCase()}.`, `${asked}.`), wanted, `${text} of ${asked}, with dots`);
    }
  });
  fc.assert(check, { numRuns: 2000 });
  assert.ok(matched > 1000, `only ${matched} matched`);
});

test('a hostile pattern is done at once (backtracking would take longer than anybody waits)', () => {
  const pattern = `${'*a'.repeat(100)}*b.example.com`;
  const name = `${'a'.repeat(200)}.example.com`;
  for (let i = 0; i < 1000; i++) assert.equal(matches(pattern, name), false);
});

test('matchName is one name, in any case, with or without the last dot', () => {
  const { matcher } = readDnsName('WWW.Example.com.');
  assert.equal(matcher?.text, 'www.example.com');
  for (const name of ['www.example.com', 'www.example.com.', 'WWW.EXAMPLE.COM'])
    assert.ok(matcher?.matches(name), name);
  for (const name of ['example.com', 'a.www.example.com', 'www.example.com..', '']) {
    assert.equal(matcher?.matches(name), false, name);
  }
});

test('what is no name or pattern is refused with a fix', () => {
  const long = `${'a'.repeat(252)}.com`;
  for (const text of ['', '.', 'a..b', '.a', 'a b', 'ä.com', 'a,b', 'a[0-9].com', 'a/b', long]) {
    for (const read of [readDnsName, readDnsPattern]) {
      const { message, fix } = read(text) as { message?: string; fix?: string };
      assert.ok(message && fix, `${JSON.stringify(text)} was taken`);
    }
  }
  assert.match(readDnsName('*.example.com').message ?? '', /not allowed/);
});
