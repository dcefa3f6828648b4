// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { subjects } from '@weir/bus';
import { createPool } from '@weir/db';
import { type Harness, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness();
  for (const name of ['alpha', 'beta']) await weir.call('POST', '/v1/hosts', { name });
});
after(() => weir.stop());

const create = async (body: object) => weir.call('POST', '/v1/workloads', body);

test('a workload gets addresses of its host and an identity of its labels', async () => {
  const { status, body, headers } = await create({
    name: 'web',
    namespace: 'prod',
    host: 'alpha',
    labels: { app: 'web' },
    netns: '/run/netns/web',
    cgroup: 'system.slice/web.service',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  });
  assert.equal(status, 201);
  assert.deepEqual(
    [body.id, body.ip4, body.ip6, body.netns, body.cgroup, body.state, body.local_id],
    ['prod.web', '10.77.0.2', 'fd77::2', '/run/netns/web', 'system.slice/web.service', 'waiting-to-regenerate', null],
  );
  assert.ok(body.identity >= 256 && body.identity <= 65_535);
  assert.match(headers.get('etag') ?? '', new RegExp(`^"${body.revision}\\.[-\\w]+"$`));
  assert.deepEqual((await weir.call('GET', '/v1/workloads/prod.web')).body, body);
  const { body: identity } = await weir.call('GET', `/v1/identities/${body.identity}`);
  assert.deepEqual(identity, {
    identity: body.identity,
    labels: [
      'k8s:app=web',
      'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=prod',
      'k8s:io.kubernetes.pod.namespace=prod',
    ],
    workloads: 1,
  });
  assert.equal((await weir.call('GET', '/v1/namespaces/prod')).status, 200, 'the namespace came to be');
});

test('equal labels share an identity on any host, others differ', async () => {
  const first = (await weir.call('GET', '/v1/workloads/prod.web')).body.identity;
  const same = await create({ name: 'web-2', namespace: 'prod', host: 'beta', labels: { app: 'web' } });
  assert.equal(same.body.identity, first);
  for (const other of [
    { labels: { app: 'db' } },
    { labels: { app: 'web', tier: 'x' } },
    { namespace: 'default', labels: { app: 'web' } },
  ]) {
    const { body } = await create({
      name: `w${Math.random().toString(36).slice(2)}`,
      namespace: 'prod',
      host: 'beta',
      ...other,
    });
    assert.notEqual(body.identity, first);
  }
});

test('a workload that is a cgroup has the addresses of its host, and nothing that needs an interface', async () => {
  const unit = { name: 'unit', namespace: 'prod', host: 'beta', host_network: true, cgroup: 'system.slice/db.service' };
  const { status, body } = await create({ ...unit, labels: { app: 'db' } });
  assert.equal(status, 201);
  assert.deepEqual(
    [body.host_network, body.ip4, body.ip6, body.netns, body.cgroup],
    [true, null, null, null, unit.cgroup],
  );
  const cases: [object, number, string, unknown][] = [
    [{ ...unit, name: 'x', cgroup: undefined }, 422, 'cgroup', ''],
    [{ ...unit, name: 'x' }, 409, 'cgroup', unit.cgroup],
    [{ ...unit, name: 'x', cgroup: 'x', ip4: '10.77.0.9' }, 422, 'ip4', '10.77.0.9'],
    [{ ...unit, name: 'x', cgroup: 'x', netns: '/run/netns/x' }, 422, 'netns', '/run/netns/x'],
    [{ ...unit, name: 'x', cgroup: 'x', egress_bandwidth: '10M' }, 422, 'egress_bandwidth', '10M'],
  ];
  for (const [asked, wanted, field, value] of cases) {
    const answer = await create(asked);
    assert.deepEqual([answer.status, answer.body.field, answer.body.value], [wanted, field, value]);
  }
  const patched = await weir.call('PATCH', `/v1/workloads/${body.id}`, { source_check: false });
  assert.deepEqual([patched.status, patched.body.field], [422, 'source_check']);
  assert.equal((await weir.call('DELETE', `/v1/workloads/${body.id}`)).status, 204);
});

test('what is wrong is told with field, value and fix', async () => {
  const cases: [object, number, string, unknown][] = [
    [{ name: 'x', host: 'alpa' }, 422, 'host', 'alpa'],
    [{ name: 'web', namespace: 'prod', host: 'alpha' }, 409, 'name', 'web'],
    [{ name: 'Web', host: 'alpha' }, 422, 'name', 'Web'],
    [{ name: 'x', namespace: 'a.b', host: 'alpha' }, 422, 'namespace', 'a.b'],
    [{ name: 'x', host: 'alpha', netns: '../etc' }, 422, 'netns', '../etc'],
    [{ name: 'x', host: 'alpha', netns: '/run/../etc' }, 422, 'netns', '/run/../etc'],
    [{ name: 'x', host: 'alpha', cgroup: '/sys/fs/cgroup/x' }, 422, 'cgroup', '/sys/fs/cgroup/x'],
    [{ name: 'x', host: 'alpha', cgroup: 'a/../../b' }, 422, 'cgroup', 'a/../../b'],
    [{ name: 'x', host: 'alpha', ip4: '10.77.1.5' }, 422, 'ip4', '10.77.1.5'],
    [{ name: 'x', host: 'alpha', ip4: '10.77.0.0' }, 422, 'ip4', '10.77.0.0'],
    [{ name: 'x', host: 'alpha', ip4: '10.77.0.1' }, 422, 'ip4', '10.77.0.1'],
    [{ name: 'x', host: 'alpha', ip4: '10.77.0.255' }, 422, 'ip4', '10.77.0.255'],
    [{ name: 'x', host: 'alpha', ip4: '10.77.0.2' }, 409, 'ip4', '10.77.0.2'],
    [{ name: 'x', host: 'alpha', ip4: '127.0.0.9' }, 422, 'ip4', '127.0.0.9'],
    [{ name: 'x', host: 'alpha', ip6: 'ff02::1' }, 422, 'ip6', 'ff02::1'],
    [{ name: 'x', host: 'alpha', ip4: 'fd77::9' }, 422, 'ip4', 'fd77::9'],
    [{ name: 'x', host: 'alpha', ip6: 'fd77::1:9' }, 422, 'ip6', 'fd77::1:9'],
    [{ name: 'x', host: 'alpha', ip6: 'nonsense' }, 422, 'ip6', 'nonsense'],
    [{ name: 'x', host: 'alpha', ports: [{ name: 'http', port: 0, protocol: 'TCP' }] }, 422, 'ports[0].port', 0],
    [
      { name: 'x', host: 'alpha', ports: [{ name: 'http', port: 1, protocol: 'TPC' }] },
      422,
      'ports[0].protocol',
      'TPC',
    ],
    [{ name: 'x' }, 422, 'host', undefined],
  ];
  for (const [input, status, field, value] of cases) {
    const { body, ...answer } = await create(input);
    assert.equal(answer.status, status, JSON.stringify([input, body]));
    assert.deepEqual([body.field, body.value], [field, value], JSON.stringify(body));
    assert.ok(body.fix, JSON.stringify(body));
  }
  const twice = [1, 2].map((port) => ({ name: 'http', port, protocol: 'TCP' }));
  assert.equal((await create({ name: 'x', host: 'alpha', ports: twice })).body.field, 'ports[1].name');
  assert.equal(
    (await weir.call('GET', '/v1/workloads?namespace=default')).body.items.some(
      ({ name }: { name: string }) => name === 'x',
    ),
    false,
  );
});

test('nobody names himself into another namespace or identity (S17)', async () => {
  for (const key of [
    'reserved:host',
    'io.cilium.k8s.namespace.labels.team',
    'io.cilium.k8s.policy.serviceaccount',
    'io.kubernetes.pod.namespace',
    'k8s:io.kubernetes.pod.namespace',
    'any:app',
    'cidr:10.0.0.0/8',
  ]) {
    const { status, body } = await create({ name: 'spoof', host: 'alpha', labels: { [key]: 'prod' } });
    assert.equal(status, 422, key);
    assert.equal(body.errors[0].path, `labels.${key}`);
  }
  for (const labels of [
    { app: 'a\nk8s:x=y' },
    { app: 'a\u0000' },
    { 'app=x': '' },
    { '': 'x' },
    { app: 'x'.repeat(64) },
  ]) {
    assert.equal((await create({ name: 'spoof', host: 'alpha', labels })).status, 422, JSON.stringify(labels));
  }
  assert.equal((await weir.call('PATCH', '/v1/workloads/prod.web', { labels: { 'reserved:host': '' } })).status, 422);
});

test('an address that is asked for is given, and not to a second one', async () => {
  const fixed = await create({ name: 'fixed', host: 'alpha', ip4: '10.77.0.200', ip6: 'fd77:0::C8' });
  assert.deepEqual([fixed.body.ip4, fixed.body.ip6], ['10.77.0.200', 'fd77::c8']);
  const outside = await create({ name: 'outside', host: 'alpha', ip4: '192.0.2.77', ip6: '2001:db8::77' });
  assert.deepEqual([outside.body.ip4, outside.body.ip6], ['192.0.2.77', '2001:db8::77']);
  assert.equal((await create({ name: 'again', host: 'alpha', ip4: '192.0.2.77' })).status, 409);
  assert.equal((await create({ name: 'late', host: 'alpha', ip6: 'fd77::c8' })).status, 409);
});

test('an address goes over to another identity only when hosts have forgotten the first one (S17)', async () => {
  const fixed = { host: 'alpha', ip4: '192.0.2.88', ip6: '2001:db8::88' };
  const first = (await create({ ...fixed, name: 'was', labels: { app: 'was' } })).body;
  const alpha = await weir.agent('alpha');
  const says = async (inventory: bigint): Promise<void> => {
    alpha.nc.publish(
      subjects.hb.build({ host: 'alpha' }),
      subjects.hb.encode({ boot: 1n, version: '1', realised: { inventory } } as never),
    );
    for (let heard = ''; heard !== String(inventory); )
      heard = String((await weir.call('GET', '/v1/hosts/alpha')).body.realised?.inventory);
  };
  await says(BigInt(first.revision));
  assert.equal((await weir.call('DELETE', `/v1/workloads/${first.id}`)).status, 204);
  const early = await create({ ...fixed, name: 'is', labels: { app: 'is' } });
  assert.deepEqual([early.status, early.body.field, early.body.value], [409, 'ip4', '192.0.2.88']);
  assert.match(early.body.detail, /still is for alpha/);
  const again = await create({ ...fixed, name: 'moved', labels: { app: 'was' } });
  assert.equal(again.status, 201, 'of the same identity: nobody gains anything');
  assert.equal((await weir.call('DELETE', `/v1/workloads/${again.body.id}`)).status, 204);
  await says(BigInt(again.body.revision) + 1n);
  const late = await create({ ...fixed, name: 'is', labels: { app: 'is' } });
  assert.deepEqual([late.status, late.body.ip6], [201, '2001:db8::88']);
});

test('new labels give a new identity; ports alone do not; If-Match guards', async () => {
  const before = await weir.call('GET', '/v1/workloads/prod.web');
  const etag = before.headers.get('etag') ?? '';
  const ports = [{ name: 'metrics', port: 9090, protocol: 'TCP' }];
  const named = await weir.call('PATCH', '/v1/workloads/prod.web', { ports }, { 'if-match': etag });
  assert.deepEqual([named.status, named.body.identity, named.body.ports], [200, before.body.identity, ports]);
  assert.equal((await weir.call('PATCH', '/v1/workloads/prod.web', { ports }, { 'if-match': etag })).status, 412);
  const relabelled = await weir.call('PATCH', '/v1/workloads/prod.web', { labels: { app: 'api' } });
  assert.notEqual(relabelled.body.identity, before.body.identity);
  assert.deepEqual([relabelled.body.ports, relabelled.body.ip4], [ports, before.body.ip4]);
  const back = await weir.call('PATCH', '/v1/workloads/prod.web', { labels: { app: 'web' } });
  assert.equal(back.body.identity, before.body.identity, 'the set has its number for good');
});

test('an address that was given back is the last to be given again', async () => {
  const first = (await create({ name: 'short', host: 'beta' })).body;
  assert.equal((await weir.call('DELETE', `/v1/workloads/${first.id}`)).status, 204);
  assert.equal((await weir.call('GET', `/v1/workloads/${first.id}`)).status, 404);
  const next = (await create({ name: 'short', host: 'beta' })).body;
  assert.notEqual(next.ip4, first.ip4);
  assert.notEqual(next.ip6, first.ip6);
  assert.equal(next.identity, first.identity);
});

test('filters: host, namespace, identity, labels (all of them)', async () => {
  const ids = async (query: string): Promise<string[]> =>
    (await weir.call('GET', `/v1/workloads?${query}`)).body.items.map(({ id }: { id: string }) => id);
  await create({ name: 'f1', namespace: 'filter', host: 'alpha', labels: { app: 'web', tier: 'a' } });
  await create({ name: 'f2', namespace: 'filter', host: 'beta', labels: { app: 'web', tier: 'b' } });
  assert.deepEqual(await ids('namespace=filter'), ['filter.f1', 'filter.f2']);
  assert.deepEqual(await ids('namespace=filter&host=beta'), ['filter.f2']);
  assert.deepEqual(await ids('namespace=filter&label=app%3Dweb'), ['filter.f1', 'filter.f2']);
  assert.deepEqual(await ids('label=app%3Dweb&label=tier%3Da'), ['filter.f1']);
  const { identity } = (await weir.call('GET', '/v1/workloads/filter.f1')).body;
  assert.deepEqual(await ids(`identity=${identity}`), ['filter.f1']);
  assert.deepEqual(await ids('identity=99999999999'), []);
  assert.equal((await weir.call('GET', '/v1/workloads?label=app')).body.field, 'label');
  const page = (await weir.call('GET', '/v1/workloads?namespace=filter&limit=1')).body;
  assert.deepEqual(await ids(`namespace=filter&limit=1&cursor=${page.next_cursor}`), ['filter.f2']);
});

test('texts in filters are texts, whatever they look like (S10)', async () => {
  for (const value of ["' or true --", '%', '_', '\\', '"; drop table hosts; --', '{}', '\u{1f600}']) {
    for (const field of ['host', 'namespace']) {
      const { status, body } = await weir.call('GET', `/v1/workloads?${field}=${encodeURIComponent(value)}`);
      assert.deepEqual([status, body.items], [200, []], `${field}=${value}`);
    }
    assert.equal((await weir.call('GET', `/v1/workloads/${encodeURIComponent(value)}`)).status, 404);
  }
  const zero = await weir.call('GET', '/v1/workloads?host=%00');
  assert.ok(zero.status < 500, `a zero byte: ${zero.status}`);
  assert.ok((await weir.call('GET', '/v1/workloads/%00')).status < 500);
  assert.ok((await weir.call('POST', '/v1/hosts', { name: '\u0000' })).status < 500);
});

test('fifty workloads at once on one host: no address twice, one identity per set of labels', async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      create({
        name: `c${index}`,
        namespace: 'crowd',
        host: index % 2 ? 'alpha' : 'beta',
        labels: { group: `g${index % 5}` },
      }),
    ),
  );
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
  const bodies = answers.map(({ body }) => body);
  assert.equal(new Set(bodies.map(({ ip4 }) => ip4)).size, 50);
  assert.equal(new Set(bodies.map(({ ip6 }) => ip6)).size, 50);
  assert.equal(new Set(bodies.map(({ identity }) => identity)).size, 5);
  assert.equal(new Set(bodies.map(({ revision }) => revision)).size, 50);
});

test('changes against each other at once: labels, namespace, creation, deletion all come through', async () => {
  await create({ name: 'steady', namespace: 'storm', host: 'alpha', labels: { app: 'x' } });
  const work = Array.from({ length: 40 }, (_, index) => {
    switch (index % 4) {
      case 0:
        return weir.call('PATCH', '/v1/workloads/storm.steady', { labels: { app: `v${index}` } });
      case 1:
        return weir.call('PUT', '/v1/namespaces/storm', { labels: { round: `r${index}` } });
      case 2:
        return create({ name: `s${index}`, namespace: 'storm', host: 'beta', labels: { app: `v${index - 2}` } });
      default:
        return create({ name: `d${index}`, namespace: 'storm', host: 'alpha' }).then(({ body }) =>
          weir.call('DELETE', `/v1/workloads/${body.id}`),
        );
    }
  });
  const statuses = (await Promise.all(work)).map(({ status }) => status);
  assert.ok(
    statuses.every((status) => status < 300),
    statuses.join(' '),
  );
  const { labels } = (await weir.call('GET', '/v1/namespaces/storm')).body;
  for (const workload of (await weir.call('GET', '/v1/workloads?namespace=storm')).body.items) {
    const identity = (await weir.call('GET', `/v1/identities/${workload.identity}`)).body;
    assert.ok(identity.labels.includes(`k8s:io.cilium.k8s.namespace.labels.round=${labels.round}`), workload.id);
    if (workload.labels.app) assert.ok(identity.labels.includes(`k8s:app=${workload.labels.app}`), workload.id);
  }
});

test('the largest set of labels has an identity', async () => {
  const prefix = `${'p'.repeat(60)}.${'q'.repeat(60)}.${'r'.repeat(60)}.${'s'.repeat(60)}`;
  const labels = Object.fromEntries(
    Array.from({ length: 64 }, (_, index) => [`${prefix}/${'n'.repeat(60)}${index}`, 'v'.repeat(63)]),
  );
  const { status, body } = await create({ name: 'large', host: 'alpha', labels });
  assert.equal(status, 201, JSON.stringify(body).slice(0, 500));
  assert.equal((await create({ name: 'larger', host: 'alpha', labels: { ...labels, more: '' } })).status, 422);
});

test('a full pool refuses, and rather waits than gives an address that was in use a moment ago', async () => {
  const pool = createPool({ url: weir.database.url, schema: 'inventory' });
  await weir.call('PUT', '/v1/pools/tiny', { cidrs: ['10.99.0.0/29', 'fd99::/64'], block_bits4: 29 });
  const fill = (name: string) => create({ name, host: 'alpha', pool: 'tiny' });
  for (let i = 0; i < 5; i++) assert.equal((await fill(`fill${i}`)).status, 201);
  const full = await fill('next');
  assert.deepEqual([full.status, full.body.code, full.body.field], [409, 'CONFLICT', 'host']);
  const { body: one } = await weir.call('GET', '/v1/workloads/default.fill2');
  await weir.call('DELETE', '/v1/workloads/default.fill2');
  assert.equal((await fill('next')).status, 409, 'at rest');
  await pool.query("update released_addresses set released_at = now() - interval '10 seconds'");
  const reused = await fill('next');
  assert.deepEqual([reused.status, reused.body.ip4], [201, one.ip4]);
  await pool.end();
});

test('numbers of identities go around and skip those in use; when all are taken it says so', async () => {
  const pool = createPool({ url: weir.database.url, schema: 'inventory', statementTimeoutMs: 0 });
  await pool.query(
    `insert into identities (identity, labels, labels_hash)
     select n, array['k8s:n=' || n], sha256(convert_to('fill' || n, 'UTF8')) from generate_series(256, 65535) n
     where n <> 300 and not exists (select 1 from identities where identity = n)`,
  );
  await pool.query(
    'delete from identities where identity = 300 and not exists (select 1 from workloads where identity = 300)',
  );
  const last = await create({ name: 'last', host: 'alpha', labels: { very: 'last' } });
  assert.deepEqual([last.status, last.body.identity], [201, 300]);
  const none = await create({ name: 'none', host: 'alpha', labels: { one: 'more' } });
  assert.deepEqual([none.status, none.body.code, none.body.field], [409, 'CONFLICT', 'labels']);
  assert.equal((await create({ name: 'known', host: 'alpha', labels: { very: 'last' } })).body.identity, 300);
  await pool.end();
});
