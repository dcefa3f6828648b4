// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import fc from 'fast-check';
import { escapeUntrusted, formatMac, PROTOCOLS, parseMac, protocolName, protocolNumber } from '../src/index.ts';

test('protocols by name, in any case, and by number', () => {
  assert.equal(protocolNumber('tcp'), 6);
  assert.equal(protocolNumber('ICMPv6'), 58);
  assert.equal(protocolNumber('89'), 89);
  assert.equal(protocolName(132), 'SCTP');
  assert.equal(protocolName(89), '89');
  for (const [name, number] of Object.entries(PROTOCOLS))
    assert.equal(protocolNumber(protocolName(number)), protocolNumber(name));
});

for (const text of ['', 'TPC', '256', '-1', '1.5', '__proto__', 'constructor']) {
  test(`${JSON.stringify(text)} is no protocol`, () => {
    assert.throws(
      () => protocolNumber(text),
      (error) => isWeirError(error) && error.facts.field === 'protocol',
    );
  });
}

test('MAC addresses both ways', () => {
  assert.equal(formatMac(parseMac('02-42-AC-11-00-02')), '02:42:ac:11:00:02');
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) =>
      assert.deepEqual([...parseMac(formatMac(bytes))], [...bytes]),
    ),
  );
  for (const text of ['', '02:42:ac:11:00', '02:42-ac:11:00:02', '0242ac110002', '02:42:ac:11:00:0g']) {
    assert.throws(
      () => parseMac(text),
      (error) => isWeirError(error) && error.facts.field === 'mac',
    );
  }
});

test('what could drive a terminal is shown, not obeyed', () => {
  assert.equal(escapeUntrusted('a\u001b[31mred\u0007'), 'a\\x1b[31mred\\x07');
  assert.equal(escapeUntrusted('two\nlines\ttab\r'), 'two\\nlines\\ttab\\r');
  assert.equal(escapeUntrusted('\u009b2J\u202egnp.exe\u200b'), '\\x9b2J\\u202egnp.exe\\u200b');
  assert.equal(escapeUntrusted('\ud800 \u{e0041}'), '\\ud800 \\u{e0041}');
  assert.equal(escapeUntrusted('zażółć 日本 🦦'), 'zażółć 日本 🦦');
  assert.equal(escapeUntrusted('abcdefgh', 4), 'abc…');
});

test('escaped text never holds a control character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
      assert.doesNotMatch(escapeUntrusted(text), /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/);
    }),
    { numRuns: 2000 },
  );
});
