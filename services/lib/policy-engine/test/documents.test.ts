// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { lint, listRules, parseDocument, parseDocuments, selects } from '../src/index.ts';
import { policies } from '../testing/arbitrary-tiers.ts';
import { parseOk } from './fleet.ts';

const EXPORTED = `apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    name: web
    namespace: prod
    uid: 5b0a0c8e
    resourceVersion: "12"
    generation: 3
    creationTimestamp: 2025-01-01T00:00:00Z
    labels: {team: a}
    annotations: {note: "any text: 1"}
    managedFields: [{manager: x, fieldsV1: {"f:spec": {}}}]
    ownerReferences: [{kind: Y}]
  spec:
    podSelector: {}
  status: {conditions: []}
- apiVersion: cilium.io/v2
  kind: CiliumNetworkPolicy
  metadata: {name: web}
  specs:
  - endpointSelector: {}
    description: front door
    labels: [{key: a, value: b, source: k8s}]
    ingress: [{}, {fromEntities: [world]}]
    egressDeny: [{toEntities: [host]}]
  - endpointSelector: {}
    enableDefaultDeny: {egress: false}
    egress: [{}]
- apiVersion: cilium.io/v2
  kind: CiliumClusterwideNetworkPolicy
  metadata: {name: web.all}
  spec: {endpointSelector: {}, ingress: [{}]}
`;

test('an exported list: keys, and only what the author wrote', () => {
  const documents = parseOk(EXPORTED);
  assert.deepEqual(
    documents.map(({ key }) => key),
    ['NetworkPolicy/prod/web', 'CiliumNetworkPolicy/default/web', 'CiliumClusterwideNetworkPolicy/-/web.all'],
  );
  assert.deepEqual(documents[0]?.json, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'web', namespace: 'prod', labels: { team: 'a' }, annotations: { note: 'any text: 1' } },
    spec: { podSelector: {} },
  });
  assert.equal(documents[1]?.json.metadata.namespace, 'default', 'the default is written down');
});

test('issues inside a list have the path of the element', () => {
  const { issues } = parseDocuments(EXPORTED.replace('fromEntities: [world]', 'fromEntities: [word]'));
  assert.deepEqual(
    issues.map(({ path, line, document }) => [path, line, document]),
    [['items[1].specs[0].ingress[1].fromEntities[0]', 28, 'CiliumNetworkPolicy/default/web']],
  );
});

test('rules, with the default denials they cause, in a stable order with their lines', () => {
  const [first, second] = parseOk(EXPORTED);
  assert.ok(first && second);
  assert.deepEqual(listRules(first), [
    { path: 'spec.defaultDeny.ingress', direction: 'ingress', action: 'deny', line: 18, column: 3 },
  ]);
  assert.deepEqual(
    listRules(second).map(({ path, direction, action, line, description }) =>
      `${line} ${path} ${direction} ${action} ${description ?? ''}`.trim(),
    ),
    [
      '28 specs[0].ingress[0] ingress allow front door',
      '28 specs[0].ingress[1] ingress allow front door',
      '29 specs[0].egressDeny[0] egress deny front door',
      '25 specs[0].defaultDeny.ingress ingress deny front door',
      '25 specs[0].defaultDeny.egress egress deny front door',
      '32 specs[1].egress[0] egress allow',
    ],
  );
});

test('text, JSON and the normalised document mean the same', () => {
  fc.assert(
    fc.property(policies, (docs) => {
      for (const json of docs) {
        const a = parseDocument(json);
        const [b] = parseOk(JSON.stringify(json));
        const [c] = parseOk(`# YAML\n${JSON.stringify(json, null, 1)}`);
        assert.ok(b && c);
        const plain = (value: unknown) =>
          JSON.parse(JSON.stringify(value, (key, part) => (key === 'position' ? undefined : part)));
        assert.deepEqual(plain(b.specs), plain(a.specs));
        assert.deepEqual(plain(c.specs), plain(a.specs));
        assert.deepEqual(plain(parseDocument(a.json).specs), plain(a.specs));
        assert.deepEqual(c.json, a.json);
        const [printed] = parseOk(stringify(a.json));
        assert.ok(printed);
        assert.deepEqual(
          plain({ ...printed, warnings: [] }),
          plain({ ...a, warnings: [] }),
          'prints back to an equal one',
        );
      }
    }),
    { numRuns: 300 },
  );
});

test('aliases are allowed where they are small', () => {
  const [doc] = parseOk(
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: &web {matchLabels: {app: web}}\n  ingress:\n  - from: [{podSelector: *web}]\n',
  );
  assert.deepEqual(doc?.json.spec, {
    podSelector: { matchLabels: { app: 'web' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
  });
});

const WARN = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: w, namespace: x}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress:
  - {}
  - fromEndpoints: [{matchLabels: {app: ghost}}]
    toPorts: [{}]
  - fromCIDR: [10.0.0.1/8, 10.0.0.1]
`;

test('warnings: what is valid but may not be meant', () => {
  const [doc] = parseOk(WARN);
  assert.ok(doc);
  const show = (identities?: ReadonlyMap<number, readonly string[]>) =>
    lint(doc, { identities }).map(({ code, path, line, column }) => `${code} ${path} ${line}:${column}`);
  assert.deepEqual(show(), [
    'allows-everything spec.ingress[0] 7:5',
    'no-ports spec.ingress[1].toPorts[0] 9:15',
    'cidr-host-bits spec.ingress[2].fromCIDR[0] 10:16',
  ]);
  assert.deepEqual(show(new Map()).slice(3), [
    'selects-nothing spec 4:1',
    'peer-selects-nothing spec.ingress[1].fromEndpoints[0] 8:5',
  ]);
  const web = ['k8s:app=web', 'k8s:io.kubernetes.pod.namespace=x'];
  const ghost = ['k8s:app=ghost', 'k8s:io.kubernetes.pod.namespace=x'];
  assert.deepEqual(
    show(
      new Map([
        [300, web],
        [301, ghost],
      ]),
    ).slice(3),
    [],
  );
  assert.equal(selects(doc, web), true);
  assert.equal(selects(doc, ghost), false);
});

test('a section that policyTypes leaves out is pointed at', () => {
  const { documents } = parseDocuments(
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: {}\n  policyTypes: [Ingress]\n  egress: [{}]\n',
  );
  assert.deepEqual(documents[0]?.warnings, [
    {
      code: 'section-ignored',
      message: 'egress rules are ignored, because policyTypes does not name Egress',
      path: 'spec.egress',
      fix: 'add Egress to policyTypes',
      line: 7,
      column: 3,
    },
  ]);
});
