// SPDX-License-Identifier: Apache-2.0
/**
 * What a service, a pool or the network can't be, asked for through REST: each refused with field, value and fix, and what exists
 * stays. Whose an address is (S20) is here in detail; e2e/security has the row.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, type Harness, startHarness } from './harness.ts';

let weir: Harness;
const CONTROL = '198.51.100.200';
before(async () => {
  weir = await startHarness({ WEIR_INVENTORY_CONTROL_ADDRESSES: CONTROL });
  await weir.call('POST', '/v1/hosts', { name: 'alpha', underlay_ip4: '192.0.2.1', underlay_ip6: '2001:db8::1' });
  await weir.call('POST', '/v1/workloads', { name: 'w', namespace: 'red', host: 'alpha', ip4: '198.51.100.77' });
  for (const id of ['red.web', 'red.pooled']) good(await put(id, OTHERS[id] ?? {}));
});
after(() => weir.stop());

const put = (id: string, body: object): Promise<Answer> => weir.call('PUT', `/v1/services/${id}`, body);
const good = (answer: Answer): Answer['body'] => {
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body;
};

const BACKEND = { address: '198.51.100.1', port: 8080 };
const at = (address: string, more: object = {}) => ({
  frontends: [{ type: 'external-ip', address, port: 443, ...more }],
  backends: [{ ...BACKEND, ...(address.includes(':') ? { address: '2001:db8:1::1' } : {}) }],
});
const FREE = '203.0.113.20';
const service = (more: object) => ({ ...at(FREE), ...more });
const OTHERS: Readonly<Record<string, object>> = {
  'red.web': at('203.0.113.1', { port: 80 }),
  'red.pooled': {
    ...at('203.0.113.2', { port: 80 }),
    health_check_node_port: 30_100,
    external_traffic_policy: 'local',
  },
};

interface Wrong {
  readonly body: object;
  readonly field: string;
  readonly value?: unknown;
  readonly fix: RegExp;
}

const refused = async (what: string, answer: Answer, { field, value, fix }: Omit<Wrong, 'body'>): Promise<void> => {
  const { status, body } = answer;
  const text = `${what}: ${JSON.stringify(body)}`;
  assert.ok(status === 409 || status === 422, text);
  assert.equal(body.field, field, text);
  if (value !== undefined) assert.deepEqual(body.value, value, text);
  assert.ok(body.value !== undefined, `${text} has no value`);
  assert.match(body.fix ?? '', fix, text);
};

test('bad input is refused with field, value and fix', async () => {
  const check = { kind: 'tcp', period_ms: 1_000, timeout_ms: 2_000 };
  const wrong: Readonly<Record<string, Wrong>> = {
    'an address in no pool': {
      body: at('203.0.113.50', { type: 'load-balancer' }),
      ...{ field: 'frontends[0].address', value: '203.0.113.50', fix: /lb-pools/ },
    },
    'port 0': { body: at(FREE, { port: 0 }), field: 'frontends[0].port', value: 0, fix: /1 to 65535/ },
    'port 70000': { body: at(FREE, { port: 70_000 }), field: 'frontends[0].port', value: 70_000, fix: /65535/ },
    'two services on one frontend': {
      body: at('203.0.113.1', { port: 80 }),
      ...{ field: 'frontends[0]', value: '203.0.113.1:80/TCP', fix: /red\.web/ },
    },
    'weight 70000': {
      body: service({ backends: [{ ...BACKEND, weight: 70_000 }] }),
      ...{ field: 'backends[0].weight', value: 70_000, fix: /65535/ },
    },
    'weight -1': {
      body: service({ backends: [{ ...BACKEND, weight: -1 }] }),
      ...{ field: 'backends[0].weight', value: -1, fix: /0/ },
    },
    'a Maglev size not in the list': {
      body: service({ algorithm: 'maglev', maglev_size: 16_382 }),
      ...{ field: 'maglev_size', value: 16_382, fix: /251.*131071/ },
    },
    'a timeout over the period': {
      body: service({ health_check: check }),
      ...{ field: 'health_check.timeout_ms', value: 2_000, fix: /1000/ },
    },
    'a period of nothing': {
      body: service({ health_check: { ...check, period_ms: 0 } }),
      ...{ field: 'health_check.period_ms', value: 0, fix: /100/ },
    },
    'thresholds of nothing': {
      body: service({ health_check: { kind: 'tcp', unhealthy_after: 0 } }),
      ...{ field: 'health_check.unhealthy_after', value: 0, fix: /1/ },
    },
    'a kind of check that is none': {
      body: service({ health_check: { kind: 'sctp' } }),
      ...{ field: 'health_check.kind', value: 'sctp', fix: /tcp/ },
    },
    'TLS of what has none': {
      body: service({ health_check: { kind: 'tcp', tls: true } }),
      ...{ field: 'health_check.tls', value: true, fix: /https/ },
    },
    'certificates that are not checked, without TLS': {
      body: service({ health_check: { kind: 'grpc', insecure: true } }),
      ...{ field: 'health_check.insecure', value: true, fix: /grpc with tls/ },
    },
    'the fewest connections, of which no host sees the end': {
      body: service({ algorithm: 'least-connections', forwarding: 'dsr' }),
      ...{ field: 'forwarding', value: 'dsr', fix: /snat/ },
    },
    'a status that is over the highest': {
      body: service({ health_check: { kind: 'http', status_low: 400, status_high: 300 } }),
      ...{ field: 'health_check.status_low', value: 400, fix: /300/ },
    },
    'a health check port that is a node port': {
      body: {
        ...service({ health_check_node_port: 30_005, external_traffic_policy: 'local' }),
        frontends: [{ type: 'node-port', port: 30_005 }],
      },
      ...{ field: 'health_check_node_port', value: 30_005, fix: /another/ },
    },
    'a health check port of another service': {
      body: service({ health_check_node_port: 30_100, external_traffic_policy: 'local' }),
      ...{ field: 'health_check_node_port', value: '30100', fix: /another/ },
    },
    'a node port where another service tells its health': {
      body: { frontends: [{ type: 'node-port', port: 30_100 }], backends: [BACKEND] },
      ...{ field: 'frontends[0]', value: 'node port 30100/TCP', fix: /another/ },
    },
  };
  for (const [what, one] of Object.entries(wrong)) await refused(what, await put('blue.wrong', one.body), one);
  assert.equal((await weir.call('GET', '/v1/services/blue.wrong')).status, 404);
});

test('node ports and health check ports keep out of each other’s way', async () => {
  const ports = { frontends: [{ type: 'node-port' }], backends: [BACKEND] };
  const local = { health_check_node_port: 30_000, external_traffic_policy: 'local' };
  good(await put('red.pooled', { ...OTHERS['red.pooled'], ...local }));
  const given = good(await put('blue.ports', ports));
  assert.equal(given.frontends[0].port, 30_001, 'the first one is taken');
  const answer = await put('red.pooled', { ...OTHERS['red.pooled'], ...local, health_check_node_port: 30_001 });
  await refused('a node port', answer, { field: 'health_check_node_port', value: '30001', fix: /another/ });
  const udp = { frontends: [{ type: 'node-port', port: 30_000, protocol: 'UDP' }] };
  good(await put('blue.ports', { ...udp, backends: [{ ...BACKEND, protocol: 'UDP' }] }));
  good(await put('red.pooled', OTHERS['red.pooled'] ?? {}));
});

test('nobody gets an address that is somebody else’s', async () => {
  const taken: Readonly<Record<string, readonly [body: object, fix: RegExp, field?: string]>> = {
    'of another namespace': [at('203.0.113.1'), /sharing_key/],
    'of a host': [at('192.0.2.1'), /lb-pools/],
    'of a host, IPv6': [at('2001:db8::1'), /lb-pools/],
    'of a host, redirected': [at('192.0.2.1', { type: 'local-redirect' }), /lb-pools/],
    'of a pool of workloads': [at('10.77.3.4'), /lb-pools/],
    'of a pool of workloads, redirected': [at('10.77.3.4', { type: 'local-redirect' }), /lb-pools/],
    "a workload's own": [at('198.51.100.77'), /lb-pools/],
    'of the control plane': [at(CONTROL), /lb-pools/],
    'of the control plane, as a host port': [at(CONTROL, { type: 'host-port' }), /lb-pools/],
    loopback: [at('127.0.0.1'), /unicast/],
    'loopback, as a host port': [at('127.0.0.1', { type: 'host-port' }), /unicast/],
    'loopback, mapped': [at('::ffff:127.0.0.1'), /192\.0\.2\.7/],
    'loopback, IPv6': [at('::1'), /unicast/],
    'metadata of a cloud': [at('169.254.169.254'), /unicast/],
    'metadata of a cloud, redirected': [at('169.254.169.254', { type: 'local-redirect' }), /unicast/],
    'link-local, IPv6': [at('fe80::1'), /unicast/],
    multicast: [at('224.0.0.1'), /unicast/],
    'multicast, IPv6': [at('ff02::1'), /unicast/],
    broadcast: [at('255.255.255.255'), /unicast/],
    unspecified: [at('0.0.0.0'), /unicast/],
    'a host port at no host': [at('203.0.113.9', { type: 'host-port' }), /external-ip/],
    'SSH of a host': [at('192.0.2.1', { type: 'host-port', port: 22 }), /another port/, 'frontends[0].port'],
    'probes of a host': [at('192.0.2.1', { type: 'host-port', port: 4_240 }), /another port/, 'frontends[0].port'],
    'a backend that is a metadata service': [
      service({ backends: [{ address: '169.254.169.254', port: 80 }] }),
      ...([/unicast/, 'backends[0].address'] as const),
    ],
  };
  for (const [what, [body, fix, field = 'frontends[0].address']] of Object.entries(taken)) {
    await refused(what, await put('blue.thief', body), { field, fix });
  }
  good(await put('blue.host', at('192.0.2.1', { type: 'host-port', port: 8443 })));
  const shared = { sharing_key: 'edge', sharing_namespaces: ['*'] };
  good(await put('red.web', { ...OTHERS['red.web'], ...shared }));
  good(await put('blue.friend', { ...at('203.0.113.1'), ...shared }));
});

test('whoever comes second is refused: hosts, workloads, pools, prefixes', async () => {
  good(await put('blue.six', at('2001:db8:64::7', { port: 80 })));
  const host = (body: object) => weir.call('POST', '/v1/hosts', { name: 'beta', ...body });
  await refused('a host at a service', await host({ underlay_ip4: '203.0.113.1' }), {
    field: 'underlay_ip4',
    fix: /address/,
  });
  const workload = { name: 'late', namespace: 'red', host: 'alpha', ip4: '203.0.113.1' };
  await refused('a workload at a service', await weir.call('POST', '/v1/workloads', workload), {
    field: 'ip4',
    fix: /free/,
  });
  const prefix = (text: string) => weir.call('PUT', '/v1/network', { nat64: { prefix: text } });
  for (const text of ['2001:db8:64::/96', '2001:db8::/96']) {
    await refused(`${text} for NAT64`, await prefix(text), {
      field: 'nat64.prefix',
      value: text,
      fix: /64:ff9b::\/96/,
    });
  }
  good(await prefix('64:ff9b::/96'));
  await refused('a service in the prefix', await put('blue.nat', at('64:ff9b::7')), {
    ...{ field: 'frontends[0].address', value: '64:ff9b::7', fix: /lb-pools/ },
  });
  await refused('a host in the prefix', await host({ underlay_ip6: '64:ff9b::9' }), {
    field: 'underlay_ip6',
    fix: /address/,
  });
  const pool = (block: object) => weir.call('PUT', '/v1/lb-pools/edge', { blocks: [block] });
  const blocks: readonly (readonly [object, RegExp])[] = [
    [{ cidr: '64:ff9b::/120' }, /no pool/],
    [{ cidr: '192.0.2.0/24' }, /no pool/],
    [{ cidr: '198.51.100.192/27' }, /no pool/],
    [{ cidr: '10.77.0.0/24' }, /no pool/],
    [{ cidr: '169.254.1.0/24' }, /unicast/],
    [{ start: '169.253.255.0', stop: '169.255.0.9' }, /unicast/],
    [{ cidr: '239.0.0.0/24' }, /unicast/],
  ];
  for (const [block, fix] of blocks) {
    await refused(JSON.stringify(block), await pool(block), { field: 'blocks[0]', fix });
  }
  good(await pool({ cidr: '2001:db8:77::/120' }));
  await refused('NAT64 on a pool', await prefix('2001:db8:77::/96'), { field: 'nat64.prefix', fix: /64:ff9b/ });
});
