// SPDX-License-Identifier: Apache-2.0
/** API-01: Kubernetes NetworkPolicy, each meaning as a table of verdicts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkTable, createFleet, type FleetSpec } from './fleet.ts';

const FLEET: FleetSpec = {
  namespaces: { x: { team: 'red' }, y: { team: 'blue' } },
  pods: {
    web: { ns: 'x', labels: { app: 'web' }, ip: '10.77.1.11', ports: { http: 'TCP/80', dns: 'UDP/53' } },
    cli: { ns: 'x', labels: { app: 'cli', tier: 'front' }, ip: '10.77.1.12' },
    far: { ns: 'y', labels: { app: 'cli' }, ip: '10.77.2.11', ports: { http: 'TCP/8080' } },
  },
  others: { ext: '192.0.2.10', ext6: '2001:db8::10', host: 1, node: 6 },
};

const policy = (spec: string, ns = 'x'): string =>
  `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: ${ns}}\nspec:\n${spec
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')}\n`;

const CASES: readonly [string, string, string][] = [
  [
    'no rules: all ingress is refused, egress stays open; the host always reaches its own',
    'podSelector: {matchLabels: {app: web}}',
    `cli -> web TCP/80: no
     ext -> web TCP/80: no
     node -> web TCP/80: no
     host -> web TCP/80: yes
     web -> cli TCP/80: yes
     cli -> far TCP/80: yes`,
  ],
  [
    'podSelector {} selects the namespace only',
    'podSelector: {}',
    `far -> web TCP/80: no
     far -> cli TCP/80: no
     cli -> far TCP/80: yes`,
  ],
  [
    'an absent podSelector is an empty one',
    'policyTypes: [Ingress]',
    `far -> cli TCP/80: no
     cli -> far TCP/80: yes`,
  ],
  [
    'an empty rule allows everything of its direction, also what has no ports',
    'podSelector: {}\ningress: [{}]',
    `far -> web TCP/80: yes
     ext -> web SCTP/7: yes
     ext -> web ICMP/8: yes
     ext6 -> web ICMPv6/128: yes`,
  ],
  [
    'empty from and ports are absent ones',
    'podSelector: {}\ningress: [{from: [], ports: []}]',
    `far -> web TCP/80: yes
     ext -> web UDP/1: yes`,
  ],
  [
    'podSelector of a peer stays in the namespace of the policy',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- from: [{podSelector: {matchLabels: {app: cli}}}]',
    `cli -> web TCP/80: yes
     far -> web TCP/80: no
     ext -> web TCP/80: no`,
  ],
  [
    'namespaceSelector looks at labels of namespaces',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- from: [{namespaceSelector: {matchLabels: {team: blue}}}]',
    `cli -> web TCP/80: no
     far -> web TCP/80: yes`,
  ],
  [
    'namespaceSelector {} is every namespace, but not the outside',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- from: [{namespaceSelector: {}}]',
    `cli -> web TCP/80: yes
     far -> web TCP/80: yes
     ext -> web TCP/80: no
     node -> web TCP/80: no`,
  ],
  [
    'both selectors in one element must hold',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- from: [{namespaceSelector: {matchLabels: {team: red}}, podSelector: {matchLabels: {app: cli}}}]',
    `cli -> web TCP/80: yes
     far -> web TCP/80: no`,
  ],
  [
    'two elements are alternatives',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- from:\n  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: y}}\n  - podSelector: {matchLabels: {tier: front}}',
    `cli -> web TCP/80: yes
     far -> web TCP/80: yes`,
  ],
  [
    'matchExpressions: NotIn and DoesNotExist hold where the key is absent',
    'podSelector:\n  matchExpressions:\n  - {key: app, operator: In, values: [web, db]}\ningress:\n- from:\n  - namespaceSelector:\n      matchExpressions: [{key: team, operator: NotIn, values: [green]}]\n    podSelector:\n      matchExpressions: [{key: tier, operator: DoesNotExist}]',
    `far -> web TCP/80: yes
     cli -> web TCP/80: no
     web -> web TCP/80: yes`,
  ],
  [
    'Exists',
    'podSelector: {matchExpressions: [{key: app, operator: Exists}]}\ningress:\n- from: [{podSelector: {matchExpressions: [{key: tier, operator: Exists}]}}]',
    `cli -> web TCP/80: yes
     web -> cli TCP/80: no`,
  ],
  [
    'ipBlock reaches the outside and workloads by their address, except its exceptions',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- from: [{ipBlock: {cidr: 10.77.0.0/16, except: [10.77.2.0/24]}}, {ipBlock: {cidr: 192.0.2.0/24}}]',
    `cli -> web TCP/80: yes
     far -> web TCP/80: no
     ext -> web TCP/80: yes
     ext6 -> web TCP/80: no`,
  ],
  [
    'ipBlock 0.0.0.0/0 is all of IPv4, ::/0 all of IPv6',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- from: [{ipBlock: {cidr: "::/0"}}]\n  ports: [{port: 1}]\n- from: [{ipBlock: {cidr: 0.0.0.0/0}}]\n  ports: [{port: 2}]',
    `ext -> web TCP/1: no
     ext6 -> web TCP/1: yes
     cli -> web TCP/1: no
     ext -> web TCP/2: yes
     ext6 -> web TCP/2: no
     cli -> web TCP/2: yes`,
  ],
  [
    'ports: the protocol is TCP unless named, without a number every port of it',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- ports: [{port: 80}, {protocol: UDP}, {port: 9, protocol: SCTP}]',
    `cli -> web TCP/80: yes
     cli -> web TCP/81: no
     cli -> web UDP/1: yes
     cli -> web UDP/65535: yes
     cli -> web SCTP/9: yes
     cli -> web SCTP/10: no
     cli -> web ICMP/8: no`,
  ],
  [
    'endPort is inclusive',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- ports: [{port: 8000, endPort: 8100}]',
    `cli -> web TCP/7999: no
     cli -> web TCP/8000: yes
     cli -> web TCP/8100: yes
     cli -> web TCP/8101: no`,
  ],
  [
    'a named port of ingress is the own one, of its protocol',
    'podSelector: {matchLabels: {app: web}}\ningress:\n- ports: [{port: http}, {port: dns, protocol: UDP}, {port: dns, protocol: TCP}, {port: none}]',
    `cli -> web TCP/80: yes
     cli -> web UDP/53: yes
     cli -> web TCP/53: no
     cli -> web TCP/8080: no`,
  ],
  [
    'a named port of egress is the one of each destination',
    'podSelector: {matchLabels: {app: cli}}\npolicyTypes: [Egress]\negress:\n- ports: [{port: http}]',
    `cli -> web TCP/80: yes
     cli -> web TCP/8080: no
     cli -> far TCP/8080: yes
     cli -> far TCP/80: no
     cli -> ext TCP/80: no`,
  ],
  [
    'egress rules isolate both ways unless policyTypes says otherwise',
    'podSelector: {matchLabels: {app: cli}}\negress:\n- to: [{podSelector: {matchLabels: {app: web}}}]',
    `cli -> web TCP/80: yes
     cli -> far TCP/80: no
     web -> cli TCP/80: no`,
  ],
  [
    'an empty egress list does not isolate for egress',
    'podSelector: {matchLabels: {app: cli}}\negress: []',
    `cli -> web TCP/80: yes
     web -> cli TCP/80: no`,
  ],
  [
    'policyTypes Egress without rules refuses all egress and leaves ingress open',
    'podSelector: {matchLabels: {app: cli}}\npolicyTypes: [Egress]',
    `cli -> web TCP/80: no
     cli -> ext TCP/80: no
     web -> cli TCP/80: yes`,
  ],
  [
    'rules of a direction that policyTypes leaves out are ignored',
    'podSelector: {matchLabels: {app: cli}}\npolicyTypes: [Ingress]\negress:\n- to: []',
    `cli -> web TCP/80: yes
     web -> cli TCP/80: no`,
  ],
];

for (const [name, spec, table] of CASES) test(name, () => checkTable(createFleet(FLEET, policy(spec)), table));

test('policies add up', () => {
  const both = `${policy('podSelector: {matchLabels: {app: web}}')}---\n${policy(
    'podSelector: {}\ningress:\n- from: [{namespaceSelector: {}}]\n  ports: [{port: 80}]',
  ).replace('name: p', 'name: q')}`;
  checkTable(
    createFleet(FLEET, both),
    `far -> web TCP/80: yes
     far -> web TCP/81: no
     ext -> web TCP/80: no`,
  );
});

test('both ends must allow', () => {
  const both = `${policy('podSelector: {matchLabels: {app: web}}\ningress: [{ports: [{port: 80}]}]')}---\n${policy(
    'podSelector: {}\npolicyTypes: [Egress]\negress: [{ports: [{port: 80}, {port: 81}]}]',
    'y',
  )}`;
  checkTable(
    createFleet(FLEET, both),
    `far -> web TCP/80: yes
     far -> web TCP/81: no
     far -> cli TCP/81: yes
     far -> cli TCP/82: no`,
  );
});

test('the namespace defaults to "default"', () => {
  const fleet = createFleet(
    { pods: { a: {}, b: { ns: 'other' } } },
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}}',
  );
  checkTable(fleet, 'b -> a TCP/1: no\na -> b TCP/1: yes');
});

test('a port name beside an ipBlock of an egress rule matches no address, and a warning says so', () => {
  const policy = (to: string) => `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: p }
spec: { podSelector: { matchLabels: { app: a } }, policyTypes: [Egress], egress: [ { to: [ ${to} ], ports: [ { port: http } ] } ] }
`;
  const pods = { a: { labels: { app: 'a' } }, b: { labels: { app: 'b' }, ip: '10.0.0.2', ports: { http: 'TCP/80' } } };
  const byAddress = createFleet({ pods }, policy('{ ipBlock: { cidr: 10.0.0.0/8 } }'));
  assert.equal(byAddress.reaches('a', 'b', 'TCP/80'), false);
  assert.deepEqual(
    byAddress.documents.flatMap(({ warnings }) => warnings.map(({ code, path }) => `${code} ${path}`)),
    ['name-of-block spec.egress[0].to[0].ipBlock'],
  );
  const both = createFleet({ pods }, policy('{ ipBlock: { cidr: 10.0.0.0/8 } }, { podSelector: {} }'));
  assert.equal(both.reaches('a', 'b', 'TCP/80'), true);
});
