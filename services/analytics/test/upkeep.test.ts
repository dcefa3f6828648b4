// SPDX-License-Identifier: Apache-2.0
/** Partitions and what keeps the store within its bounds, under load and after being interrupted. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLOSED_INDEXES, isIndexed } from '../src/store/closed-indexes.ts';
import { readPartitions } from '../src/store/partitions.ts';
import { startService, type TestService, until } from './support/app.ts';

const MINUTE_MS = 60_000;
const PARTITION_MS = MINUTE_MS;

let service: TestService;

before(async () => {
  service = await startService({ WEIR_ANALYTICS_PARTITION_SECONDS: '60', WEIR_ANALYTICS_FLOW_RETENTION_HOURS: '1' });
});
after(() => service?.stop());

const names = async (): Promise<string[]> => (await readPartitions(service.pool, 'flows')).map(({ name }) => name);

const indexesOf = async (partition: string): Promise<string[]> =>
  (
    await service.pool.query(
      'select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid where i.indrelid = $1::regclass and i.indisvalid order by 1',
      [partition],
    )
  ).rows.map(({ relname }) => relname);

const partitionAt = async (timeMs: number): Promise<string> => {
  const found = (await readPartitions(service.pool, 'flows')).find(
    ({ fromMs, toMs }) => fromMs <= timeMs && timeMs < toMs,
  );
  assert.ok(found);
  return found.name;
};

test('partitions are there ahead of time, without gaps', async () => {
  const partitions = await readPartitions(service.pool, 'flows');
  const nowMs = Date.now();
  assert.ok(partitions.some(({ fromMs, toMs }) => fromMs <= nowMs && nowMs < toMs));
  assert.ok((partitions.at(-1)?.toMs ?? 0) >= nowMs + 14 * MINUTE_MS);
  for (const [index, { fromMs }] of partitions.entries()) {
    if (index > 0) assert.equal(fromMs, partitions[index - 1]?.toMs);
  }
});

test('a partition gets its filter indexes when it has closed, and not before', async () => {
  const closedMs = Date.now() - 10 * MINUTE_MS;
  await service.sendFlows('h1', 1, 100, { timeMs: closedMs });
  await service.sendFlows('h1', 101, 100);
  await until('stored', async () => (await service.stored('h1')) === 200);
  const [closed, open] = [await partitionAt(closedMs), await partitionAt(Date.now())];
  await service.app.maintain();
  const expected = [...Object.keys(CLOSED_INDEXES).map((suffix) => `${closed}_${suffix}`), `${closed}_time_idx`].sort();
  assert.deepEqual(await indexesOf(closed), expected);
  assert.deepEqual(await indexesOf(open), [`${open}_time_idx`], 'only BRIN');
});

test('an index whose build was interrupted is built again', async () => {
  const closed = await partitionAt(Date.now() - 10 * MINUTE_MS);
  await service.pool.query('update pg_index set indisvalid = false where indexrelid = $1::regclass', [
    `${closed}_verdict`,
  ]);
  assert.ok(!(await indexesOf(closed)).includes(`${closed}_verdict`));
  await service.app.maintain();
  assert.ok((await indexesOf(closed)).includes(`${closed}_verdict`));
});

test('pages of indexed partitions are those of partitions without indexes', async () => {
  const closedMs = Date.now() - 14 * MINUTE_MS;
  for (let batch = 0; batch < 4; batch += 1) {
    const over = batch === 3 ? { verdict: 2, dropReason: 133 } : {};
    // In two partitions, and with one that stands on both sides.
    await service.sendFlows('same', 1 + batch * 100, 100, { timeMs: closedMs + batch * 30_000, over });
  }
  const self = { sourcePort: 30_007, destinationPort: 30_007 };
  await service.sendFlows('same', 401, 1, { timeMs: closedMs + 40_000, over: self });
  await until('stored', async () => (await service.stored('same')) === 401);
  const filters = [
    '',
    'ip=10.1.0.8',
    'ip=10.1.0.8&ip=10.1.0.9',
    'to_ip=10.2.0.3&verdict=DROPPED',
    'port=30007',
    'port=30007&port=30009&is_reply=true',
    'from_port=443&ip=10.1.0.6',
    'identity=260',
    'from_identity=260&identity=303',
    'verdict=DROPPED',
    'verdict=DROPPED&verdict=AUDIT',
    'drop_reason=133',
    'ip=203.0.113.9',
    'is_reply=true',
  ];
  const range = `since=${new Date(closedMs - 1).toISOString()}&until=${new Date(closedMs + 3 * MINUTE_MS).toISOString()}`;
  const pagesOf = async (filter: string): Promise<string[]> => {
    const found: string[] = [];
    let cursor: string | null = '';
    do {
      const { status, body } = await service.get(
        `/v1/flows?host=same&limit=37&${range}&${filter}${cursor ? `&cursor=${cursor}` : ''}`,
      );
      assert.equal(status, 200, JSON.stringify(body));
      found.push(...body.items.map(({ seq, time }: { seq: number; time: string }) => `${time} ${seq}`));
      cursor = body.next_cursor;
    } while (cursor);
    return found;
  };
  const answers = async (): Promise<Record<string, string[]>> => {
    const all: Record<string, string[]> = {};
    for (const filter of filters) all[filter] = await pagesOf(filter);
    return all;
  };
  const before = await answers();
  assert.equal(before['']?.length, 401);
  assert.ok(
    filters.slice(0, 9).every((filter) => (before[filter]?.length ?? 0) > 0),
    JSON.stringify(before),
  );
  await service.app.maintain();
  const [first] = (await readPartitions(service.pool, 'flows')).filter(({ toMs }) => toMs > closedMs);
  assert.ok(first && isIndexed(first), 'it has its indexes');
  assert.deepEqual(await answers(), before);
});

test('the plan of a rare flow uses the index', async () => {
  const closedMs = Date.now() - 10 * MINUTE_MS;
  for (let batch = 0; batch < 20; batch += 1) {
    const over = batch === 19 ? { verdict: 2, dropReason: 133 } : {};
    await service.sendFlows('plan', 1 + batch * 1_000, batch === 19 ? 20 : 1_000, { timeMs: closedMs, over });
  }
  await until('stored', async () => (await service.stored('plan')) === 19_020);
  await service.pool.query('analyze flows');
  const { rows } = await service.pool.query(
    `explain select * from flows where verdict <> 1 and drop_reason = 133 and time >= now() - interval '12 minutes' and time < now() - interval '8 minutes' order by time desc limit 5`,
  );
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  assert.match(plan, /Index.*_verdict/, plan);
});

test('partitions that are too old go, by age; late flows still find a place', async () => {
  const before = await names();
  // Two hours on, all that is there now is too old.
  await service.app.maintain(Date.now() + 3 * 3_600_000);
  const now = await names();
  assert.ok(!now.some((name) => before.slice(0, 5).includes(name)));
  await service.sendFlows('late', 1, 10);
  await until('stored', async () => (await service.stored('late')) === 10);
});

test('a detach that was interrupted is finished', async () => {
  const oldMs = Date.now() - 20 * MINUTE_MS;
  await service.sendFlows('detach', 1, 10, { timeMs: oldMs });
  await until('stored', async () => (await service.stored('detach')) === 10);
  const name = await partitionAt(oldMs);
  // A reader that stays makes DETACH CONCURRENTLY wait; then its session ends.
  const reader = await service.pool.connect();
  await reader.query('begin');
  await reader.query('select count(*) from flows');
  const detacher = await service.pool.connect();
  const { rows } = await detacher.query('select pg_backend_pid() as pid');
  const detaching = detacher.query(`alter table flows detach partition ${name} concurrently`).catch(() => {});
  await until('pending', async () => (await readPartitions(reader, 'flows')).some(({ detaching: pending }) => pending));
  await reader.query('select pg_terminate_backend($1)', [rows[0].pid]);
  await detaching;
  detacher.release(true);
  await reader.query('rollback');
  reader.release();
  assert.ok((await readPartitions(service.pool, 'flows')).some(({ detaching: pending }) => pending));
  await service.app.maintain();
  assert.ok(!(await names()).includes(name));
  assert.equal(
    (await service.pool.query('select to_regclass($1) as found', [name])).rows[0].found,
    null,
    'and dropped',
  );
});

test('the size is kept, and dropping under load stops neither ingest nor readers', async () => {
  for (let back = 5; back < 45; back += 1) {
    await service.sendFlows('size', 1 + back * 1_000, 1_000, { timeMs: Date.now() - back * PARTITION_MS });
  }
  await until('stored', async () => (await service.stored('size')) === 40_000, 60_000);
  const maxBytes = 12 * 1024 * 1024;
  await service.restart({ maxBytes });
  let seq = 1;
  let working = true;
  let slowestMs = 0;
  const failures: unknown[] = [];
  const sender = (async () => {
    while (working) {
      const startedAt = performance.now();
      await service.sendFlows('load', seq, 100);
      seq += 100;
      await until('stored', async () => (await service.stored('load')) >= seq - 1, 10_000);
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    }
  })();
  const readers = Array.from({ length: 3 }, async () => {
    while (working) {
      const { status, body } = await service.get('/v1/flows?host=size&limit=200');
      if (status !== 200) failures.push(body);
      await sleep(10);
    }
  });
  await service.app.maintain();
  await service.app.maintain();
  working = false;
  await Promise.all([sender, ...readers]);
  const { rows } = await service.pool.query(
    `select sum(pg_total_relation_size(inhrelid))::int8 as bytes from pg_inherits where inhparent in ('flows'::regclass, 'edges'::regclass)`,
  );
  assert.ok(rows[0].bytes <= maxBytes + 1024 * 1024, `${rows[0].bytes} bytes`);
  assert.ok((await service.stored('size')) < 40_000, 'the oldest went');
  assert.deepEqual(failures, []);
  console.log(`slowest way into the store while partitions were dropped: ${Math.round(slowestMs)} ms`);
  assert.ok(slowestMs < 5_000);
});
