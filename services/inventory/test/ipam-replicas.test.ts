// SPDX-License-Identifier: Apache-2.0
/**
 * Whatever is asked of several processes at once, in whatever order it meets in Postgres: no address has two owners, no
 * block two hosts, counts are what is there, and a refusal is one that says why.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPool } from '@weir/db';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import { cidrContainsIp, parseCidr, parseIp } from '@weir/net';
import fc from 'fast-check';
import { MIGRATIONS, SCHEMA } from '../src/app.ts';
import { type ReplicaAnswer, type Replicas, startReplicas } from './replicas.ts';

const PROCESSES = 3;
const RUNS = 6;
const REST_MS = 5_000;
const HOSTS = ['h0', 'h1', 'h2', 'h3', 'h4'];
const NAMES = Array.from({ length: 24 }, (_, i) => `w${i}`);
/** Eight blocks of 13 addresses: hosts run out of blocks, and blocks of addresses. */
const POOL = { cidrs: ['10.80.0.0/25', 'fd80::/121'], block_bits4: 28, block_bits6: 124 };

let database: TestDatabase;
let replicas: Replicas;
let pool: ReturnType<typeof createPool>;
before(async () => {
  database = await testDatabase({ schema: SCHEMA, migrationsDir: MIGRATIONS });
  replicas = await startReplicas(database.url, PROCESSES);
  pool = createPool({ url: database.url, schema: SCHEMA });
  assert.equal((await replicas.call(0, 'PUT', '/v1/pools/small', POOL)).status, 200);
});
after(async () => {
  await pool?.end();
  await replicas?.stop();
  await database?.drop();
});

type Command =
  | { readonly op: 'join' | 'leave'; readonly host: string }
  | { readonly op: 'create'; readonly host: string; readonly name: string; readonly asked: number }
  | { readonly op: 'delete'; readonly name: string }
  | { readonly op: 'reserve'; readonly name: string; readonly asked: number };
type Asked = Command & { readonly replica: number };

const host = fc.constantFrom(...HOSTS);
const name = fc.constantFrom(...NAMES);
/** 0: none is asked for by name. */
const asked = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 127 }) },
);
const replica = fc.nat({ max: PROCESSES - 1 });
const command: fc.Arbitrary<Asked> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ op: fc.constant('join' as const), host, replica }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('leave' as const), host, replica }) },
  { weight: 8, arbitrary: fc.record({ op: fc.constant('create' as const), host, name, asked, replica }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('delete' as const), name, replica }) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('reserve' as const),
      name,
      asked: fc.integer({ min: 1, max: 127 }),
      replica,
    }),
  },
);
/** Each inner list is asked all at once. */
const batches = fc.array(fc.array(command, { minLength: 8, maxLength: 24 }), { minLength: 2, maxLength: 4 });

const perform = (one: Asked): Promise<ReplicaAnswer> => {
  const call = (method: string, path: string, body?: unknown) => replicas.call(one.replica, method, path, body);
  switch (one.op) {
    case 'join':
      return call('POST', '/v1/hosts', { name: one.host });
    case 'leave':
      return call('DELETE', `/v1/hosts/${one.host}`);
    case 'create':
      return call('POST', '/v1/workloads', {
        name: one.name,
        host: one.host,
        pool: 'small',
        ...(one.asked > 0 ? { ip4: `10.80.0.${one.asked}` } : {}),
      });
    case 'delete':
      return call('DELETE', `/v1/workloads/default.${one.name}`);
    case 'reserve':
      return call('PUT', `/v1/reservations/10.80.0.${one.asked}`, { workload: `default.${one.name}` });
  }
};

interface WorkloadRow {
  readonly id: string;
  readonly host_id: string;
  readonly ip4: string;
  readonly ip6: string;
}
interface BlockRow {
  readonly cidr: string;
  readonly host_id: string | null;
  readonly used: number;
  readonly pool: string;
}

const rows = async <T>(text: string): Promise<T[]> => (await pool.query(text)).rows as T[];

const checkInvariants = async (): Promise<void> => {
  const workloads = await rows<WorkloadRow>('select id, host_id, host(ip4) as ip4, host(ip6) as ip6 from workloads');
  const blocks = await rows<BlockRow>('select cidr::text, host_id, used, pool from blocks');
  const addresses = workloads.flatMap(({ ip4, ip6 }) => [ip4, ip6]);
  assert.equal(new Set(addresses).size, addresses.length, 'an address has one owner');
  const used = new Map(blocks.map(({ cidr }) => [cidr, 0]));
  for (const { id, host_id, ip4, ip6 } of workloads) {
    for (const address of [ip4, ip6]) {
      const around = blocks.filter(({ cidr }) => cidrContainsIp(parseCidr(cidr), parseIp(address)));
      assert.equal(around.length, 1, `${address} of ${id} is in one block`);
      assert.equal(around[0]?.host_id, host_id, `${address} of ${id} is in a block of its host`);
      used.set(around[0]?.cidr ?? '', (used.get(around[0]?.cidr ?? '') ?? 0) + 1);
    }
  }
  for (const { cidr, used: counted, host_id } of blocks) {
    assert.equal(counted, used.get(cidr), `${cidr} counts its addresses`);
    assert.ok(host_id !== null || counted === 0, `${cidr} is nobody's and has no addresses`);
  }
  const kept = await rows<{ address: string; workload: string }>(
    'select host(address) as address, workload from reservations',
  );
  for (const { address, workload } of kept) {
    const owner = workloads.find(({ ip4, ip6 }) => ip4 === address || ip6 === address);
    assert.ok(owner === undefined || owner.id === workload, `${address} is kept for ${workload}`);
  }
  for (const { id, pools } of (await replicas.call(0, 'GET', '/v1/hosts?limit=1000')).body.items) {
    const held = blocks.filter(({ host_id }) => host_id === id).map(({ cidr }) => cidr);
    assert.deepEqual([...pools].sort(), held.sort(), `${id} shows what it holds`);
  }
};

const forget = async (): Promise<void> => {
  for (const { address } of await rows<{ address: string }>('select host(address) as address from reservations'))
    await replicas.call(0, 'DELETE', `/v1/reservations/${address}`);
  for (const { id } of await rows<WorkloadRow>('select id from workloads'))
    assert.equal((await replicas.call(0, 'DELETE', `/v1/workloads/${id}`)).status, 204);
  for (const { id } of await rows<{ id: string }>('select id from hosts'))
    assert.equal((await replicas.call(0, 'DELETE', `/v1/hosts/${id}`)).status, 204);
  await pool.query('delete from released_addresses; delete from blocks');
};

/** Of one of them: 404 for what is gone, 409 for what is taken, 422 for an address that is another host's. */
const REFUSALS = new Set([404, 409, 422]);

test('joins, leaves, workloads, reservations over several processes at once', async (t) => {
  const statuses: Record<number, number> = {};
  await fc.assert(
    fc.asyncProperty(batches, async (list) => {
      await Promise.all(HOSTS.slice(0, 3).map((id, i) => replicas.call(i, 'POST', '/v1/hosts', { name: id })));
      /** Who got an address without having asked for it by name. */
      const owners = new Map<string, string>();
      const startMs = performance.now();
      for (const batch of list) {
        const answers = await Promise.all(batch.map(async (one) => ({ one, ...(await perform(one)) })));
        for (const { one, status, body } of answers) {
          statuses[status] = (statuses[status] ?? 0) + 1;
          assert.ok(status < 300 || REFUSALS.has(status), `${JSON.stringify(one)}: ${status} ${JSON.stringify(body)}`);
          assert.ok(status < 300 || body.fix || status === 404, JSON.stringify(body));
          if (one.op !== 'create' || status !== 201 || one.asked > 0) continue;
          // In a pool that is full, what was given back rests so long at least.
          const before = performance.now() - startMs < REST_MS ? owners.get(body.ip6) : undefined;
          assert.ok(before === undefined || before === body.id, `${body.ip6} was ${before}'s, is ${body.id}'s`);
          owners.set(body.ip6, body.id);
        }
        await checkInvariants();
      }
      await forget();
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  t.diagnostic(`answers by status: ${JSON.stringify(statuses)}`);
  // Not by how much: how long the lists are is chance.
  assert.ok((statuses[201] ?? 0) > 0 && (statuses[409] ?? 0) > 0);
});
