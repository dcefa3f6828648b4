// SPDX-License-Identifier: Apache-2.0
/** Pools share no address with each other, hosts' blocks, the underlay, workloads' own addresses and NAT64, however late they come. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPool } from '@weir/db';
import { type Answer, eventually, type Harness, startHarness } from './harness.ts';

const BITS = { block_bits4: 28, block_bits6: 124 };
const BLUE = { cidrs: ['10.80.0.0/26', 'fd80::/64'], ...BITS };
/** Key of the advisory lock under which blocks and addresses are given. */
const BLOCK_LOCK = 0xb10c;

let weir: Harness;
before(async () => {
  weir = await startHarness();
  for (const [i, name] of ['alpha', 'beta'].entries()) {
    const underlay = { underlay_ip4: `192.0.2.${i + 1}`, underlay_ip6: `2001:db8::${i + 1}` };
    await weir.call('POST', '/v1/hosts', { name, ...underlay });
  }
  await weir.call('PUT', '/v1/pools/blue', BLUE);
  const own = { name: 'own', host: 'alpha', ip4: '203.0.113.9', ip6: '2001:db8:9::9' };
  for (const workload of [{ name: 'web', host: 'beta', pool: 'blue' }, own]) {
    assert.equal((await weir.call('POST', '/v1/workloads', workload)).status, 201);
  }
});
after(() => weir.stop());

const put = (name: string, cidrs: readonly string[]) => weir.call('PUT', `/v1/pools/${name}`, { cidrs, ...BITS });
const refusedAs = ({ status, body }: Answer, wanted: number, field: string, detail: RegExp): void => {
  assert.deepEqual([status, body.field], [wanted, field], JSON.stringify(body));
  assert.match(body.detail, detail);
  assert.ok(body.fix, JSON.stringify(body));
};
const pools = async () => (await weir.call('GET', '/v1/pools')).body.items;

test('blocks of hosts are where the cases below take them to be', async () => {
  const { body } = await weir.call('GET', '/v1/hosts/beta');
  assert.deepEqual(body.pools, ['10.77.1.0/24', '10.80.0.0/28', 'fd77::1:0/112', 'fd80::/124']);
});

for (const [what, cidr, detail] of [
  ['another pool', '10.77.128.0/17', /overlaps 10\.77\.0\.0\/16 of pool default/],
  ['a larger range around another pool', '10.76.0.0/14', /overlaps 10\.77\.0\.0\/16 of pool default/],
  ["a host's block", '10.77.1.0/24', /overlaps 10\.77\.0\.0\/16 of pool default/],
  ["half a host's IPv6 block", 'fd77::1:8000/113', /overlaps fd77::\/48 of pool default/],
  ['the underlay', '192.0.2.0/25', /contains 192\.0\.2\.[12], the address of host (alpha|beta)/],
  ['the IPv6 underlay', '2001:db8::/64', /contains 2001:db8::[12], the address of host (alpha|beta)/],
  ["a workload's own address", '203.0.113.0/28', /contains 203\.0\.113\.9, the address of workload default\.own/],
  ["a workload's own IPv6 address", '2001:db8:9::/64', /contains 2001:db8:9::9, the address of workload default\.own/],
] as const) {
  test(`refused for a pool that is made and for one that grows: ${what}`, async () => {
    const before = await pools();
    refusedAs(await put('red', [cidr]), 409, 'cidrs[0]', detail);
    refusedAs(await put('red', ['10.99.0.0/24', cidr]), 409, 'cidrs[1]', detail);
    refusedAs(await put('blue', [...BLUE.cidrs, cidr]), 409, 'cidrs[2]', detail);
    assert.deepEqual(await pools(), before, 'nothing of it was kept');
  });
}

test('the pool default does not grow into a block that a host has of another', async () => {
  const { body } = await weir.call('GET', '/v1/pools/default');
  const { block_bits4, block_bits6 } = body;
  for (const [cidr, other] of [
    ['10.80.0.0/24', '10.80.0.0/26'],
    ['fd80::/48', 'fd80::/64'],
  ] as const) {
    const cidrs = [...body.cidrs, cidr];
    const answer = await weir.call('PUT', '/v1/pools/default', { cidrs, block_bits4, block_bits6 });
    refusedAs(answer, 409, 'cidrs[2]', new RegExp(`overlaps ${other.replaceAll('.', '\\.')} of pool blue`));
  }
});

test('a pool does not grow over itself', async () => {
  refusedAs(await put('blue', [...BLUE.cidrs, '10.80.0.0/24']), 422, 'cidrs[2]', /overlaps 10\.80\.0\.0\/26/);
  refusedAs(
    await put('blue', ['10.80.0.0/24', 'fd80::/64']),
    409,
    'cidrs',
    /host beta has 1 workloads in 10\.80\.0\.0\/28/,
  );
});

test('a host that comes, or changes, gets no address of a pool', async () => {
  for (const [field, address] of [
    ['underlay_ip4', '10.80.0.33'],
    ['underlay_ip6', 'fd80::1:1'],
  ] as const) {
    refusedAs(await weir.call('POST', '/v1/hosts', { name: 'gamma', [field]: address }), 422, field, /of pool blue/);
    refusedAs(await weir.call('PATCH', '/v1/hosts/alpha', { [field]: address }), 422, field, /of pool blue/);
  }
});

test('NAT64 and pools, whichever comes first', async () => {
  const prefix = 'fd64::/96';
  assert.equal((await weir.call('PUT', '/v1/network', { nat64: { prefix } })).status, 200);
  for (const cidr of ['fd64::/64', 'fd64::100:0/104', prefix]) {
    refusedAs(await put('red', [cidr]), 409, 'cidrs[0]', /overlaps nat64\.prefix fd64::\/96/);
    refusedAs(await put('blue', [...BLUE.cidrs, cidr]), 409, 'cidrs[2]', /overlaps nat64\.prefix fd64::\/96/);
  }
  assert.equal((await weir.call('PUT', '/v1/network', {})).status, 200);
  assert.equal((await put('red', ['fd64::/64'])).status, 200);
  const late = await weir.call('PUT', '/v1/network', { nat64: { prefix } });
  refusedAs(late, 409, 'nat64.prefix', /overlaps fd64::\/64 of the pool red/);
  assert.equal((await weir.call('DELETE', '/v1/pools/red')).status, 204);
});

test("what a pool gave up is anybody's", async () => {
  assert.equal((await put('red', ['10.98.0.0/24', '10.99.0.0/24'])).status, 200);
  refusedAs(await put('green', ['10.99.0.0/25']), 409, 'cidrs[0]', /overlaps 10\.99\.0\.0\/24 of pool red/);
  assert.equal((await put('red', ['10.98.0.0/24'])).status, 200);
  assert.equal((await put('green', ['10.99.0.0/25'])).status, 200);
  assert.equal((await put('red', ['10.98.0.0/24', '10.99.0.128/25'])).status, 200, 'beside it');
  for (const name of ['red', 'green']) assert.equal((await weir.call('DELETE', `/v1/pools/${name}`)).status, 204);
});

test('a pool and a workload with an address of its own in it, asked for at once: one of both', async () => {
  const admin = createPool({ url: weir.database.url, schema: 'inventory' });
  const client = await admin.connect();
  try {
    await client.query('begin');
    await client.query('select pg_advisory_xact_lock($1)', [BLOCK_LOCK]);
    const waiting = (count: number) =>
      eventually(`${count} to wait for the lock`, async () => {
        const { rows } = await admin.query<{ n: number }>(
          `select count(*)::int as n from pg_locks
           where locktype = 'advisory' and objid = $1 and not granted
             and database = (select oid from pg_database where datname = current_database())`,
          [BLOCK_LOCK],
        );
        return rows[0]?.n === count || undefined;
      });
    const ask = { name: 'late', host: 'alpha', ip4: '198.51.100.9' };
    const pool = put('race', ['198.51.100.0/24']);
    await waiting(1);
    // It has looked, and found no pool that holds the address.
    const workload = weir.call('POST', '/v1/workloads', ask);
    await waiting(2);
    await client.query('commit');
    assert.equal((await pool).status, 200, 'the first that waited');
    refusedAs(await workload, 409, 'ip4', /198\.51\.100\.0\/24 of pool race/);
    const again = await weir.call('POST', '/v1/workloads', { ...ask, pool: 'race' });
    assert.deepEqual([again.status, again.body.pool], [201, 'race'], JSON.stringify(again.body));
  } finally {
    await client.query('rollback');
    client.release();
    await admin.end();
  }
});
