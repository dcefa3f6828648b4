// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createDb, createPool } from '@weir/db';
import { PoolService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { createRpcClient } from '@weir/rpc';
import { SCHEMA } from '../src/app.ts';
import { reclaimBlocks } from '../src/operations/upkeep.ts';
import type { Tables } from '../src/store/tables.ts';
import { type Harness, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness();
  for (const [i, name] of ['alpha', 'beta'].entries()) {
    await weir.call('POST', '/v1/hosts', { name, underlay_ip4: `192.0.2.${i + 1}` });
  }
});
after(() => weir.stop());

const create = (input: object) => weir.call('POST', '/v1/workloads', input);
const poolsOf = async (host: string): Promise<string[]> => (await weir.call('GET', `/v1/hosts/${host}`)).body.pools;

test('the settings made the pool default; hosts hold blocks of it', async () => {
  const { body } = await weir.call('GET', '/v1/pools/default');
  assert.deepEqual(
    [body.cidrs, body.block_bits4, body.block_bits6, body.blocks, body.addresses],
    [['10.77.0.0/16', 'fd77::/48'], 24, 112, 4, 0],
  );
  assert.deepEqual(await poolsOf('beta'), ['10.77.1.0/24', 'fd77::1:0/112']);
});

test('a workload has the pool that it names, else that of its namespace; its host gets blocks as it needs them', async () => {
  const put = await weir.call('PUT', '/v1/pools/blue', {
    cidrs: ['10.80.0.0/26', 'FD80::/64'],
    block_bits4: 28,
    block_bits6: 124,
  });
  assert.equal(put.status, 200, JSON.stringify(put.body));
  assert.deepEqual(put.body.cidrs, ['10.80.0.0/26', 'fd80::/64']);
  await weir.call('PUT', '/v1/namespaces/shop', { labels: { 'ipam.cilium.io/ip-pool': 'blue' } });
  const first = await create({ name: 'w0', namespace: 'shop', host: 'beta' });
  assert.deepEqual([first.body.pool, first.body.ip4, first.body.ip6], ['blue', '10.80.0.2', 'fd80::2']);
  assert.deepEqual(await poolsOf('beta'), ['10.77.1.0/24', '10.80.0.0/28', 'fd77::1:0/112', 'fd80::/124']);
  assert.equal((await create({ name: 'own', namespace: 'shop', host: 'beta', pool: 'default' })).body.pool, 'default');
  const annotated = await create({
    name: 'annotated',
    host: 'alpha',
    annotations: { 'ipam.cilium.io/ip-pool': 'blue', 'kubernetes.io/egress-bandwidth': '10M' },
  });
  assert.deepEqual(
    [annotated.body.pool, annotated.body.ip4, annotated.body.egress_bandwidth],
    ['blue', '10.80.0.18', '10M'],
  );
  for (let i = 1; i < 6; i++) await create({ name: `w${i}`, namespace: 'shop', host: 'beta' });
  assert.ok((await poolsOf('beta')).includes('10.80.0.32/28'), 'before the first block is used up: 7 of 13 are free');
  for (let i = 6; i < 20; i++)
    assert.equal((await create({ name: `w${i}`, namespace: 'shop', host: 'beta' })).status, 201);
  const { body } = await weir.call('GET', '/v1/workloads?namespace=shop&limit=1000');
  const addresses = body.items.map(({ ip4 }: { ip4: string }) => ip4);
  assert.equal(new Set(addresses).size, addresses.length);
});

test('limits are set, changed and taken away; what is no quantity is refused', async () => {
  const made = await create({ name: 'limited', host: 'alpha', egress_bandwidth: '1.5G', ingress_bandwidth: '512Ki' });
  assert.deepEqual([made.body.egress_bandwidth, made.body.ingress_bandwidth], ['1500M', '512Ki']);
  const changed = await weir.call('PATCH', '/v1/workloads/default.limited', { egress_bandwidth: null });
  assert.deepEqual([changed.body.egress_bandwidth, changed.body.ingress_bandwidth], [null, '512Ki']);
  assert.equal(changed.body.source_check, true);
  const router = await weir.call('PATCH', '/v1/workloads/default.limited', { source_check: false });
  assert.deepEqual([router.body.source_check, router.body.ingress_bandwidth], [false, '512Ki']);
  const relabelled = await weir.call('PATCH', '/v1/workloads/default.limited', { labels: { app: 'router' } });
  assert.equal(relabelled.body.source_check, false);
  for (const [input, field] of [
    [{ egress_bandwidth: '10' }, 'egress_bandwidth'],
    [{ source_check: 'off' }, 'source_check'],
    [{ ingress_bandwidth: 'fast' }, 'ingress_bandwidth'],
    [{ annotations: { 'kubernetes.io/egress-bandwidth': 'x' } }, 'annotations.kubernetes.io/egress-bandwidth'],
    [{ annotations: { 'kubernetes.io/egres-bandwidth': '1M' } }, 'annotations.kubernetes.io/egres-bandwidth'],
    [
      { egress_bandwidth: '1M', annotations: { 'kubernetes.io/egress-bandwidth': '1M' } },
      'annotations.kubernetes.io/egress-bandwidth',
    ],
  ] as const) {
    const { status, body } = await create({ name: 'x', host: 'alpha', ...input });
    assert.deepEqual([status, body.field], [422, field], JSON.stringify(body));
    assert.ok(body.fix);
  }
});

test('pools that can not be are refused with field, value and fix', async () => {
  await create({ name: 'outside', host: 'alpha', ip4: '203.0.113.9' });
  const cases: [string, object, number, string, RegExp][] = [
    ['x', { cidrs: ['10.80.0.0/16'] }, 409, 'cidrs[0]', /10\.80\.0\.0\/26 of pool blue/],
    ['x', { cidrs: ['10.90.0.0/16', '10.90.1.0/24'] }, 422, 'cidrs[1]', /overlaps 10\.90\.0\.0\/16/],
    ['x', { cidrs: ['10.90.0.0/26'] }, 422, 'block_bits4', /larger than their pool/],
    ['x', { cidrs: ['fd90::/120'] }, 422, 'block_bits6', /larger than their pool/],
    ['x', { cidrs: ['10.90.0.0/16'], block_bits4: 30 }, 422, 'block_bits4', /29/],
    ['x', { cidrs: ['192.0.2.0/24'] }, 409, 'cidrs[0]', /192\.0\.2\.1, the address of host alpha/],
    ['x', { cidrs: ['203.0.113.0/24'] }, 409, 'cidrs[0]', /203\.0\.113\.9, the address of workload default\.outside/],
    ['x', { cidrs: ['127.0.0.0/16'] }, 422, 'cidrs[0]', /127\.0\.0\.0\/8/],
    ['x', { cidrs: ['10.90.0.1/16'] }, 422, 'cidrs[0]', /bits behind the prefix/],
    ['x', { cidrs: [] }, 422, 'cidrs', /./],
    ['X', { cidrs: ['10.90.0.0/16'] }, 422, 'name', /DNS label/],
    [
      'blue',
      { cidrs: ['fd80::/64'], block_bits4: 28, block_bits6: 124 },
      409,
      'cidrs',
      /host (alpha|beta) has \d+ workloads/,
    ],
    [
      'blue',
      { cidrs: ['10.80.0.0/26', 'fd80::/64'], block_bits4: 27, block_bits6: 124 },
      409,
      'block_bits4',
      /stays 28/,
    ],
  ];
  for (const [name, input, wanted, field, detail] of cases) {
    const { status, body } = await weir.call('PUT', `/v1/pools/${name}`, input);
    assert.deepEqual([status, body.field], [wanted, field], JSON.stringify(body));
    assert.match(body.detail, detail);
    assert.ok(body.fix, JSON.stringify(body));
  }
  assert.equal((await weir.call('DELETE', '/v1/pools/default')).body.code, 'CONFLICT');
  assert.equal((await weir.call('DELETE', '/v1/pools/blue')).status, 409);
  const host = await weir.call('POST', '/v1/hosts', { name: 'gamma', underlay_ip4: '10.80.0.5' });
  assert.deepEqual([host.status, host.body.field], [422, 'underlay_ip4']);
});

test("a reserved address is its workload's and nobody else's", async () => {
  const free = '10.77.0.3';
  assert.equal((await weir.call('PUT', `/v1/reservations/${free}`, { workload: 'prod.db' })).status, 200);
  assert.equal((await weir.call('PUT', '/v1/reservations/fd77::AA', { workload: 'prod.db' })).body.address, 'fd77::aa');
  const others = await Promise.all([1, 2, 3].map((i) => create({ name: `o${i}`, host: 'alpha' })));
  assert.ok(others.every(({ body }) => body.ip4 !== free));
  const asked = await create({ name: 'thief', host: 'alpha', ip4: free });
  assert.deepEqual([asked.status, asked.body.field], [409, 'ip4']);
  assert.match(asked.body.detail, /reserved for prod\.db/);
  const db = await create({ name: 'db', namespace: 'prod', host: 'alpha' });
  assert.deepEqual([db.body.ip4, db.body.ip6], [free, 'fd77::aa']);
  await weir.call('DELETE', '/v1/workloads/prod.db');
  assert.equal((await create({ name: 'db', namespace: 'prod', host: 'alpha' })).body.ip4, free, 'at once, again');
  const elsewhere = await create({ name: 'x', namespace: 'prod', host: 'beta', ip4: '10.77.0.77' });
  assert.match(elsewhere.body.detail, /host alpha's/);
  const unheld = await create({ name: 'far', host: 'beta', ip4: '10.77.200.5' });
  assert.equal(unheld.status, 201, "a block that nobody holds becomes the host's");
  assert.ok((await poolsOf('beta')).includes('10.77.200.0/24'));
  for (const [path, body, field] of [
    ['nonsense', { workload: 'a.b' }, 'address'],
    ['10.77.0.9', { workload: 'ab' }, 'workload'],
    [free.replace('.3', '.2'), { workload: 'shop.nobody' }, 'address'],
    ['192.0.2.1', { workload: 'a.b' }, 'address'],
  ] as const) {
    const answer = await weir.call('PUT', `/v1/reservations/${path}`, body);
    assert.equal(answer.body?.field, field, JSON.stringify([path, answer.body]));
  }
  assert.equal((await weir.call('GET', '/v1/reservations')).body.items.length, 2);
  assert.equal((await weir.call('DELETE', '/v1/reservations/fd77::aa')).status, 204);
});

test("blocks that stay empty are given back, rest, and are then anybody's", async () => {
  const pool = createPool({ url: weir.database.url, schema: 'inventory' });
  const db = createDb<Tables>({ url: weir.database.url, schema: SCHEMA });
  try {
    await weir.call('DELETE', '/v1/workloads/default.far');
    assert.equal(await reclaimBlocks(db, 600), 0, 'not before the grace is over');
    await pool.query("update blocks set changed_at = now() - interval '11 minutes' where used = 0");
    assert.ok((await reclaimBlocks(db, 600)) >= 1);
    const left = await poolsOf('beta');
    assert.ok(
      !left.includes('10.77.200.0/24') && left.includes('10.77.1.0/24'),
      'the last block of the default pool stays',
    );
    const { rows } = await pool.query("select host_id from blocks where cidr = '10.77.200.0/24'");
    assert.deepEqual(rows, [{ host_id: null }], 'at rest');
    await pool.query("update blocks set changed_at = now() - interval '3 minutes' where host_id is null");
    await reclaimBlocks(db, 600);
    assert.equal((await pool.query('select 1 from blocks where host_id is null')).rowCount, 0);
  } finally {
    await db.close();
    await pool.end();
  }
});

test('a fleet of one family gives only its addresses', async () => {
  for (const { id } of (await weir.call('GET', '/v1/workloads?limit=1000')).body.items) {
    await weir.call('DELETE', `/v1/workloads/${id}`);
  }
  for (const [families, one, other] of [
    ['ipv6', 'ip6', 'ip4'],
    ['ipv4', 'ip4', 'ip6'],
  ] as const) {
    assert.equal((await weir.call('PUT', '/v1/network', { families })).status, 200);
    const { body } = await create({ name: 'single', host: 'alpha' });
    assert.deepEqual([typeof body[one], body[other]], ['string', null], JSON.stringify(body));
    const wrong = await create({ name: 'wrong', host: 'alpha', [other]: other === 'ip4' ? '10.77.0.9' : 'fd77::9' });
    assert.deepEqual([wrong.status, wrong.body.field], [422, other]);
    await weir.call('DELETE', '/v1/workloads/default.single');
  }
  assert.equal((await weir.call('PUT', '/v1/network', {})).status, 200);
});

test('gRPC: pools and reservations', async () => {
  const client = createRpcClient(PoolService, weir.app.grpc ?? '');
  try {
    const { pool } = await client.putPool({ name: 'grpc', cidrs: ['10.95.0.0/16'], blockBits4: 26 });
    assert.deepEqual([pool?.cidrs, pool?.blockBits4, pool?.blockBits6], [['10.95.0.0/16'], 26, 112]);
    assert.ok((await client.listPools({})).pools.some(({ name }) => name === 'grpc'));
    await client.putReservation({ address: '10.95.0.9', workload: 'a.b' });
    assert.equal((await client.getReservation({ address: '10.95.0.9' })).reservation?.workload, 'a.b');
    await client.deleteReservation({ address: '10.95.0.9' });
    await client.deletePool({ name: 'grpc' });
    await assert.rejects(client.getPool({ name: 'grpc' }), /there is no pool/);
  } finally {
    client.close();
  }
});
