// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { type ConfigWatcher, publishAck, subjects } from '@weir/bus';
import { BackendState, type LoadBalancerService as Document } from '@weir/proto/weir/bus/v1/config_pb.js';
import { LoadBalancerService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { type Answer, eventually, type Harness, startHarness } from './harness.ts';

let weir: Harness;
let watcher: ConfigWatcher;
before(async () => {
  weir = await startHarness();
  watcher = await weir.follow();
  const zone = { 'topology.kubernetes.io/zone': 'a' };
  await weir.call('POST', '/v1/hosts', { name: 'alpha', underlay_ip4: '192.0.2.1', labels: zone });
});
after(async () => {
  await watcher.stop();
  await weir.stop();
});

const frontend = (more: object = {}) => ({ type: 'none', address: '203.0.113.1', port: 80, ...more });
const BACKEND = { address: '198.51.100.1', port: 8080 };
const BASE = { frontends: [frontend()], backends: [BACKEND] };
const put = (id: string, body: object, headers?: Record<string, string>) =>
  weir.call('PUT', `/v1/services/${id}`, body, headers);
const good = (answer: Answer): Answer['body'] => {
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
  return answer.body;
};
const documentOf = (id: string, revision: number): Promise<Document> =>
  eventually(`document ${revision} of ${id}`, () => {
    const document = watcher.get(subjects.cfgService.build({ key: id }))?.document;
    if (document?.body.case !== 'service' || Number(document.revision) < revision) return undefined;
    return document.body.value;
  });

test('a service is created once, told to the hosts, replaced, listed and removed', async () => {
  const input = { name: 'web', namespace: 'shop', labels: { team: 'blue' }, ...BASE, algorithm: 'maglev' };
  const key = { 'idempotency-key': 'one' };
  const made = await weir.call('POST', '/v1/services', input, key);
  assert.deepEqual(
    [made.status, made.headers.get('location')],
    [201, '/v1/services/shop.web'],
    JSON.stringify(made.body),
  );
  assert.deepEqual((await weir.call('POST', '/v1/services', input, key)).body, made.body);
  assert.equal((await weir.call('POST', '/v1/services', input)).body.code, 'CONFLICT');
  const { body } = made;
  assert.deepEqual([body.spec.maglev_size, body.backends[0].weight, body.backends[0].state], [32_749, 100, 'active']);
  const document = await documentOf('shop.web', body.revision);
  assert.deepEqual([document.number, document.namespace, document.name], [body.number, 'shop', 'web']);
  assert.deepEqual(
    [document.frontends[0]?.address, document.frontends[0]?.port, document.frontends[0]?.protocol],
    ['203.0.113.1', 80, 6],
  );
  assert.equal(document.backends[0]?.state, BackendState.ACTIVE);

  const tag = { 'if-match': made.headers.get('etag') ?? '' };
  const { algorithm: _, name: _n, namespace: _ns, ...rest } = input;
  const more = { ...rest, algorithm: 'maglev', frontends: [frontend({ port: 443 }), frontend()] };
  const replaced = good(await put('shop.web', more, tag));
  const numbers = new Map(replaced.frontends.map((one: { port: number; number: number }) => [one.port, one.number]));
  assert.equal(numbers.get(80), body.frontends[0].number, 'a frontend that stays keeps its number');
  assert.equal((await put('shop.web', more, tag)).status, 412);
  assert.equal((await put('shop.web', more, { 'if-none-match': '*' })).status, 412);
  assert.deepEqual((await put('shop.web', { ...more, algorithm: 'random' })).body.field, 'algorithm');
  assert.equal(good(await put('shop.web', more)).revision, replaced.revision, 'what is there is not written again');
  const tried = good(await put('shop.web?dry_run=true', { ...more, frontends: [frontend({ port: 444 })] }));
  assert.equal(tried.frontends[0].port, 444);
  assert.equal((await put('shop.new?dry_run=true', BASE)).body.field, 'frontends[0]', 'also what others have');
  const { body: list } = await weir.call('GET', '/v1/services?namespace=shop&label=team=blue');
  assert.deepEqual(list.items, [replaced]);
  assert.equal((await weir.call('DELETE', '/v1/namespaces/shop')).status, 409);
  assert.equal((await weir.call('DELETE', '/v1/services/shop.web')).status, 204);
  const subject = subjects.cfgService.build({ key: 'shop.web' });
  await eventually('the removal', () => !watcher.get(subject) || watcher.get(subject)?.removed || undefined);
  const again = good(await put('shop.web', { ...BASE, algorithm: 'random' }));
  assert.ok(again.number > body.number, 'numbers are never used again');
  assert.equal(again.backends[0].number, body.backends[0].number, 'one address and port, one number');
  good(await weir.call('DELETE', '/v1/services/shop.web'));
});

test('what could not be is refused with field, value and fix', async () => {
  const cases: [object, string, RegExp][] = [
    [{ ...BASE, frontends: [frontend({ type: 'load-balancer' })] }, 'frontends[0].address', /GET \/v1\/lb-pools/],
    [{ ...BASE, frontends: [frontend({ port: 0 })] }, 'frontends[0].port', /1 to 65535/],
    [{ ...BASE, frontends: [frontend({ port: 70_000 })] }, 'frontends[0].port', /65535/],
    [{ ...BASE, frontends: [] }, 'frontends', /one frontend/],
    [{ ...BASE, frontends: [frontend({ address: '' })] }, 'frontends[0].address', /load-balancer/],
    [{ ...BASE, frontends: [frontend({ address: '127.0.0.1' })] }, 'frontends[0].address', /unicast/],
    [{ ...BASE, frontends: [frontend(), frontend()] }, 'frontends[1]', /leave one out/],
    [{ ...BASE, frontends: [frontend(), frontend({ type: 'node-port' })] }, 'frontends[1].address', /host-port/],
    [{ ...BASE, frontends: [{ type: 'node-port', port: 80 }] }, 'frontends[0].port', /30000/],
    [{ ...BASE, backends: [{ ...BACKEND, weight: 70_000 }] }, 'backends[0].weight', /65535/],
    [{ ...BASE, backends: [{ ...BACKEND, port: 0 }] }, 'backends[0].port', /1/],
    [{ ...BASE, backends: [BACKEND, BACKEND] }, 'backends[1]', /leave one out/],
    [{ ...BASE, backends: [{ ...BACKEND, port_name: 'x' }] }, 'backends[0]', /port_name/],
    [{ ...BASE, backends: [{ ...BACKEND, address: '2001:db8::1' }] }, 'backends[0]', /family/],
    [{ ...BASE, backends: [{ ...BACKEND, weight: 0, state: 'active' }] }, 'backends[0].weight', /1 to 65535/],
    [{ ...BASE, algorithm: 'maglev', maglev_size: 1_000 }, 'maglev_size', /251, 509/],
    [{ ...BASE, maglev_size: 251 }, 'maglev_size', /maglev/],
    [{ ...BASE, algorithm: 'magle' }, 'algorithm', /maglev/],
    [{ ...BASE, source_ranges: ['10.0.0.1/8'] }, 'source_ranges[0]', /10\.0\.0\.0\/8/],
    [{ ...BASE, affinity_timeout_s: 0x100_0000 }, 'affinity_timeout_s', /16777215/],
    [
      { ...BASE, health_check: { kind: 'tcp', period_ms: 1_000, timeout_ms: 2_000 } },
      'health_check.timeout_ms',
      /1000/,
    ],
    [{ ...BASE, health_check: { kind: 'tcp', path: '/' } }, 'health_check.path', /http/],
    [{ ...BASE, sharing_namespaces: ['a'] }, 'sharing_namespaces', /sharing_key/],
    [{ ...BASE, targets: [{ port: 80 }] }, 'targets', /selector/],
    [{ ...BASE, selector: {}, targets: [{ port: 80, port_name: 'x' }] }, 'targets[0].port_name', /frontend/],
    [{ ...BASE, selector: { match_labels: { 'a b': 'c' } } }, 'selector.match_labels.a b', /k8s:app/],
    [{ ...BASE, health_check_node_port: 30_001 }, 'health_check_node_port', /local/],
    [{ ...BASE, frontends: [frontend({ service: 'web' })] }, 'frontends[0].service', /local-redirect/],
    [
      { ...BASE, frontends: [frontend({ type: 'local-redirect', service: 'web' })] },
      'frontends[0].service',
      /one of both/,
    ],
    [{ ...BASE, frontends: [{ type: 'local-redirect', port: 80 }] }, 'frontends[0].address', /the service/],
    [{ ...BASE, skip_redirect_from_backends: true }, 'skip_redirect_from_backends', /leave it out/],
    [{ ...BASE, fronted: 1 }, 'fronted', /frontends/],
  ];
  for (const [input, field, fix] of cases) {
    const { status, body } = await put('default.wrong', input);
    assert.deepEqual([status, body.field], [422, field], JSON.stringify(body));
    assert.match(body.fix ?? '', fix, JSON.stringify(body));
  }
  assert.equal((await put('wrong', BASE)).body.field, 'id');
  assert.equal((await weir.call('GET', '/v1/services/default.wrong')).body.code, 'NOT_FOUND');
});

test('one frontend belongs to one service; external and internal scope are two', async () => {
  good(await put('default.one', { ...BASE, frontends: [frontend({ scope: 'external' })] }));
  const { status, body } = await put('default.two', BASE);
  assert.deepEqual([status, body.field, body.value], [409, 'frontends[0]', '203.0.113.1:80/TCP']);
  assert.match(body.detail, /default\.one/);
  good(await put('default.two', { ...BASE, frontends: [frontend({ scope: 'internal' }), frontend({ port: 81 })] }));
  const both = await Promise.all(
    ['three', 'four', 'five'].map((name) =>
      put(`${name}.race`, { ...BASE, frontends: [frontend({ address: '203.0.113.90' })] }),
    ),
  );
  assert.deepEqual(both.map(({ status }) => status).sort(), [200, 409, 409]);
  for (const id of ['default.one', 'default.two']) good(await weir.call('DELETE', `/v1/services/${id}`));
});

test('LB-15: a redirect lies over what a service of its namespace has, and follows it', async () => {
  const at = (address: string, more: object = {}) => frontend({ address, ...more });
  const redirect = (more: object) => ({ ...BASE, frontends: [{ type: 'local-redirect', port: 80, ...more }] });
  const addressesOf = async (id: string): Promise<string[]> =>
    (await weir.call('GET', `/v1/services/${id}`)).body.frontends.map((one: { address: string }) => one.address);
  const told = async (id: string): Promise<string[]> => {
    const { body } = await weir.call('GET', `/v1/services/${id}`);
    return (await documentOf(id, body.revision)).frontends.map(({ address }) => address);
  };
  good(await put('dns.upstream', { ...BASE, frontends: [at('203.0.113.20'), at('203.0.113.20', { port: 81 })] }));
  good(await put('dns.by-address', redirect({ address: '203.0.113.20' })));
  const second = await put('dns.again', redirect({ address: '203.0.113.20' }));
  assert.deepEqual([second.status, second.body.field], [409, 'frontends[0]'], 'but not over another redirect');
  const foreign = await put('evil.redirect', redirect({ address: '203.0.113.20' }));
  assert.deepEqual([foreign.status, foreign.body.field], [409, 'frontends[0]'], 'nor over another namespace');
  good(await put('evil.by-name', redirect({ service: 'upstream' })));
  assert.deepEqual(await addressesOf('evil.by-name'), [], 'which has no service of that name');
  good(await weir.call('DELETE', '/v1/services/dns.by-address'));

  good(await put('dns.by-name', { ...redirect({ service: 'upstream' }), skip_redirect_from_backends: true }));
  assert.deepEqual(await told('dns.by-name'), ['203.0.113.20']);
  good(
    await put('dns.upstream', {
      ...BASE,
      frontends: [at('203.0.113.21'), at('2001:db8::21'), at('203.0.113.22', { scope: 'external' })],
    }),
  );
  assert.deepEqual((await told('dns.by-name')).sort(), ['2001:db8::21', '203.0.113.21']);
  const named = (port: number, port_name: string) => at('203.0.113.24', { port, port_name });
  const backends = [{ ...BACKEND, port_name: 'a' }];
  good(await put('dns.upstream', { frontends: [named(53, 'a'), named(54, 'b'), named(55, 'a')], backends }));
  const whole = { frontends: [{ type: 'local-redirect', service: 'upstream', port: 0, port_name: 'a' }], backends };
  const { frontends } = good(await put('dns.all', whole));
  assert.deepEqual(
    frontends.map((one: { port: number }) => one.port),
    [53, 55],
  );
  good(await weir.call('DELETE', '/v1/services/dns.all'));
  good(await weir.call('DELETE', '/v1/services/dns.upstream'));
  assert.deepEqual(await told('dns.by-name'), []);
  good(await put('dns.upstream', { ...BASE, frontends: [at('203.0.113.23')] }));
  const { body } = await weir.call('GET', '/v1/services/dns.by-name');
  const document = await documentOf('dns.by-name', body.revision);
  assert.deepEqual([document.frontends[0]?.address, document.skipRedirectFromBackends], ['203.0.113.23', true]);
  for (const id of ['dns.by-name', 'dns.upstream', 'evil.by-name'])
    good(await weir.call('DELETE', `/v1/services/${id}`));
});

test('node ports are given out of the range, kept, and of the range while they are used', async () => {
  const ports = (port: number) => ({ ...BASE, frontends: [{ type: 'node-port', port }, { type: 'node-port' }] });
  const first = good(await put('default.np', ports(30_005)));
  assert.deepEqual(
    first.frontends.map((one: { port: number; address: unknown }) => [one.port, one.address]),
    [
      [30_005, null],
      [30_000, null],
    ],
  );
  assert.equal((await put('default.np2', ports(30_005))).body.field, 'frontends[0]');
  const other = good(await put('default.np2', ports(30_000 + 17)));
  assert.deepEqual(
    other.frontends.map((one: { port: number }) => one.port),
    [30_017, 30_001],
  );
  assert.deepEqual(good(await put('default.np2', ports(30_017))).frontends, other.frontends);
  const narrow = await weir.call('PUT', '/v1/network', { services: { node_port_low: 30_010 } });
  assert.deepEqual([narrow.status, narrow.body.field], [409, 'services.node_port_low'], JSON.stringify(narrow.body));
  const seed = await weir.call('PUT', '/v1/network', { services: { maglev_seed: 'AAAA' } });
  assert.deepEqual([seed.status, seed.body.field], [422, 'services.maglev_seed']);
  for (const id of ['default.np', 'default.np2']) good(await weir.call('DELETE', `/v1/services/${id}`));
});

test('a backend goes from state to state as it may; a replacement keeps what somebody set', async () => {
  const backends = [BACKEND, { ...BACKEND, port: 8081, weight: 7 }];
  const made = good(await put('default.states', { ...BASE, backends }));
  const [one, two] = made.backends.map(({ number }: { number: number }) => number);
  const patch = (number: number, body: object) =>
    weir.call('PATCH', `/v1/services/default.states/backends/${number}`, body);
  const states = (body: Answer['body']) =>
    body.backends.map(({ state, weight }: { state: string; weight: number }) => `${state} ${weight}`);
  const down = good(await patch(one, { state: 'maintenance', reason: 'new disk' }));
  assert.deepEqual([states(down), down.backends[0].reason], [['maintenance 100', 'active 7'], 'new disk']);
  const document = await documentOf('default.states', down.revision);
  assert.deepEqual(
    document.backends.map(({ state }) => state),
    [BackendState.MAINTENANCE, BackendState.ACTIVE],
  );
  assert.deepEqual(states(good(await put('default.states', { ...BASE, backends }))), ['maintenance 100', 'active 7']);
  assert.deepEqual((await patch(one, { state: 'quarantined' })).body.field, 'state');
  assert.deepEqual(states(good(await patch(one, { state: 'active' }))), ['active 100', 'active 7']);
  assert.deepEqual(states(good(await patch(two, { weight: 0 }))), ['active 100', 'maintenance 0']);
  assert.deepEqual(states(good(await patch(two, { weight: 9 }))), ['active 100', 'active 9']);
  assert.deepEqual(states(good(await patch(two, { state: 'quarantined' }))), ['active 100', 'quarantined 9']);
  assert.deepEqual(states(good(await patch(two, { state: 'terminating' }))), ['active 100', 'terminating 9']);
  const back = await patch(two, { state: 'active' });
  assert.deepEqual([back.status, back.body.field], [409, 'state']);
  assert.match(back.body.fix, /final/);
  assert.equal((await patch(99_999, { weight: 1 })).body.code, 'NOT_FOUND');
  assert.equal((await patch(one, {})).status, 422);
  good(await weir.call('DELETE', '/v1/services/default.states'));
});

test('workloads that the selector matches are backends while they match', async () => {
  const workload = (name: string, body: object) =>
    weir.call('POST', '/v1/workloads', { name, namespace: 'sel', host: 'alpha', ...body });
  const ports = [{ name: 'http', port: 8088, protocol: 'TCP' }];
  const agent = await weir.agent('alpha');
  let acks = 0;
  const connected = (...names: string[]) => {
    const workloads = names.map((name) => ({ id: `sel.${name}`, state: 'ready' }));
    acks += 1;
    return publishAck(
      agent.js,
      subjects.ack.build({ host: 'alpha' }),
      subjects.ack.encode({ boot: 1n, realised: {}, timeMs: 1n, workloads }),
      `alpha:1:${acks}`,
    );
  };
  const first = good(await workload('w1', { labels: { app: 'web', v: '1' }, ports }));
  const spec = {
    frontends: [frontend({ port: 8000 })],
    selector: { match_labels: { app: 'web' }, match_expressions: [{ key: 'v', operator: 'In', values: ['1', '2'] }] },
    targets: [{ port: 'http' }],
  };
  const show = async () =>
    good(await weir.call('GET', '/v1/services/sel.web')).backends.map((one: Record<string, unknown>) =>
      [one.workload, one.address, one.port, one.state, one.host, one.zone].join(' '),
    );
  const made = good(await put('sel.web', spec));
  assert.deepEqual(await show(), [`sel.w1 ${first.ip4} 8088 quarantined alpha a`], 'nobody reaches it yet');
  const shows = (...lines: string[]) =>
    eventually(lines.join(), async () => (isDeepStrictEqual(await show(), lines) ? true : undefined));
  await connected('w1');
  await shows(`sel.w1 ${first.ip4} 8088 active alpha a`);
  const number = made.backends[0].number;
  good(await weir.call('PATCH', `/v1/services/sel.web/backends/${number}`, { state: 'maintenance' }));
  const { revision } = good(await weir.call('GET', '/v1/services/sel.web'));
  good(await workload('w3', { labels: { app: 'other', v: '1' }, ports }));
  good(await workload('w4', { labels: { app: 'web', v: '3' }, ports }));
  good(await workload('w5', { labels: { app: 'web', v: '1' } }));
  assert.equal(good(await weir.call('GET', '/v1/services/sel.web')).revision, revision, 'written when it changes only');
  const second = good(await workload('w2', { labels: { app: 'web', v: '2' }, ports }));
  await connected('w1', 'w2', 'w3');
  await shows(`sel.w1 ${first.ip4} 8088 maintenance alpha a`, `sel.w2 ${second.ip4} 8088 active alpha a`);
  good(await weir.call('PATCH', '/v1/workloads/sel.w3', { labels: { app: 'web', v: '1' } }));
  good(await weir.call('PATCH', '/v1/workloads/sel.w2', { ports: [{ ...ports[0], port: 9000 }] }));
  good(await weir.call('DELETE', '/v1/workloads/sel.w1'));
  good(await weir.call('PATCH', '/v1/hosts/alpha', { labels: { 'topology.kubernetes.io/zone': 'b' } }));
  const now = await show();
  assert.deepEqual(now.map((line: string) => line.replace(/ \d+\.\d+\.\d+\.\d+/, '')).sort(), [
    'sel.w2 9000 active alpha b',
    'sel.w3 8088 active alpha b',
  ]);
  const last = good(await weir.call('GET', '/v1/services/sel.web'));
  const document = await documentOf('sel.web', last.revision);
  assert.deepEqual(document.backends.map(({ workloadId, zone }) => [workloadId, zone]).sort(), [
    ['sel.w2', 'b'],
    ['sel.w3', 'b'],
  ]);
  // Those that come at once with the service are seen by one of the two.
  await Promise.all([
    put('sel.race', { ...spec, frontends: [frontend({ port: 8001 })] }),
    ...Array.from({ length: 8 }, (_, i) => workload(`r${i}`, { labels: { app: 'web', v: '2' }, ports })),
  ]);
  assert.equal(good(await weir.call('GET', '/v1/services/sel.race')).backends.length, 10);
  assert.equal((await show()).length, 10);
});

test('gRPC sets and shows the same', async () => {
  const client = createRpcClient(LoadBalancerService, weir.app.grpc ?? '');
  try {
    const { service } = await client.createService({
      name: 'grpc',
      spec: {
        frontends: [{ type: 'external-ip', address: '203.0.113.9', port: 53, protocol: 'UDP' }],
        backends: [{ address: '198.51.100.9', port: 53, protocol: 'UDP', weight: 3 }],
        healthCheck: { kind: 'tcp', periodMs: 500, timeoutMs: 100 },
      },
    });
    const { body } = await weir.call('GET', '/v1/services/default.grpc');
    assert.deepEqual(
      [service?.id, Number(service?.revision), service?.backends[0]?.weight, service?.spec?.healthCheck?.periodMs],
      ['default.grpc', body.revision, 3, 500],
    );
    const number = service?.backends[0]?.number ?? 0;
    const zero = await client.updateBackend({ id: 'default.grpc', number, weight: 0 });
    assert.equal(zero.service?.backends[0]?.state, 'maintenance');
    assert.equal((await client.listServices({ namespace: 'default' })).services.length, 1);
    await assert.rejects(
      client.putService({ id: 'default.grpc', spec: { frontends: [{ address: '203.0.113.9' }] } }),
      /frontends\[0\]\.port/,
    );
    await client.deleteService({ id: 'default.grpc' });
    await assert.rejects(client.getService({ id: 'default.grpc' }), /there is no service/);
  } finally {
    client.close();
  }
});
