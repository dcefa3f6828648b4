// SPDX-License-Identifier: Apache-2.0
/** Hostile texts: refused quickly, by name, and without changing anything but the answer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import { parseDocument, parseDocuments } from '../src/index.ts';

const MB = 1 << 20;
const fill = (text: string, length = MB): string => text.repeat(Math.floor(length / text.length));

/** CPU time, so a busy machine does not matter. Most take a few milliseconds, the slowest 300. */
const QUICK_MS = 1500;
/** A megabyte of tokens that are all legal has to be read up to the limit. */
const FLOOD_MS = 5000;

const LAUGHS = `a: &a [1,1,1,1,1,1,1,1,1,1]\n${[...'bcdefghij'].map((key, at) => `${key}: &${key} [${Array(10).fill(`*${'abcdefghij'[at]}`).join(',')}]`).join('\n')}\n`;
const laughingList = `kind: List\nitems:\n- &a {kind: NetworkPolicy, spec: {ingress: [${fill('{},', 3000)}]}}\n${fill('- *a\n', 100_000)}`;

const BOMBS: readonly [string, string, RegExp, number][] = [
  ['aliases of aliases, 10^9 values in a few lines', LAUGHS, /stands for more than 1000000 values/, QUICK_MS],
  ['one large document 20,000 times', laughingList, /stands for more than/, QUICK_MS],
  ['an alias to itself', 'a: &a {b: *a}', /has no finished anchor/, QUICK_MS],
  ['flow lists in flow lists', fill('['), /nested deeper than 64 levels/, QUICK_MS],
  ['flow maps in flow maps', fill('{a: '), /nested deeper than 64 levels/, QUICK_MS],
  ['block lists in block lists', fill('- '), /nested deeper than 64 levels/, QUICK_MS],
  [
    'block maps in block maps',
    Array.from({ length: 1400 }, (_, at) => `${' '.repeat(at)}a:\n`).join(''),
    /nested deeper/,
    QUICK_MS,
  ],
  ['keys in keys', fill('? '), /nested deeper than 64 levels/, QUICK_MS],
  ['JSON objects in JSON objects', fill('{"a":'), /nested deeper than 64 levels/, QUICK_MS],
  ['a flood of errors', fill(']'), /not valid YAML/, QUICK_MS],
  ['escapes that are none', `"${fill('\\x')}"`.slice(0, MB), /Invalid escape sequence/, QUICK_MS],
  ['a long JSON list', JSON.stringify(Array(180_000).fill(0)), /stands for more than 100000 values/, QUICK_MS],
  ['documents without end', fill('---\n'), /more than 10000 documents/, FLOOD_MS],
  ['one key again and again', fill('k: v\n'), /more than 150000 tokens/, FLOOD_MS],
  ['comments', fill('#\n'), /more than 150000 tokens/, FLOOD_MS],
  ['anchors', fill('&a '), /more than 150000 tokens|not valid YAML/, FLOOD_MS],
];

for (const [name, text, message, boundMs] of BOMBS) {
  test(`bomb: ${name} (${text.length} bytes)`, () => {
    const started = process.cpuUsage();
    const { documents, issues } = parseDocuments(text);
    const { user, system } = process.cpuUsage(started);
    const took = (user + system) / 1000;
    assert.deepEqual(documents, []);
    assert.match(issues[0]?.message ?? '', message);
    assert.ok(took < boundMs, `took ${took.toFixed(0)} ms`);
  });
}

for (const bytes of [MB + 1, 10 * MB]) {
  test(`${bytes} bytes are refused before they are read`, () => {
    const text = `# ${'x'.repeat(bytes - 2)}`;
    const started = process.cpuUsage();
    assert.throws(
      () => parseDocuments(text, { filename: 'big.yaml' }),
      (error) => isWeirError(error) && error.code === 'TOO_LARGE' && error.facts.field === 'big.yaml',
    );
    assert.ok(process.cpuUsage(started).user < 200_000);
  });
}

test('bytes count, not characters', () => {
  assert.throws(
    () => parseDocuments(`# ${'ü'.repeat(MB / 2)}`),
    (error) => isWeirError(error) && error.code === 'TOO_LARGE',
  );
});

test('__proto__ changes no prototype, in YAML, JSON and plain objects', () => {
  const spec = '"spec": {"podSelector": {"matchLabels": {"__proto__": {"polluted": "yes"}}}}';
  const head = '"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "p"}';
  const json = `{${head}, ${spec}}`;
  for (const issues of [parseDocuments(json).issues, parseDocuments(`---\n${json}`).issues]) {
    assert.equal(issues[0]?.message, 'the key "__proto__" is not allowed');
  }
  assert.throws(() => parseDocument(JSON.parse(json)), /__proto__/);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  assert.equal(Object.getPrototypeOf({}), Object.prototype);
});

test('names of Object.prototype are keys like others', () => {
  const text =
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: constructor, labels: {toString: a}}\nspec: {podSelector: {matchLabels: {constructor: a, hasOwnProperty: b}}}';
  assert.deepEqual(parseDocuments(text).issues, []);
  assert.equal(
    parseDocuments(text.replace('spec: {', 'spec: {toString: 1, ')).issues[0]?.message,
    'unknown field "toString"',
  );
});

test('a plain object nested without end is refused', () => {
  const loop: Record<string, unknown> = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' };
  loop.spec = loop;
  assert.throws(() => parseDocument(loop), /nested deeper than 64 levels/);
});

test('no text makes the parser throw', async () => {
  const fc = (await import('fast-check')).default;
  const word = fc.constantFrom(
    ...[
      'apiVersion: networking.k8s.io/v1\n',
      'kind: NetworkPolicy\n',
      'metadata: {name: a}\n',
      'spec:\n',
      '  ingress:\n',
      '- ',
      '{',
      '}',
      '[',
      ']',
    ],
    ...[
      ': ',
      '"',
      "'",
      '\n',
      '\t',
      '&a ',
      '*a',
      '!!str ',
      '|\n',
      '#',
      '---\n',
      '...\n',
      '%YAML 1.1\n',
      '? ',
      '<<: ',
      'null',
      '1e999',
      '\u0000',
      '\ud800',
    ],
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(word, { maxLength: 25 }).map((words) => words.join('')),
        fc.string({ unit: 'binary' }),
      ),
      (text) => {
        const { documents, issues } = parseDocuments(text);
        assert.ok(documents.length > 0 || issues.length > 0);
      },
    ),
    { numRuns: 5000 },
  );
});
