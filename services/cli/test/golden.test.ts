// SPDX-License-Identifier: Apache-2.0
/**
 * What every command prints, to the letter: standard output, standard error and exit status, in golden/. Width of the terminal,
 * time zone and clock are fixed. WEIR_UPDATE=1 writes the files; a file that no case makes is a failure.
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import type { Command } from 'commander';
import { Client } from '../src/client.ts';
import { createPaint } from '../src/output/table.ts';
import { createProgram } from '../src/program.ts';
import { FLEET_ROUTES } from './fleet-routes.ts';
import { against } from './harness.ts';
import { PROCESS_ROUTES } from './process-routes.ts';
import { RUNTIME_ROUTES } from './runtime-routes.ts';

process.env.TZ = 'UTC';
mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 22, 20) });

const GOLDEN = new URL('golden/', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'weir-golden-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const made = new Set<string>();

const check = (name: string, text: string): void => {
  made.add(`${name}.txt`);
  const path = join(GOLDEN, `${name}.txt`);
  if (process.env.WEIR_UPDATE === '1') {
    mkdirSync(GOLDEN, { recursive: true });
    writeFileSync(path, text);
  }
  assert.equal(text, readFileSync(path, 'utf8'), `${path}: WEIR_UPDATE=1 writes what is meant`);
};

const part = (title: string, text: string): string => (text === '' ? '' : `--- ${title}\n${text}\n`);

const commandsOf = (command: Command, path: readonly string[] = []): string[][] => [
  [...path],
  ...command.commands.flatMap((child) => commandsOf(child, [...path, child.name()])),
];

const program = createProgram({
  env: {},
  client: new Client({}),
  out: () => {},
  err: () => {},
  paint: createPaint(false),
  signal: new AbortController().signal,
  readStdin: async () => '',
  setExitCode: () => {},
});
for (const path of commandsOf(program)) {
  test(`help of weir ${path.join(' ')}`, async () => {
    const { code, out, err } = await against({}, [...path, '--help']);
    assert.deepEqual([code, err], [0, '']);
    check(['help', ...path].join('-'), `${out}\n`);
  });
}

const POLICY = 'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\nspec:\n';
writeFileSync(
  join(dir, 'peers.yaml'),
  `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: peers, namespace: shop}
spec:
  endpointSelector: {}
  egress:
  - toServices: [{k8sService: {serviceName: web}}]
  - toNodes: [{matchLabels: {role: nobody}}]
`,
);
writeFileSync(join(dir, 'web.yaml'), `${POLICY}  podSelector: {}\n`);
writeFileSync(join(dir, 'wrong.yaml'), `${POLICY}  podSelector: {}\n  ingres: []\n`);
writeFileSync(
  join(dir, 'deny.yaml'),
  'apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: fence, namespace: shop}\nspec:\n' +
    '  endpointSelector: {matchLabels: {app: db}}\n  ingressDeny:\n    - fromEndpoints: [{matchLabels: {app: web}}]\n',
);
const GATEWAY =
  'apiVersion: cilium.io/v2\nkind: CiliumEgressGatewayPolicy\nmetadata: {name: new}\nspec:\n' +
  '  selectors:\n    - podSelector: {matchLabels: {app: web}}\n      namespaceSelector: {matchLabels: {team: blue}}\n' +
  '  destinationCIDRs: [0.0.0.0/0]\n  egressGateway: {nodeSelector: {matchLabels: {zone: edge}}, egressIP: 192.0.2.7}\n';
writeFileSync(join(dir, 'gateway.yaml'), `${GATEWAY}---\n${POLICY}  podSelector: {}\n`);
writeFileSync(
  join(dir, 'gateway-wrong.yaml'),
  GATEWAY.replace('destinationCIDRs', 'destinationCIDR').replace(
    '- podSelector',
    '- nodeSelector: {matchLabel: {}}\n      podSelector',
  ),
);
const SERVICE =
  'apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n  type: LoadBalancer\n' +
  '  selector: {app: web}\n  loadBalancerIP: 192.0.2.7\n  ports:\n    - port: 80\n';
const LB_POOL =
  'apiVersion: cilium.io/v2\nkind: CiliumLoadBalancerIPPool\nmetadata: {name: new}\nspec:\n  blocks: [{cidr: 192.0.2.0/24}]\n';
const BGP = `apiVersion: weir.io/v1
kind: BgpInstance
metadata: { name: rack }
spec:
  local_asn: 65001
  peers:
    - { name: tor, address: 198.51.100.2, asn: 65000 }
  advertisements: [ { type: pod-cidr } ]
`;
const L2 = `apiVersion: cilium.io/v2alpha1
kind: CiliumL2AnnouncementPolicy
metadata: { name: edge }
spec:
  serviceSelector: { matchLabels: { tier: edge } }
  nodeSelector:
    matchExpressions: [ { key: rack, operator: NotIn, values: [ r9 ] } ]
  interfaces: [ '^eth[0-9]+' ]
  loadBalancerIPs: true
`;
writeFileSync(join(dir, 'service.yaml'), `${SERVICE}---\n${LB_POOL}---\n${POLICY}  podSelector: {}\n`);
writeFileSync(
  join(dir, 'service-wrong.yaml'),
  SERVICE.replace('port: 80', 'prot: 80').replace('type: Load', 'type: Laod'),
);
writeFileSync(join(dir, 'service-refused.yaml'), `${LB_POOL}---\n${SERVICE.replace('name: web', 'name: wrong')}`);
writeFileSync(join(dir, 'l2.yaml'), L2);
writeFileSync(join(dir, 'bgp.yaml'), BGP);
writeFileSync(join(dir, 'bgp-refused.yaml'), BGP.replace('name: rack', 'name: none').replace('asn: 65000 ', 'asn: 0 '));
writeFileSync(
  join(dir, 'l2-refused.yaml'),
  L2.replace('name: edge', 'name: none').replace('loadBalancerIPs: true', 'loadBalancerIPs: false'),
);
writeFileSync(join(dir, 'config.yaml'), 'current-context: lab\ncontexts:\n  lab: { policy: http://lab:7102 }\n');

const RUNTIME = `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: { name: shadow }
spec:
  kprobes:
    - call: sys_openat
      args: [ { index: 1, type: filename } ]
      selectors:
        - matchArgs: [ { index: 1, operator: Equal, values: [ /etc/shadow ] } ]
          matchActions: [ { action: Override, argError: -1 } ]
    - call: tcp_connect
      syscall: false
`;
writeFileSync(join(dir, 'runtime.yaml'), RUNTIME);
writeFileSync(
  join(dir, 'runtime-wrong.yaml'),
  RUNTIME.replace('Equal', 'Equals').replace('type: filename', 'type: int'),
);

const CASES: Readonly<Record<string, string>> = {
  status: 'status',
  'status-json': 'status -o json',
  ...Object.fromEntries(
    [
      ...['hosts', 'workloads', 'identities', 'policies', 'rules', 'namespaces'],
      ...[
        'pools',
        'reservations',
        'prefilters',
        'egress-gateways',
        'services',
        'lb-pools',
        'l2-announcements',
        'l2-leases',
        'bgp-instances',
        'bgp-peers',
        'bgp-routes',
        'host-firewalls',
        'host-firewall-events',
      ],
    ].flatMap((noun) =>
      ['table', 'wide', 'json', 'yaml'].map((format) => [`get-${noun}-${format}`, `get ${noun} -o ${format}`]),
    ),
  ),
  network: 'network',
  'network-json': 'network get -o json',
  'network-set': 'network set mtu=1400 masquerade.ipv4=false vlan-bypass=10,30',
  'network-set-same': 'network set mtu=1450',
  'network-set-unknown': 'network set mtuu=1400',
  'network-set-wrong': 'network set mtu=large',
  pools: 'pools',
  'pools-set': 'pools set new cidrs=10.9.0.0/16 block_bits4=26',
  'pools-delete': 'pools delete default',
  reservations: 'reservations',
  'reservations-set': 'reservations set 10.77.0.10 workload=shop.web',
  prefilter: 'prefilter',
  'prefilter-get': 'prefilter get bad -o yaml',
  'prefilter-set': 'prefilter set bad cidrs=203.0.113.0/24,2001:db8::/32 hosts=zone=edge',
  'prefilter-set-wrong': 'prefilter set bad hosts=zone=a=b',
  'prefilter-delete': 'prefilter delete bad',
  egress: 'egress',
  'egress-wide': 'egress list -o wide',
  'egress-set':
    'egress set new "workloads=app=web on zone=edge | tier notin (a,b)" destination-cidrs=0.0.0.0/0,::/0 ' +
    '"gateways=192.0.2.7 of zone=edge | eth1 of all"',
  'egress-set-wrong': 'egress set new gateways=192.0.2.7',
  'egress-set-no-address': 'egress set bare "gateways=of zone=edge"',
  'egress-remove': 'egress delete out',
  'egress-delete': 'delete CiliumEgressGatewayPolicy/out',
  'workloads-set': 'workloads set shop/web egress_bandwidth=10M ingress_bandwidth=none',
  health: 'health',
  'health-wide': 'health -o wide --from h1',
  'health-json': 'health --to h1 -o json',
  'apply-gateway': `apply -f ${join(dir, 'gateway.yaml')}`,
  'apply-gateway-wrong': `apply -f ${join(dir, 'web.yaml')} -f ${join(dir, 'gateway-wrong.yaml')}`,
  'diff-gateway': `diff -f ${join(dir, 'gateway.yaml')}`,
  service: 'service',
  'service-get': 'service get shop/web',
  'service-backends': 'service backends shop/web',
  'service-backends-wide': 'service backends shop/web -o wide',
  'service-stats': 'service stats',
  'service-stats-wide': 'service stats shop/web --by-host -o wide',
  'service-drain': 'service drain shop/web 10.0.1.3:8080 --reason disk',
  'service-drain-many': 'service drain shop/web 10.0.1.3',
  'service-drain-nobody': 'service maintain shop/web 10.0.1.9:80',
  'service-weigh': 'service weigh shop/web 5 --weight 0',
  'service-delete': 'service delete shop/web',
  'lb-pools': 'lb pools',
  'lb-pools-set': 'lb pools set edge blocks=203.0.113.0/28,203.0.113.20-203.0.113.40 service_selector=team=red',
  'lb-pools-delete': 'lb pools delete edge',
  bgp: 'bgp',
  'bgp-peers': 'bgp peers',
  'bgp-routes': 'bgp routes',
  'bgp-delete': 'bgp delete rack',
  'apply-bgp': `apply -f ${join(dir, 'bgp.yaml')}`,
  'apply-bgp-refused': `apply -f ${join(dir, 'bgp-refused.yaml')}`,
  l2: 'l2',
  'l2-leases': 'l2 leases -o wide',
  'l2-set': 'l2 set edge services=tier=edge interfaces=^eth[0-9]+,bond0 load_balancer_ips=true lease_duration_ms=9000',
  'l2-delete': 'l2 delete edge',
  'apply-l2': `apply -f ${join(dir, 'l2.yaml')}`,
  'apply-l2-refused': `apply -f ${join(dir, 'l2-refused.yaml')}`,
  'diff-l2': `diff -f ${join(dir, 'l2.yaml')}`,
  'apply-l2-delete': 'delete CiliumL2AnnouncementPolicy/edge',
  'apply-service': `apply -f ${join(dir, 'service.yaml')}`,
  'apply-service-wrong': `apply -f ${join(dir, 'service-wrong.yaml')}`,
  'apply-service-refused': `apply -f ${join(dir, 'web.yaml')} -f ${join(dir, 'service-refused.yaml')}`,
  'diff-service': `diff -f ${join(dir, 'service.yaml')}`,
  'delete-service': `delete -f ${join(dir, 'service.yaml')} --ignore-not-found`,
  'get-one': 'get workload shop/web -o yaml',
  'get-nobody': 'get workload shop/nobody',
  'get-flows': 'get flows',
  'list-nodes': 'list nodes',
  'list-namespaces': 'list namespaces',
  ...Object.fromEntries(
    ['compact', 'dict', 'json', 'jsonpb', 'table', 'wide'].map((format) => [
      `observe-${format}`,
      `observe -o ${format}`,
    ]),
  ),
  'observe-plain': 'observe --numeric --no-ip-translation --no-print-node-name --time-format RFC3339Nano',
  'observe-colour': 'observe --color always --last 1',
  'observe-raw-filters': 'observe --print-raw-filters --ip 10.0.0.1 --not --verdict DROPPED --type trace:to-endpoint',
  'observe-wrong': 'observe --label a=b --from-label c=d',
  apply: `apply -f ${join(dir, 'web.yaml')}`,
  'apply-dry-run': `apply -f ${join(dir, 'web.yaml')} --dry-run`,
  'apply-wait': `apply -f ${join(dir, 'web.yaml')} --wait`,
  'apply-trace': `apply -f ${join(dir, 'web.yaml')} --trace`,
  'apply-nothing': 'apply -f /nowhere.yaml',
  diff: `diff -f ${join(dir, 'web.yaml')}`,
  history: 'history NetworkPolicy/shop/web',
  'history-diff': 'history NetworkPolicy/shop/web --diff 1,2',
  'history-wrong': 'history web',
  restore: 'restore NetworkPolicy/shop/web --to 1 --reason oops',
  promote: 'promote NetworkPolicy/shop/web --wait',
  delete: 'delete NetworkPolicy/shop/web',
  'delete-nobody': 'delete NetworkPolicy/shop/nobody',
  'delete-wrong': `delete -f ${join(dir, 'wrong.yaml')}`,
  explain: 'explain --from shop/web --to shop/db --port 5432',
  'explain-probe': 'explain --from shop/web --to shop/db --port 5432 --probe',
  'explain-json': 'explain --from shop/web --to shop/db --port 5432 -o json',
  'explain-refused': 'explain --from shop/db --to shop/web --port 80',
  'explain-service': 'explain --from shop/db --to 203.0.113.1 --port 80',
  'explain-service-json': 'explain --from shop/db --to 203.0.113.1 --port 80 -o json',
  'explain-file': `explain --from shop/web --to shop/db --port 5432 -f ${join(dir, 'web.yaml')}`,
  'explain-peers': `explain --from shop/db --to 10.0.1.3 --port 8081 -f ${join(dir, 'peers.yaml')}`,
  'explain-peers-refused': `explain --from shop/db --to 10.0.1.9 --port 8081 -f ${join(dir, 'peers.yaml')}`,
  'explain-order': `explain --from shop/web --to shop/db --port 5432 -f ${join(dir, 'deny.yaml')}`,
  lint: 'lint --notes',
  'lint-file': `lint -f ${join(dir, 'web.yaml')} --notes`,
  'lint-offline': `lint --offline -f ${join(dir, 'deny.yaml')} -o json`,
  'lint-wrong': `lint --offline -f ${join(dir, 'wrong.yaml')}`,
  'lint-nothing': 'lint --offline',
  'runtime-validate': `runtime validate -f ${join(dir, 'runtime.yaml')}`,
  'runtime-validate-features': `runtime validate -f ${join(dir, 'runtime.yaml')} --features raw_tracepoint,fanotify_perm -o yaml`,
  'runtime-validate-wrong': `runtime validate -f ${join(dir, 'web.yaml')} -f ${join(dir, 'runtime-wrong.yaml')}`,
  'runtime-apply': `runtime apply -f ${join(dir, 'runtime.yaml')}`,
  'runtime-diff': `runtime diff -f ${join(dir, 'runtime.yaml')}`,
  'runtime-list': 'runtime list',
  'runtime-get': 'runtime get shadow',
  'runtime-hosts': 'runtime hosts TracingPolicy/-/shadow',
  'runtime-delete': 'runtime delete shadow nobody',
  'runtime-wrong-key': 'runtime get a/b/c/d',
  'processes-observe': 'processes observe --workload shop/web --binary cat -e exec -e exit --since 1h',
  'processes-observe-json': 'processes observe -o json --last 2',
  'processes-observe-wrong': 'processes observe -e run',
  'processes-tree': 'processes tree aDE6MTM6MTM=',
  'processes-tree-json': 'processes tree aDE6MTM6MTM= -o json',
  'runtime-validate-no-feature': `runtime validate -f ${join(dir, 'runtime.yaml')} --features magic`,
  simulate: `simulate -f ${join(dir, 'web.yaml')} --since 24h --fail-on newly-denied`,
  'simulate-wide': `simulate --remove NetworkPolicy/shop/db -o wide --limit 2 --fail-on newly-allowed`,
  'simulate-json': `simulate -f ${join(dir, 'web.yaml')} -o json`,
  'simulate-wrong': `simulate -f ${join(dir, 'wrong.yaml')}`,
  'simulate-broken': `simulate -f ${join(dir, 'web.yaml')} --until 5m`,
  'simulate-nothing': 'simulate --since 1h',
  'simulate-fail-on': `simulate -f ${join(dir, 'web.yaml')} --fail-on denied`,
  suggest: 'suggest -l app=db -n shop --since 24h',
  'suggest-json': 'suggest -l app=db -o json --min-flows 3 --max-prefixes 5',
  'suggest-nothing': 'suggest -n none',
  'suggest-nobody': 'suggest --since 1h',
  hits: 'hits',
  'hits-wide': 'hits --unused-for 30d -o wide',
  'observe-no-policies': 'observe --no-print-policy-names --first 1',
  'observe-field-mask': 'observe -o json --field-mask time,verdict,source.workload,rule',
  version: 'version',
  'version-json': 'version -o json',
  'config-view': 'config view',
  'config-get': 'config get contexts.lab.policy',
  'config-get-unset': 'config get contexts.lab.analytics',
  'config-set-wrong': 'config set contexts.lab.analytics lab',
  'config-no-such': 'config set colour red',
  'no-such-command': 'obsreve',
};

for (const [name, words] of Object.entries(CASES)) {
  test(`weir ${words.replaceAll(dir, '.')}`, async () => {
    const { code, out, err } = await against({ ...FLEET_ROUTES, ...RUNTIME_ROUTES, ...PROCESS_ROUTES }, words, {
      env: { WEIR_CONFIG: join(dir, 'config.yaml') },
    });
    const text = `$ weir ${words}\n${part('stdout', out)}${part('stderr', err)}--- exit status ${code}\n`;
    check(name, text.replaceAll(dir, '.').replace(/http:\/\/127\.0\.0\.1:\d{5}/g, 'http://SERVICE'));
  });
}

test('golden/ holds nothing else', () => {
  assert.deepEqual(readdirSync(GOLDEN).sort(), [...made].sort());
});
