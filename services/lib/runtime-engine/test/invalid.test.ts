// SPDX-License-Identifier: Apache-2.0
/** What is refused: each document with `~` before the place that is wrong; the issue names path, line, column, and a fix. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRuntimePolicies } from '../src/index.ts';
import { policy } from './cases.ts';
import { CALL_CASES } from './invalid-cases-calls.ts';
import { OTHER_CASES } from './invalid-cases-rest.ts';

for (const [name, marked, path, message] of [...CALL_CASES, ...OTHER_CASES]) {
  test(`refused: ${name}`, () => {
    const at = marked.indexOf('~');
    assert.ok(at >= 0, 'the case marks a place');
    const before = marked.slice(0, at).split('\n');
    const { documents, issues } = parseRuntimePolicies(marked.slice(0, at) + marked.slice(at + 1));
    const found = issues.find((issue) => issue.path === path && (message === '' || issue.message === message));
    assert.ok(found, `no such issue: ${path}: ${message}\nbut: ${JSON.stringify(issues, null, 1)}`);
    assert.deepEqual(documents, [], 'nothing of it may be used');
    assert.deepEqual([found.line, found.column], [before.length, (before.at(-1) ?? '').length + 1], 'line and column');
    assert.ok(found.fix, 'a fix');
  });
}

test('what is wrong in a macro is told once', () => {
  const text = policy(
    'selectorsMacros: {a: {matchPIDs: [{operator: Out, values: [1]}]}}\nkprobes: [{call: f, selectors: [{macros: [a]}, {macros: [a]}]}]',
  );
  assert.equal(parseRuntimePolicies(text).issues.length, 1);
});

test('hostile texts end soon', () => {
  const many = policy(`kprobes: [${'{call: f, selectors: [{matchPIDs: [{operator: X}]}]}, '.repeat(2000)}]`);
  assert.ok(parseRuntimePolicies(many).issues.length <= 100);
  assert.throws(() => parseRuntimePolicies('a'.repeat((1 << 20) + 1)), { code: 'TOO_LARGE' });
  for (const text of [
    '',
    '[]',
    'spec',
    'kind: TracingPolicy',
    `${policy('kprobes: 1')}---\n[`,
    policy('kprobes: [null]'),
  ]) {
    const { documents, issues } = parseRuntimePolicies(text);
    assert.deepEqual(documents, []);
    assert.ok(issues.length > 0, text);
  }
});
