// SPDX-License-Identifier: Apache-2.0
/** CiliumEgressGatewayPolicy: taken out of a text, made into what inventory takes, refused with its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDocuments, splitEgressGateways } from '../src/index.ts';

const GATEWAY = `apiVersion: cilium.io/v2
kind: CiliumEgressGatewayPolicy
metadata:
  name: out
spec:
  selectors:
    - podSelector:
        matchLabels: { org: empire, io.kubernetes.pod.namespace: default }
        matchExpressions: [ { key: tier, operator: NotIn, values: [ a, b ] }, { key: old, operator: DoesNotExist } ]
      namespaceSelector: { matchLabels: { team: blue } }
      nodeSelector: { matchLabels: { rack: r1 } }
    - {}
  destinationCIDRs: [ 0.0.0.0/0, "::/0" ]
  excludedCIDRs: [ 10.0.0.0/8 ]
  egressGateways:
    - { nodeSelector: { matchLabels: { zone: edge } }, egressIP: 192.0.2.7 }
    - { nodeSelector: {}, interface: eth1 }
`;
const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web, namespace: shop }
spec: { podSelector: {} }
`;

test('becomes an egress gateway, and the rest keeps its lines', () => {
  const { rest, found: gateways, issues } = splitEgressGateways(`# first\n---\n${GATEWAY}---\n${POLICY}`);
  assert.deepEqual(issues, []);
  const [gateway] = gateways;
  assert.deepEqual(gateway, {
    name: 'out',
    position: { line: 3, column: 1 },
    body: {
      workloads: [
        {
          match_labels: {
            org: 'empire',
            'io.kubernetes.pod.namespace': 'default',
            'io.cilium.k8s.namespace.labels.team': 'blue',
          },
          match_expressions: [
            { key: 'tier', operator: 'NotIn', values: ['a', 'b'] },
            { key: 'old', operator: 'DoesNotExist' },
          ],
          hosts: { match_labels: { rack: 'r1' } },
        },
        {},
      ],
      destination_cidrs: ['0.0.0.0/0', '::/0'],
      excluded_cidrs: ['10.0.0.0/8'],
      gateways: [
        { hosts: { match_labels: { zone: 'edge' } }, egress_ip: '192.0.2.7' },
        { hosts: {}, interface: 'eth1' },
      ],
    },
  });
  const { documents } = parseDocuments(rest);
  assert.deepEqual(
    documents.map(({ key, position }) => [key, position?.line]),
    [['NetworkPolicy/shop/web', 3 + GATEWAY.split('\n').length]],
  );
});

test('a text of gateways alone leaves nothing; one without any is as it was', () => {
  assert.equal(splitEgressGateways(`---\n# only\n${GATEWAY}---\n${GATEWAY.replace('out', 'two')}`).rest, '');
  assert.deepEqual(splitEgressGateways(POLICY), { rest: POLICY, found: [], issues: [] });
  const mentions = `# not a CiliumEgressGatewayPolicy\n${POLICY}`;
  assert.equal(splitEgressGateways(mentions).rest, mentions);
});

test('JSON and lists', () => {
  const body = {
    selectors: [{}],
    destinationCIDRs: ['0.0.0.0/0'],
    egressGateway: { nodeSelector: {}, interface: 'a' },
  };
  const one = { apiVersion: 'cilium.io/v2', kind: 'CiliumEgressGatewayPolicy', metadata: { name: 'j' }, spec: body };
  assert.equal(splitEgressGateways(JSON.stringify(one, null, 2)).found[0]?.name, 'j');
  const items = [one, { ...one, metadata: { name: 'k', uid: 'x' }, status: {} }];
  const list = splitEgressGateways(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
  assert.deepEqual([list.rest, list.found.map(({ name }) => name)], ['', ['j', 'k']]);
  const mixed = splitEgressGateways(JSON.stringify({ kind: 'List', items: [one, { kind: 'NetworkPolicy' }] }));
  assert.match(mixed.issues[0]?.fix ?? '', /list of its own/);
});

for (const [what, from, to, wanted] of [
  ['an unknown field', 'excludedCIDRs', 'excludedCIDR', [14, 3, 'spec.excludedCIDR', 'did you mean "excludedCIDRs"?']],
  ['a wrong label of nodes', 'rack: r1', 'rack: r/1', [11, 44, 'spec.selectors[0].nodeSelector.matchLabels.rack', '']],
  ['a namespace', 'name: out', 'name: out\n  namespace: x', [5, 3, 'metadata.namespace', 'remove namespace']],
  ['a wrong label', 'org: empire', 'org: em/pire', [8, 29, 'spec.selectors[0].podSelector.matchLabels.org', '']],
  ['another version', 'cilium.io/v2', 'cilium.io/v1', [1, 13, 'apiVersion', 'write cilium.io/v2']],
  ['no destination', 'destinationCIDRs', 'excludedCIDRs', [14, 3, 'spec.excludedCIDRs', '']],
] as const) {
  test(`refused: ${what}`, () => {
    const { issues, found: gateways } = splitEgressGateways(`${GATEWAY.replace(from, to)}`);
    const [line, column, path, fix] = wanted;
    const issue = issues.find((one) => one.path === path);
    assert.deepEqual([issue?.line, issue?.column, gateways.length], [line, column, 0], JSON.stringify(issues));
    assert.ok(issue?.fix?.startsWith(fix), issue?.fix);
  });
}

test('the policy service says who takes it', () => {
  const { issues } = parseDocuments(GATEWAY);
  assert.match(issues[0]?.fix ?? '', /PUT \/v1\/egress-gateways/);
});
