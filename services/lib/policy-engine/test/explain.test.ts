// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Endpoint, explain, icmpPort } from '../src/index.ts';
import { parseOk } from './fleet.ts';

const TEXT = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: prod}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: api}}
    ports: [{port: sql}]
  - from: [{ipBlock: {cidr: 10.9.0.0/16}}]
---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: fence}
spec:
  description: nothing leaves the fleet
  endpointSelector: {}
  enableDefaultDeny: {egress: false}
  egressDeny:
  - toEntities: [world]
`;
const policies = parseOk(TEXT).map((doc, at) => ({
  doc,
  ruleIds: new Map(at === 0 ? [['spec.ingress[0]', 71]] : []),
}));
const pod = (app: string, more: Partial<Endpoint> = {}): Endpoint => ({
  name: app,
  labels: [`k8s:app=${app}`, 'k8s:io.kubernetes.pod.namespace=prod'],
  ...more,
});
const db = pod('db', { namedPorts: [{ name: 'sql', port: 5432, protocol: 6 }] });

const CASES: readonly [Endpoint, Endpoint, number, number, string][] = [
  [
    pod('api'),
    db,
    6,
    5432,
    `api -> db TCP/5432: allowed
egress of api: allowed, because no policy restricts its egress
ingress of db: allowed by spec.ingress[0] of NetworkPolicy/prod/db, line 7`,
  ],
  [
    pod('web'),
    db,
    6,
    5432,
    `web -> db TCP/5432: refused
egress of web: allowed, because no policy restricts its egress
ingress of db: refused, because no rule allows it; default deny by spec.defaultDeny.ingress of NetworkPolicy/prod/db, line 4`,
  ],
  [
    pod('web', { ip: '10.9.1.1' }),
    db,
    1,
    icmpPort(8),
    `web -> db ICMP type 8: allowed
egress of web: allowed, because no policy restricts its egress
ingress of db: allowed by spec.ingress[1] of NetworkPolicy/prod/db, line 10`,
  ],
  [
    pod('api'),
    { ip: '192.0.2.1' },
    17,
    53,
    `api -> 192.0.2.1 UDP/53: refused
egress of api: denied by spec.egressDeny[0] of CiliumClusterwideNetworkPolicy/-/fence, line 20 (nothing leaves the fleet)
ingress of 192.0.2.1: not asked, it is no workload`,
  ],
  [
    { identity: 1, name: 'host' },
    db,
    6,
    22,
    `host -> db TCP/22: allowed
egress of host: not asked, it is no workload
ingress of db: allowed, because the host may always reach its own workloads`,
  ],
  [
    { identity: 777 },
    pod('api'),
    6,
    22,
    `identity 777 -> api TCP/22: refused
egress of identity 777: refused, because its identity 777 has no labels
ingress of api: allowed, because no policy restricts its ingress`,
  ],
];

for (const [from, to, protocol, port, text] of CASES) {
  test(`explain: ${text.slice(0, text.indexOf('\n'))}`, () => {
    assert.equal(explain({ policies, from, to, protocol, port }).text, text);
  });
}

test('the deciding rule as data, with its number when it has one', () => {
  const { verdict, ingress } = explain({ policies, from: pod('api'), to: db, protocol: 6, port: 5432 });
  assert.equal(verdict, 'allow');
  assert.deepEqual(ingress.rule, {
    id: 71,
    policy: 'NetworkPolicy/prod/db',
    path: 'spec.ingress[0]',
    direction: 'ingress',
    action: 'allow',
    line: 7,
    column: 5,
  });
  assert.equal(ingress.matchType, 'L3-L4');
});

const TIERED = `apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  ingress:
  - {name: monitoring may look, action: Accept, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: mon}}}}]}
  - {action: Pass, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 80}}}]}
  - {action: Deny, from: [{namespaces: {}}]}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: shut, namespace: prod, annotations: {weir.io/mode: audit}}
spec:
  endpointSelector: {matchLabels: {app: db}}
  ingress: [{fromEndpoints: [{matchLabels: {app: api}}]}]
---
apiVersion: weir.io/v1
kind: FirewallPolicy
metadata: {name: soon, namespace: prod}
spec:
  mode: staged
  stages: CiliumNetworkPolicy/prod/shut
  endpointSelector: {matchLabels: {app: db}}
  ingress: [{action: Allow, fromEndpoints: [{matchLabels: {app: web}}]}]
`;
const tiered = parseOk(TIERED).map((doc) => ({ doc, ruleIds: new Map<string, number>() }));

test('each rule that fits or nearly does, tier by tier, with its line', () => {
  const { ingress } = explain({ policies: tiered, from: pod('web'), to: db, protocol: 6, port: 22 });
  assert.deepEqual([ingress.verdict, ingress.tier, ingress.rule?.line], ['deny', 'Admin', 11]);
  assert.deepEqual(
    ingress.considered.map(({ tier, policy, path, fits, decided, line }) => [tier, policy, path, fits, decided, line]),
    [
      ['Admin', 'ClusterNetworkPolicy/-/guard', 'spec.ingress[0]', 'port', false, 9],
      ['Admin', 'ClusterNetworkPolicy/-/guard', 'spec.ingress[1]', 'peer', false, 10],
      ['Admin', 'ClusterNetworkPolicy/-/guard', 'spec.ingress[2]', 'whole', true, 11],
      ['Normal', 'CiliumNetworkPolicy/prod/shut', 'spec.ingress[0]', 'port', false, 18],
      ['Normal', 'FirewallPolicy/prod/soon', 'spec.ingress[0]', 'whole', false, 27],
    ],
  );
});

test('what policies in audit would refuse, and what staged ones would change', () => {
  const web = explain({ policies: tiered, from: pod('web'), to: db, protocol: 6, port: 80 });
  assert.equal(web.verdict, 'allow');
  assert.equal(
    web.ingress.text,
    `ingress of db: allowed, because no policy restricts its ingress
if audited policies were enforced: ingress of db: refused, because no rule allows it; default deny by spec.defaultDeny.ingress of CiliumNetworkPolicy/prod/shut, line 16`,
  );
  assert.equal(web.ingress.audited?.verdict, 'deny');
  assert.equal(web.ingress.pending, undefined);
  const api = explain({ policies: tiered, from: pod('api'), to: db, protocol: 6, port: 80 });
  assert.deepEqual(
    [api.ingress.verdict, api.ingress.audited, api.ingress.pending?.verdict],
    ['allow', undefined, 'deny'],
  );
  assert.equal(api.ingress.pending?.rule?.policy, 'FirewallPolicy/prod/soon');
  const mon = explain({ policies: tiered, from: pod('mon'), to: db, protocol: 6, port: 22 });
  assert.equal(
    mon.ingress.text,
    'ingress of db: allowed by spec.ingress[0] of ClusterNetworkPolicy/-/guard, line 9 (monitoring may look)',
  );
});
