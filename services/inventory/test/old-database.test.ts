// SPDX-License-Identifier: Apache-2.0
/**
 * A database of a version that knew no pools, with hosts and workloads in it, under several new processes that start at
 * once: everybody keeps what he has, and what comes gets nothing that is somebody's.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createPool, migrate } from '@weir/db';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import { MIGRATIONS, SCHEMA } from '../src/app.ts';
import { type Replicas, startReplicas } from './replicas.ts';

/** The first that knows pools. */
const POOLS = '0013';

let database: TestDatabase;
let replicas: Replicas;
let pool: ReturnType<typeof createPool>;

/** Hosts of the pools 10.77.0.0/16 and fd77::/48; `moved` joined under other settings. */
const POPULATE = `
insert into hosts (id, underlay_ip4, slot, pool4, pool6, next4, next6, revision) values
  ('alpha', '192.0.2.1', 0, '10.77.0.0/24', 'fd77::/112', 3, 3, 1),
  ('beta', '192.0.2.2', 2, '10.77.2.0/24', 'fd77::2:0/112', 0, 0, 2),
  ('moved', '192.0.2.3', 5, '10.99.5.0/24', 'fd99::5:0/112', 1, 1, 3);
insert into identities (identity, labels, labels_hash) values (300, '{k8s:app=old}', '\\x00');
insert into workloads (id, namespace, name, host_id, identity, ip4, ip6, revision) values
  ('default.a', 'default', 'a', 'alpha', 300, '10.77.0.4', 'fd77::4', 4),
  ('default.b', 'default', 'b', 'alpha', 300, '10.77.0.5', 'fd77::5', 5),
  ('default.m', 'default', 'm', 'moved', 300, '10.99.5.2', 'fd99::5:2', 6);
`;

before(async () => {
  database = await testDatabase({ schema: SCHEMA });
  const dir = mkdtempSync(join(tmpdir(), 'weir-old-migrations-'));
  try {
    for (const file of readdirSync(MIGRATIONS)) if (file < POOLS) cpSync(join(MIGRATIONS, file), join(dir, file));
    await migrate({ url: database.url, schema: SCHEMA, dir });
  } finally {
    rmSync(dir, { recursive: true });
  }
  pool = createPool({ url: database.url, schema: SCHEMA });
  await pool.query(POPULATE);
  replicas = await startReplicas(database.url, 3);
});
after(async () => {
  await pool?.end();
  await replicas?.stop();
  await database?.drop();
});

const get = async (path: string) => (await replicas.call(1, 'GET', path)).body;

test('hosts and workloads keep what they have', async () => {
  assert.deepEqual((await get('/v1/hosts/alpha')).pools, ['10.77.0.0/24', 'fd77::/112']);
  assert.deepEqual((await get('/v1/hosts/beta')).pools, ['10.77.2.0/24', 'fd77::2:0/112']);
  assert.deepEqual((await get('/v1/hosts/moved')).pools, ['10.99.5.0/24', 'fd99::5:0/112']);
  const { items } = await get('/v1/workloads?limit=100');
  assert.deepEqual(
    items.map(({ id, ip4, ip6 }: Record<string, string>) => [id, ip4, ip6]),
    [
      ['default.a', '10.77.0.4', 'fd77::4'],
      ['default.b', '10.77.0.5', 'fd77::5'],
      ['default.m', '10.99.5.2', 'fd99::5:2'],
    ],
  );
});

test('the pool `default` is made once: of the settings, and of what lies outside them', async () => {
  const { cidrs, blocks, addresses } = await get('/v1/pools/default');
  assert.deepEqual([...cidrs].sort(), ['10.77.0.0/16', '10.99.5.0/24', 'fd77::/48', 'fd99::5:0/112']);
  assert.deepEqual([blocks, addresses], [6, 6]);
  const { rows } = await pool.query('select cidr::text, base::text, index::int, used from blocks order by cidr');
  assert.deepEqual(
    rows.map(({ cidr, base, index, used }) => [cidr, base, index, used]),
    [
      ['10.77.0.0/24', '10.77.0.0/16', 0, 2],
      ['10.77.2.0/24', '10.77.0.0/16', 2, 0],
      ['10.99.5.0/24', '10.99.5.0/24', 0, 1],
      ['fd77::/112', 'fd77::/48', 0, 2],
      ['fd77::2:0/112', 'fd77::/48', 2, 0],
      ['fd99::5:0/112', 'fd99::5:0/112', 0, 1],
    ],
  );
});

test('who comes now gets what is free', async () => {
  const joined = await Promise.all(
    ['new-1', 'new-2'].map((name, i) => replicas.call(i, 'POST', '/v1/hosts', { name })),
  );
  assert.deepEqual(joined.flatMap(({ body }) => body.pools).sort(), [
    '10.77.1.0/24',
    '10.77.3.0/24',
    'fd77::1:0/112',
    'fd77::3:0/112',
  ]);
  const made = await Promise.all(
    [0, 1, 2].map((i) => replicas.call(i, 'POST', '/v1/workloads', { name: `n${i}`, host: 'alpha' })),
  );
  const taken = made.map(({ body }) => body.ip4);
  assert.equal(new Set([...taken, '10.77.0.4', '10.77.0.5']).size, 5, JSON.stringify(made));
  const moved = await replicas.call(0, 'POST', '/v1/workloads', { name: 'n3', host: 'moved' });
  assert.match(moved.body.ip4, /^10\.99\.5\./);
  assert.equal((await replicas.call(2, 'DELETE', '/v1/workloads/default.m')).status, 204);
});
