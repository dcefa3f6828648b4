// SPDX-License-Identifier: Apache-2.0
/**
 * What must be refused: each document with `~` before the place that is wrong. The issue must name the path, that line and
 * column, the value, and a fix; nothing of the document may be used.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDocuments } from '../src/index.ts';
import { cnp } from './invalid-cases.ts';
import { ABOVE_CASES } from './invalid-cases-above.ts';
import { CILIUM_CASES } from './invalid-cases-cilium.ts';
import { KUBERNETES_CASES } from './invalid-cases-kubernetes.ts';
import { TIER_CASES } from './invalid-cases-tiers.ts';

for (const [name, marked, path, message, fix] of [
  ...KUBERNETES_CASES,
  ...CILIUM_CASES,
  ...ABOVE_CASES,
  ...TIER_CASES,
]) {
  test(`refused: ${name}`, () => {
    const at = marked.indexOf('~');
    assert.ok(at >= 0, 'the case marks a place');
    const text = marked.slice(0, at) + marked.slice(at + 1);
    const before = marked.slice(0, at).split('\n');
    const { documents, issues } = parseDocuments(text);
    const found = issues.find((issue) => issue.path === path && issue.message === message);
    assert.ok(found, `no such issue: ${path}: ${message}\nbut: ${JSON.stringify(issues, null, 1)}`);
    assert.deepEqual(documents, [], 'nothing of it may be used');
    assert.deepEqual([found.line, found.column], [before.length, (before.at(-1) ?? '').length + 1], 'line and column');
    assert.ok(found.fix, 'a fix');
    if (fix) assert.equal(found.fix, fix);
  });
}

test('the same document twice', () => {
  const text = `${cnp('ingress: [{}]')}---\n${cnp('egress: [{}]')}`;
  const { issues } = parseDocuments(text, { filename: 'a.yaml' });
  assert.equal(issues.length, 1);
  assert.equal(issues[0]?.message, 'document 2 has the same kind, namespace and name as document 1');
  assert.equal(issues[0]?.line, 9);
});

test('issues name their document', () => {
  const text = `${cnp('ingress: [{}]')}---\n${cnp('ingress: [{a: 1}]').replace('name: p', 'name: q')}---\nkind: Pod\n`;
  const { issues, documents } = parseDocuments(text, { filename: 'a.yaml' });
  assert.deepEqual(
    issues.map(({ document }) => document),
    ['CiliumNetworkPolicy/default/q', 'a.yaml document 3'],
  );
  assert.deepEqual(
    documents.map(({ key }) => key),
    ['CiliumNetworkPolicy/default/p'],
    'documents without an issue are there for whoever wants them',
  );
});

test('JSON has positions too', () => {
  const text = JSON.stringify(
    {
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNetworkPolicy',
      metadata: { name: 'p' },
      spec: { endpointSelector: {}, ingress: [{ from: 1 }] },
    },
    null,
    2,
  );
  const { issues } = parseDocuments(text);
  assert.deepEqual(
    issues.map(({ path, line, column }) => [path, line, column]),
    [['spec.ingress[0].from', 11, 9]],
  );
});

test('no more than 100 issues are kept', () => {
  const text = cnp(`ingress: [${'{x: 1}, '.repeat(500)}]`);
  assert.equal(parseDocuments(text).issues.length, 100);
});
