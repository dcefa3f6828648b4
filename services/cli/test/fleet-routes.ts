// SPDX-License-Identifier: Apache-2.0
/** A small fleet as its services answer; some names try to drive the terminal. Its time is 2026-11-22T20:00:00Z. */
import { ANNOUNCING_ROUTES } from './announcing-routes.ts';
import { listing, type Routes } from './harness.ts';
import { HOST_FIREWALL_ROUTES } from './host-firewall-routes.ts';
import { SIMULATE_ROUTES } from './simulate-routes.ts';

const at = (clock: string): string => `2026-11-22T${clock}Z`;
const EVIL = 'a\u001b[31mred\u202e';

const host = (id: string, more: object = {}) => ({
  ...{ id, name: id, state: 'alive', workloads_ready: 2, workloads_total: 2, last_seen_at: at('19:59:57') },
  ...{ realised: { policy: 7, inventory: 9 }, underlay_ip4: '192.0.2.1', underlay_ip6: null, kernel: '6.18.0' },
  ...{ pools: ['10.0.1.0/24', 'fd00:1::/64'], egress_limiter: null, ...more },
});

const workload = (name: string, identity: number, ip: number, labels: object) => ({
  ...{ id: `shop.${name}`, name, namespace: 'shop', host: 'h1', state: 'ready', state_message: null, identity },
  ...{ ip4: `10.0.1.${ip}`, ip6: `fd00:1::${ip}`, policy_enabled: 'both', labels, ports: [] },
  ...{ egress_bandwidth: name === 'web' ? '10M' : null, ingress_bandwidth: null, source_check: true },
});
const WEB = workload('web', 256, 2, { app: 'web', note: EVIL });
const DB = workload('db', 257, 3, { app: 'db' });

const identity = (number: number, app: string) => ({
  ...{ identity: number, workloads: 1 },
  labels: [`k8s:app=${app}`, 'k8s:io.kubernetes.pod.namespace=shop'],
});

const rule = (id: number, policy: string, path: string, line: number) => ({
  ...{
    id,
    policy_key: policy,
    path,
    file: id === 17 ? 'shop/db.yaml' : null,
    line,
    column: 5,
    direction: 'ingress',
    action: 'allow',
    current: true,
  },
  ...{ revision: 7, policy_revision: 1, description: id === 17 ? EVIL : null },
});

const DB_POLICY = {
  ...{ key: 'NetworkPolicy/shop/db', kind: 'NetworkPolicy', namespace: 'shop', name: 'db', revision: 7 },
  ...{ updated_at: at('18:00:00'), rules: [{ path: 'spec.ingress[0]', id: 17, file: 'shop/db.yaml', line: 9 }] },
  document: {
    ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'db', namespace: 'shop' } },
    spec: {
      podSelector: { matchLabels: { app: 'db' } },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }], ports: [{ protocol: 'TCP', port: 5432 }] }],
    },
  },
};
const WEB_POLICY = {
  ...{ key: 'NetworkPolicy/shop/closed', kind: 'NetworkPolicy', namespace: 'shop', name: 'closed', revision: 5 },
  ...{ updated_at: at('12:00:00'), rules: [{ path: 'spec.defaultDeny.ingress', id: 16, file: null, line: 3 }] },
  document: {
    ...{ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'closed', namespace: 'shop' } },
    spec: { podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] },
  },
};

const end = (one: { name: string; ip4: string; identity: number } | null, port: number) => ({
  ...{ ip: one?.ip4 ?? '2001:db8::1', port, identity: one?.identity ?? 10 },
  labels: one === null ? ['reserved:world-ipv6'] : [`k8s:app=${one.name}`],
  ...{ workload: one?.name ?? null, namespace: one === null ? null : 'shop' },
});
const flow = (seq: number, more: object) => ({
  ...{
    time: at(`19:41:1${seq}.123456`),
    host: 'h1',
    boot: 1,
    seq,
    source: end(WEB, 40_001),
    destination: end(DB, 5432),
  },
  ...{ protocol: 'TCP', tcp_flags: ['SYN'], icmp: null, verdict: 'FORWARDED', drop_reason: null, direction: 'EGRESS' },
  ...{ rule: { id: 17, policy: 'NetworkPolicy/shop/db', path: 'spec.ingress[0]' }, is_reply: false },
  ...{ trace_point: 'to-network', packets: 3, bytes: 180, ...more },
});
const FRONT = { namespace: 'shop', name: EVIL };
const FRONTEND = {
  ...{ number: 41, type: 'EXTERNAL_IP', address: '203.0.113.80', port: 80 },
  backend: { ip: '10.0.1.3', port: 5432 },
};
const FLOWS = [
  flow(1, {}),
  flow(2, {
    source: end(DB, 5432),
    destination: end(WEB, 40_001),
    is_reply: true,
    rule: null,
    verdict: 'AUDIT',
    policy_log: 'shop \u001b[31mdb',
    process: {
      ...{ exec_id: 'aDE6MTIzNDU2Nzg6NDI0Mg==', pid: 4242, uid: 1000, binary: '/usr/bin/a\x1b[31mred' },
      ...{ unit: 'web.service', unit_kind: 'service' },
    },
    pending: { verdict: 'DROPPED', rule: { id: 18, policy: 'NetworkPolicy/shop/db2', path: 'spec.ingress[0]' } },
    tcp_flags: ['SYN', 'ACK'],
  }),
  flow(3, {
    ...{
      source: end(null, 0),
      destination: end(WEB, 0),
      protocol: 'ICMPv6',
      icmp: { type: 128, code: 0 },
      tcp_flags: [],
    },
    ...{ verdict: 'DROPPED', direction: 'INGRESS', trace_point: 'to-endpoint', rule: null, packets: 1, bytes: 64 },
    ...{ drop_reason: { code: 133, name: 'POLICY_DENIED', text: 'Policy denied' }, host: EVIL },
  }),
  flow(4, {
    ...{ source: end(DB, 5432), destination: end(WEB, 40_001), is_reply: true, rule: null, trace_point: 'to-endpoint' },
    ...{ source_service: FRONT, destination_service: null, frontend: FRONTEND },
  }),
  flow(5, {
    ...{
      destination: { ...end(null, 80), ip: '203.0.113.80' },
      verdict: 'DROPPED',
      trace_point: 'from-endpoint',
      rule: null,
    },
    ...{ drop_reason: { code: 158, name: 'NO_BACKEND', text: 'Service backend not found' } },
    ...{ source_service: null, destination_service: FRONT, frontend: { ...FRONTEND, backend: null } },
  }),
];

const NETWORK = {
  ...{ routing: 'tunnel', underlay: 'ipv4', families: 'dual', tunnel_port: 8472, mtu: 1450 },
  masquerade: { ipv4: true, ipv6: false, non_masquerade_cidrs: ['10.0.0.0/8'] },
  ...{ nat64: { prefix: '' }, vlan_bypass: [10, 20], health: { enabled: true, base_interval_s: 60 }, revision: 12 },
};
const POOL = {
  ...{ name: 'default', cidrs: ['10.77.0.0/16', 'fd77::/48'], block_bits4: 24, block_bits6: 112 },
  ...{ blocks: 4, addresses: 17, created_at: at('12:00:00'), revision: 1 },
};
const PREFILTER = {
  ...{ name: 'bad', cidrs: ['203.0.113.0/24'], hosts: { match_labels: { zone: 'edge' } } },
  ...{ created_at: at('19:30:00'), revision: 8 },
};
const GATEWAY = {
  name: 'out',
  workloads: [
    {
      match_labels: { app: 'web' },
      match_expressions: [
        { key: 'tier', operator: 'NotIn', values: ['x', 'y'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
    },
    { match_labels: { app: 'db' }, hosts: { match_labels: { zone: 'edge' } } },
  ],
  ...{ destination_cidrs: ['0.0.0.0/0'], excluded_cidrs: ['10.0.0.0/8'], created_at: at('19:00:00'), revision: 9 },
  gateways: [
    { hosts: { match_labels: { rack: EVIL } }, egress_ip: '192.0.2.7' },
    { hosts: {}, interface: 'eth1' },
  ],
};

const SERVICE = {
  ...{ id: 'shop.web', name: 'web', namespace: 'shop', number: 7, revision: 20, created_at: at('19:00:00') },
  spec: { algorithm: 'maglev', forwarding: 'snat', labels: { note: EVIL } },
  frontends: [
    { number: 1, type: 'load-balancer', address: '203.0.113.1', port: 80, protocol: 'TCP', pool: 'edge' },
    { number: 2, type: 'load-balancer', address: '2001:db8::1', port: 80, protocol: 'TCP', pool: 'edge' },
    { number: 3, type: 'node-port', address: null, port: 30_080, protocol: 'TCP', pool: null },
  ],
  backends: [
    {
      ...{ number: 4, address: '10.0.1.2', port: 8080, protocol: 'TCP', state: 'active', weight: 100 },
      ...{ workload: 'shop.web', host: 'h1', zone: 'a', since: at('19:00:00'), reason: '' },
      ...{ effective_weight: 30, health: 'healthy', prober: 'h1' },
    },
    {
      ...{ number: 5, address: '10.0.1.3', port: 8080, protocol: 'TCP', state: 'quarantined', weight: 100 },
      ...{ workload: null, host: null, zone: '', since: at('19:59:00'), reason: `health check: ${EVIL}` },
      ...{ effective_weight: 100, health: 'unhealthy', prober: 'h2' },
    },
    {
      ...{ number: 6, address: '10.0.1.3', port: 8081, protocol: 'TCP', state: 'active', weight: 100, workload: null },
      ...{ host: null, zone: '', since: at('19:00:00'), reason: '', effective_weight: 100, health: null, prober: null },
    },
  ],
  conditions: [{ type: 'AddressesAssigned', status: true, reason: 'Assigned', message: '' }],
};
const WAITING = {
  ...SERVICE,
  ...{ id: 'shop.api', name: 'api', number: 8, backends: [] },
  frontends: [{ number: 9, type: 'load-balancer', address: null, port: 443, protocol: 'TCP', pool: null }],
  conditions: [
    { type: 'AddressesAssigned', status: false, reason: 'NoFreeAddress', message: EVIL },
    { type: 'BackendsReady', status: false, reason: 'NoBackends', message: '' },
  ],
};
const LB_POOL = {
  ...{ name: 'edge', blocks: [{ cidr: '203.0.113.0/28' }, { start: '203.0.113.20', stop: '203.0.113.29' }] },
  ...{ service_selector: { match_labels: { team: 'blue' } }, allow_first_last_ips: true, disabled: false },
  ...{
    frontend_type: 'load-balancer',
    addresses_total: 26,
    addresses_used: 1,
    created_at: at('18:00:00'),
    revision: 2,
  },
  conditions: [{ type: 'Available', status: true, reason: 'Available', message: '' }],
};

const path = (from: string, to: string, kind: string, more: object = {}) => ({
  ...{ from, to, address: '192.0.2.1', kind, target: 'host', status: 'reachable', latency_us: 417, error: null },
  ...{ failures: 0, probed_at: at('19:59:50'), ...more },
});
const DOWN = { status: 'unreachable', latency_us: null, error: 'no answer within 1 s', failures: 4 };
const ENDPOINT = { target: 'endpoint', address: '10.0.1.1' };
const PATHS = [
  path('h1', 'h2', 'icmp'),
  path('h1', 'h2', 'tcp', { latency_us: 1_203 }),
  path('h1', 'h3', 'icmp', DOWN),
  path('h1', 'h3', 'tcp', DOWN),
  path('h2', 'h1', 'icmp'),
  path('h2', 'h1', 'tcp', DOWN),
  path('h2', 'h3', 'icmp', { status: 'unknown' }),
  path('h3', 'h1', 'icmp'),
  path('h3', 'h1', 'icmp', { ...DOWN, ...ENDPOINT }),
];

const RECEIVED_US = Date.UTC(2026, 10, 22, 19, 59) * 1_000;
const stages = (name: string, plusUs: number) => ({
  host: name,
  ...{ received_us: RECEIVED_US + plusUs, started_us: RECEIVED_US + plusUs + 5_100 },
  ...{ compiled_us: RECEIVED_US + plusUs + 5_400, written_us: RECEIVED_US + plusUs + 6_250 },
  acknowledged_us: RECEIVED_US + plusUs + 7_000,
});

const account = (name: string, more: object) => ({
  ...{ host: name, kind: 'flow', runs: 1, produced: 1_200, stored: 1_200, on_its_way: 0, gaps: [] },
  ...{ lost: { throttle: 0, ring: 0, spool: 0, dead_letter: 0 } },
  ...{ watermark: { boot: RECEIVED_US / 1_000, seq: 1_200, at: at('19:59:58'), age_s: 0 }, ...more },
});

export const FLEET_ROUTES: Routes = {
  'GET /readyz': { json: {} },
  'GET /docs/json': { json: { info: { version: '0.1.0' } } },
  'GET /v1/hosts': listing([
    host('h1', { egress_limiter: { kind: 'token-bucket', reason: 'this kernel has no sch_fq' } }),
    host('h2', { state: 'stale', last_seen_at: at('17:00:00'), workloads_ready: 1 }),
  ]),
  ...HOST_FIREWALL_ROUTES,
  'GET /v1/workloads': listing([WEB, DB]),
  'GET /v1/workloads/shop.web': { json: WEB },
  'GET /v1/workloads/shop.db': { json: DB },
  'GET /v1/identities': listing([identity(256, 'web'), identity(257, 'db')]),
  'GET /v1/namespaces': listing([{ name: 'shop', labels: { team: EVIL }, created_at: at('19:00:00'), revision: 3 }]),
  'GET /v1/policies': listing([WEB_POLICY, DB_POLICY]),
  'GET /v1/rules': listing([
    rule(17, DB_POLICY.key, 'spec.ingress[0]', 9),
    rule(18, 'NetworkPolicy/shop/x', 'spec.egress[1]', 21),
  ]),
  'GET /v1/network': { json: NETWORK },
  'PUT /v1/network': { json: { ...NETWORK, revision: 13 } },
  'GET /v1/pools': listing([POOL]),
  'GET /v1/pools/default': { json: POOL },
  'PUT /v1/pools/new': { json: { ...POOL, name: 'new', revision: 14 } },
  'DELETE /v1/pools/default': {
    status: 409,
    json: { status: 409, code: 'CONFLICT', title: 'Conflict', detail: 'its addresses are in use', fix: 'move them' },
  },
  'GET /v1/reservations': listing([
    { address: '10.77.0.9', workload: 'shop.web', created_at: at('18:00:00'), revision: 2 },
  ]),
  'PUT /v1/reservations/10.77.0.10': { json: { address: '10.77.0.10', workload: 'shop.web', revision: 15 } },
  'GET /v1/prefilters': listing([PREFILTER]),
  'GET /v1/prefilters/bad': { json: PREFILTER },
  'PUT /v1/prefilters/bad': { json: { ...PREFILTER, revision: 16 } },
  'DELETE /v1/prefilters/bad': (_asked, response) => void response.writeHead(204).end(),
  'GET /v1/egress-gateways': listing([GATEWAY]),
  'GET /v1/egress-gateways/out': { json: GATEWAY },
  'PUT /v1/egress-gateways/new': { json: { ...GATEWAY, name: 'new', revision: 17 } },
  'PUT /v1/egress-gateways/bare': {
    status: 422,
    json: {
      ...{
        status: 422,
        code: 'INVALID_ARGUMENT',
        title: 'x',
        detail: 'gateways[0].egress_ip "" makes an egress gateway without an address',
      },
      ...{ field: 'gateways[0].egress_ip', value: '', fix: 'give egress_ip, or interface' },
    },
  },
  'DELETE /v1/egress-gateways/out': (_asked, response) => void response.writeHead(204).end(),
  'PATCH /v1/workloads/shop.web': { json: { ...WEB, revision: 18 } },
  'GET /v1/services': listing([SERVICE, WAITING]),
  'GET /v1/services/shop.web': { json: SERVICE },
  'PUT /v1/services/shop.web': { json: { ...SERVICE, spec: { ...SERVICE.spec, algorithm: 'random' }, revision: 21 } },
  'PUT /v1/services/shop.wrong': {
    status: 422,
    json: {
      ...{ status: 422, code: 'INVALID_ARGUMENT', title: 'x', detail: 'frontends[0].address lies in no pool' },
      ...{ field: 'frontends[0].address', value: '192.0.2.7', fix: 'give an address of a pool' },
    },
  },
  'PATCH /v1/services/shop.web/backends/5': { json: { ...SERVICE, revision: 22 } },
  'DELETE /v1/services/shop.web': (_asked, response) => void response.writeHead(204).end(),
  'GET /v1/lb-pools': listing([LB_POOL]),
  'GET /v1/lb-pools/edge': { json: LB_POOL },
  'PUT /v1/lb-pools/edge': { json: { ...LB_POOL, revision: 3 } },
  'PUT /v1/lb-pools/new': { json: { ...LB_POOL, name: 'new', revision: 23 } },
  'DELETE /v1/lb-pools/edge': (_asked, response) => void response.writeHead(204).end(),
  ...ANNOUNCING_ROUTES,
  'GET /v1/health': listing(PATHS),
  'GET /v1/flows': listing([...FLOWS].reverse()),
  'GET /v1/accounting': {
    json: {
      items: [
        account('h1', {}),
        account('h2', {
          ...{
            produced: 1_000,
            stored: 900,
            on_its_way: 60,
            gaps: [{ boot: RECEIVED_US / 1_000, first: 851, last: 900 }],
          },
          lost: { throttle: 5, ring: 30, spool: 0, dead_letter: 5 },
          watermark: { boot: RECEIVED_US / 1_000, seq: 850, at: at('19:59:48'), age_s: 12 },
        }),
      ],
    },
  },
  'POST /v1/workloads/shop.web/probe': {
    json: {
      ...{ host: 'h1', source_address: '10.0.1.2', source_port: 41_234, error: null, duration_us: 812 },
      started_at: at('19:59:59'),
    },
  },
  'POST /v1/policies': {
    json: {
      results: [{ key: 'NetworkPolicy/shop/web', action: 'created', revision: 8, warnings: [] }],
      revision: 8,
    },
  },
  ...SIMULATE_ROUTES,
  'POST /v1/policies/diff': {
    json: {
      results: [
        {
          key: 'NetworkPolicy/shop/web',
          action: 'configured',
          diff: '--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\u001b[2J\n',
        },
      ],
    },
  },
  'GET /v1/policies/NetworkPolicy/shop/web/versions': listing([
    {
      policy_revision: 3,
      revision: 9,
      removed: false,
      made_at: at('19:59:48'),
      author: 'ada',
      reason: 'ticket\u001b[31m 7',
    },
    { policy_revision: 2, revision: 8, removed: true, made_at: at('19:58:00'), author: null, reason: null },
  ]),
  'GET /v1/policies/NetworkPolicy/shop/web/diff': {
    json: { key: 'NetworkPolicy/shop/web', diff: '--- a\n+++ b\n-old\n+new\n' },
  },
  'POST /v1/policies/NetworkPolicy/shop/web/restore': {
    json: {
      results: [{ key: 'NetworkPolicy/shop/web', action: 'configured', revision: 8, warnings: [] }],
      revision: 8,
    },
  },
  'POST /v1/policies/NetworkPolicy/shop/web/promote': {
    json: {
      results: [{ key: 'NetworkPolicy/shop/web', action: 'configured', revision: 8, warnings: [] }],
      revision: 8,
    },
  },
  'DELETE /v1/policies/NetworkPolicy/shop/web': { json: { key: 'NetworkPolicy/shop/web', revision: 9 } },
  'GET /v1/revisions/8': {
    json: {
      revision: 8,
      hosts: [
        ...['h1', 'h2'].map((name) => ({ host: name, realised: 8, state: 'realised', error: null })),
        { host: 'h3', realised: 3, state: 'away', error: null },
      ],
    },
  },
  'GET /v1/revisions/8/trace': {
    json: {
      ...{ revision: 8, trace_id: '0af7651916cd43dd8448eb211c80319c', received_us: RECEIVED_US },
      ...{ committed_us: RECEIVED_US + 3_120, published_us: RECEIVED_US + 4_900 },
      hosts: [stages('h1', 5_400), stages('h2', 5_950)],
    },
  },
};
