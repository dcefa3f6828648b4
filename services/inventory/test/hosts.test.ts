// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Harness, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness({ WEIR_INVENTORY_POOL4: '10.77.0.0/21' });
});
after(() => weir.stop());

test('a host gets a pool of each family, an ETag and a place', async () => {
  const { status, body, headers } = await weir.call('POST', '/v1/hosts', {
    name: 'alpha',
    labels: { rack: 'r1' },
    underlay_ip4: '192.0.2.1',
    underlay_ip6: '2001:DB8::0001',
  });
  assert.equal(status, 201);
  assert.deepEqual(body.pools, ['10.77.0.0/24', 'fd77::/112']);
  assert.deepEqual(
    [body.id, body.name, body.state, body.last_seen_at, body.boot],
    ['alpha', 'alpha', 'never-seen', null, null],
  );
  assert.equal(body.underlay_ip6, '2001:db8::1');
  assert.match(headers.get('etag') ?? '', new RegExp(`^"${body.revision}\\.[-\\w]+"$`));
  assert.equal(headers.get('location'), '/v1/hosts/alpha');
  assert.deepEqual((await weir.call('GET', '/v1/hosts/alpha')).body, body);
});

test('what is wrong is told with field, value and fix', async () => {
  const cases: [object, number, string, unknown][] = [
    [{ name: 'Alpha' }, 422, 'name', 'Alpha'],
    [{ name: 'a.b' }, 422, 'name', 'a.b'],
    [{ name: '' }, 422, 'name', ''],
    [{ name: 'x'.repeat(64) }, 422, 'name', 'x'.repeat(64)],
    [{ name: 'alpha' }, 409, 'name', 'alpha'],
    [{ name: 'other', underlay_ip4: '192.0.2.1' }, 409, 'underlay_ip4', '192.0.2.1'],
    [{ name: 'other', underlay_ip4: '2001:db8::2' }, 422, 'underlay_ip4', '2001:db8::2'],
    [{ name: 'other', underlay_ip4: '127.0.0.1' }, 422, 'underlay_ip4', '127.0.0.1'],
    [{ name: 'other', underlay_ip4: '10.77.3.4' }, 422, 'underlay_ip4', '10.77.3.4'],
    [{ name: 'other', underlay_ip6: 'fe80::1' }, 422, 'underlay_ip6', 'fe80::1'],
    [{ name: 'other', underlay_ip6: 'nonsense' }, 422, 'underlay_ip6', 'nonsense'],
    [{ name: 'other', nmae: 1 }, 422, 'nmae', 1],
  ];
  for (const [input, status, field, value] of cases) {
    const { body, ...answer } = await weir.call('POST', '/v1/hosts', input);
    assert.equal(answer.status, status, JSON.stringify(input));
    assert.deepEqual([body.field, body.value], [field, value], JSON.stringify(body));
    assert.ok(body.fix, JSON.stringify(body));
    assert.match(answer.headers.get('content-type') ?? '', /problem\+json/);
  }
  assert.equal((await weir.call('GET', '/v1/hosts/none')).body.code, 'NOT_FOUND');
});

test('labels in reserved prefixes, with sources or of wrong form are refused, each by its name', async () => {
  const labels = {
    'reserved:host': '',
    'io.cilium.k8s.policy.cluster': 'x',
    'k8s:app': 'web',
    'a b': '',
    ok: 'x y',
    fine: 'yes',
  };
  const { status, body } = await weir.call('POST', '/v1/hosts', { name: 'other', labels });
  assert.equal(status, 422);
  assert.deepEqual(body.errors.map((issue: { path: string }) => issue.path).sort(), [
    'labels.a b',
    'labels.io.cilium.k8s.policy.cluster',
    'labels.k8s:app',
    'labels.ok',
    'labels.reserved:host',
  ]);
});

test('a change needs the newest ETag when it names one; what is not given stays', async () => {
  const { body, headers } = await weir.call('GET', '/v1/hosts/alpha');
  const etag = headers.get('etag') ?? '';
  const changed = await weir.call('PATCH', '/v1/hosts/alpha', { labels: { rack: 'r2' } }, { 'if-match': etag });
  assert.equal(changed.status, 200);
  assert.deepEqual([changed.body.labels, changed.body.underlay_ip4], [{ rack: 'r2' }, body.underlay_ip4]);
  assert.ok(changed.body.revision > body.revision);
  const late = await weir.call('PATCH', '/v1/hosts/alpha', { labels: {} }, { 'if-match': etag });
  assert.deepEqual([late.status, late.body.code], [412, 'PRECONDITION_FAILED']);
  const removed = await weir.call('PATCH', '/v1/hosts/alpha', { underlay_ip6: null });
  assert.deepEqual([removed.body.underlay_ip6, removed.body.labels], [null, { rack: 'r2' }]);
  assert.equal((await weir.call('PATCH', '/v1/hosts/none', {})).status, 404);
});

test('hosts that join at once get different pools, until there are none', async () => {
  const names = Array.from({ length: 10 }, (_, index) => `many-${index}`);
  const answers = await Promise.all(names.map((name) => weir.call('POST', '/v1/hosts', { name })));
  const created = answers.filter(({ status }) => status === 201);
  const refused = answers.filter(({ status }) => status === 409);
  assert.deepEqual([created.length, refused.length], [7, 3], 'a /21 has eight /24, one was taken');
  assert.equal(new Set(created.flatMap(({ body }) => body.pools)).size, 14);
  assert.match(refused[0]?.body.fix, /larger pools/);
});

test('pages follow one another in the order of ids', async () => {
  const names: string[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${cursor}`;
    const { body } = await weir.call('GET', `/v1/hosts?limit=3${query}`);
    assert.ok(body.items.length <= 3);
    names.push(...body.items.map(({ id }: { id: string }) => id));
    cursor = body.next_cursor;
  } while (cursor !== null);
  assert.equal(names.length, 8);
  assert.deepEqual(names, [...names].sort());
  assert.equal((await weir.call('GET', '/v1/hosts?cursor=abc')).body.field, 'cursor');
  assert.equal((await weir.call('GET', '/v1/hosts?colour=red')).status, 422);
});

test('a host is removed when it has no workloads, and its pools are free again', async () => {
  await weir.call('POST', '/v1/workloads', { name: 'web', host: 'alpha' });
  const held = await weir.call('DELETE', '/v1/hosts/alpha');
  assert.deepEqual([held.status, held.body.code], [409, 'CONFLICT']);
  assert.match(held.body.detail, /default\.web/);
  assert.equal((await weir.call('DELETE', '/v1/workloads/default.web')).status, 204);
  assert.equal((await weir.call('DELETE', '/v1/hosts/alpha', undefined, { 'if-match': '"0"' })).status, 412);
  assert.equal((await weir.call('DELETE', '/v1/hosts/alpha')).status, 204);
  assert.equal((await weir.call('DELETE', '/v1/hosts/alpha')).status, 404);
  assert.equal((await weir.call('POST', '/v1/hosts', { name: 'beta' })).status, 201);
});

test('health, readiness, metrics', async () => {
  assert.equal((await weir.call('GET', '/healthz')).status, 200);
  assert.deepEqual((await weir.call('GET', '/readyz')).body.checks, { database: 'ok', bus: 'ok' });
  const metrics = await (await fetch(`${weir.app.http}/metrics`)).text();
  assert.match(metrics, /^weir_inventory_hosts\{state="never-seen"\} 8$/m);
  assert.match(metrics, /^weir_inventory_workloads 0$/m);
});
