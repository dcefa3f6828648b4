// SPDX-License-Identifier: Apache-2.0
/** The outbox on real Postgres and a real broker: nothing lost, nothing twice, order kept, whatever dies when. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDb, type Database, withTransaction } from '@weir/db';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import type { ConfigDocument } from '@weir/proto/weir/bus/v1/config_pb.js';
import {
  type Bus,
  CFG_ALL,
  connectBus,
  createKeys,
  createSigner,
  ensureStreams,
  readSnapshot,
  STREAM,
  subjects,
  verifySigned,
} from '../src/index.ts';
import {
  CHANGES_SQL,
  enqueueConfig,
  newEpoch,
  OUTBOX_SQL,
  type Outbox,
  type OutboxOptions,
  runOutbox,
} from '../src/publishing.ts';
import { startTestNats, type TestNats } from '../src/testing.ts';

const keys = createKeys('account');
const signer = createSigner(keys.seed);
let dir: string;
let nats: TestNats;
let bus: Bus;
let database: TestDatabase;
// biome-ignore lint/complexity/noBannedTypes: no tables of a service are needed
let db: Database<{}>;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'weir-bus-migrations-'));
  writeFileSync(join(dir, '0001-bus.sql'), OUTBOX_SQL + CHANGES_SQL);
  nats = await startTestNats();
  bus = await connectBus({ servers: nats.url, name: 'test' });
  database = await testDatabase({ schema: 'policy', migrationsDir: dir });
  db = createDb({ url: database.url, schema: 'policy' });
});
after(async () => {
  await db.close();
  await database.drop();
  await bus.close();
  await nats.stop();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(async () => {
  for await (const stream of bus.jsm.streams.list()) await bus.jsm.streams.delete(stream.config.name);
  await ensureStreams(bus.jsm);
  await db.pool.query('truncate bus_outbox, bus_document');
  await db.pool.query('update bus_publisher set epoch = 1, revision = 0');
});

const started: Outbox[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((outbox) => outbox.stop()));
});
const start = (options: Partial<OutboxOptions> = {}): Outbox => {
  const outbox = runOutbox({ db, bus, signer, publisher: 'policy', inboxPrefix: '_INBOX', pollMs: 50, ...options });
  started.push(outbox);
  return outbox;
};
const put = (...names: string[]) =>
  withTransaction(db, (trx) =>
    enqueueConfig(
      trx,
      names.map((key) => ({ kind: 'policy' as const, key, body: { case: 'policy' as const, value: { key } } })),
    ),
  );
const remove = (key: string) => withTransaction(db, (trx) => enqueueConfig(trx, [{ kind: 'policy', key }]));
const stored = async (): Promise<Map<string, ConfigDocument>> => {
  const messages = await readSnapshot({ ...bus, inboxPrefix: '_INBOX', consumer: 'snap-test' });
  return new Map(
    messages.map(({ subject, data }) => {
      const document = verifySigned(data, [keys.publicKey], subject);
      return [subjects.cfg.parse(subject)?.key ?? '', document];
    }),
  );
};
/** Everything that subscribers are given, in order. */
const listen = () => {
  const documents: ConfigDocument[] = [];
  const subscription = bus.nc.subscribe(CFG_ALL, {
    callback: (_, msg) => void documents.push(verifySigned(msg.data, [keys.publicKey], msg.subject)),
  });
  return { documents, stop: () => subscription.unsubscribe() };
};
const until = async (what: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> => {
  const end = Date.now() + ms;
  while (!(await what())) {
    assert.ok(Date.now() < end, `not within ${ms} ms: ${what}`);
    await sleep(10);
  }
};

test('a committed document is on the bus, a rolled back one leaves no gap', async () => {
  // Nothing but NOTIFY wakes it.
  const outbox = start({ pollMs: 3_600_000 });
  const first = await put('a', 'b');
  assert.deepEqual(first.revisions, [1n, 2n]);
  await assert.rejects(
    withTransaction(db, async (trx) => {
      await enqueueConfig(trx, [{ kind: 'policy', key: 'lost' }]);
      throw new Error('changed my mind');
    }),
  );
  assert.equal((await remove('a')).revision, 3n);
  await outbox.drained();
  const there = await stored();
  assert.equal(there.get('a')?.body.case, undefined);
  assert.equal(there.get('b')?.body.case, 'policy');
  assert.equal(there.has('lost'), false);
  await until(() => outbox.stats().state?.revision === 3n);
  assert.equal(outbox.stats().state?.documents, 1n);
  await outbox.stop();
});

test('concurrent transactions: revisions leave in order, without gaps', async () => {
  const heard = listen();
  const outbox = start();
  await Promise.all(
    Array.from({ length: 300 }, async (_, index) => {
      await sleep(Math.random() * 200);
      await put(`k${index % 20}`, `j${index % 30}`);
    }),
  );
  await outbox.drained();
  await bus.nc.flush();
  assert.deepEqual(
    heard.documents.map(({ revision }) => Number(revision)),
    Array.from({ length: 600 }, (_, index) => index + 1),
  );
  heard.stop();
  await outbox.stop();
});

test('two dispatchers: one works, the other takes over', async () => {
  const one = start();
  await put('a');
  await one.drained();
  const two = start();
  await put('b');
  await two.drained();
  assert.equal(one.stats().published, 2);
  assert.equal(two.stats().published, 0);
  await one.stop();
  await put('c');
  await two.drained();
  assert.equal(two.stats().leading, true);
  await two.stop();
});

test('crashes at every step, 300 times: nothing lost, nothing twice in the stream, order kept', async () => {
  const errors: unknown[] = [];
  const count = 300;
  let crashes = 0;
  const heard = listen();
  const outbox = start({
    pollMs: 5,
    retryMs: 5,
    batch: 7,
    onError: (error) => void errors.push(error),
    failpoint: () => {
      if (crashes >= 60 || Math.random() < 0.5) return;
      crashes += 1;
      throw new Error('crash');
    },
  });
  for (let index = 0; index < count; index += 1) await put(`k${index % 17}`);
  await until(async () => (await db.pool.query('select 1 from bus_outbox limit 1')).rowCount === 0, 60_000);
  await bus.nc.flush();
  assert.ok(crashes >= 60);
  assert.equal(errors.length, crashes);
  // A core subscriber hears repetitions; the stream took each message id once, in order.
  assert.equal((await bus.jsm.streams.info(STREAM.CONFIG)).state.last_seq, count);
  const there = await stored();
  assert.equal(there.size, 17);
  for (let index = count - 17; index < count; index += 1) {
    assert.equal(there.get(`k${index % 17}`)?.revision, BigInt(index + 1));
  }
  const firsts = [...new Set(heard.documents.map(({ revision }) => Number(revision)))];
  assert.deepEqual(
    firsts,
    [...firsts].sort((a, b) => a - b),
  );
  assert.equal(firsts.length, count);
  heard.stop();
  await outbox.stop();
});

test('the database connection is cut: another one goes on', async () => {
  const outbox = start();
  await put('a');
  await outbox.drained();
  const { rowCount } = await db.pool.query(
    `select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and pid <> pg_backend_pid()
        and database = (select oid from pg_database where datname = current_database())`,
  );
  assert.equal(rowCount, 1);
  await put('b');
  await outbox.drained();
  assert.equal((await stored()).size, 2);
  await outbox.stop();
});

test('the broker comes back empty: everything is published again, removed things are not', async () => {
  const errors: unknown[] = [];
  const outbox = start({ onError: (error) => void errors.push(error) });
  await put('a', 'b', 'c');
  await remove('b');
  await outbox.drained();
  await nats.kill();
  await put('d');
  await nats.start({ wipe: true });
  await until(async () => {
    try {
      await ensureStreams(bus.jsm);
      return true;
    } catch {
      return false;
    }
  }, 20_000);
  await until(async () => (await stored()).size === 3, 60_000);
  const there = await stored();
  assert.deepEqual([...there.keys()].sort(), ['a', 'c', 'd']);
  assert.equal(there.get('a')?.revision, 1n);
  await outbox.stop();
});

test('a restored database: nothing is published until a new epoch, then strangers are removed', async () => {
  const first = start();
  await put('a', 'b');
  await first.drained();
  await first.stop();
  await db.pool.query(
    'create table backup_document as table bus_document; create table backup_publisher as table bus_publisher',
  );
  const second = start();
  await put('a', 'future');
  await second.drained();
  await second.stop();
  await db.pool.query(`truncate bus_document; insert into bus_document table backup_document;
    update bus_publisher set (epoch, revision) = (select epoch, revision from backup_publisher);
    drop table backup_document, backup_publisher`);
  const errors: unknown[] = [];
  const refusing = start({ onError: (error) => void errors.push(error) });
  await put('c');
  await until(() => errors.length > 0);
  assert.match(String(errors[0]), /newer configuration of policy/);
  assert.equal((await stored()).has('c'), false);
  await refusing.stop();
  const again = start({ onBehind: 'new-epoch' });
  await until(async () => (await stored()).get('future')?.body.case === undefined);
  await again.drained();
  const there = await stored();
  assert.deepEqual(
    ['a', 'b', 'c', 'future'].map((key) => [there.get(key)?.epoch, there.get(key)?.body.case]),
    [
      [2n, 'policy'],
      [2n, 'policy'],
      [2n, 'policy'],
      [2n, undefined],
    ],
  );
  assert.equal(await newEpoch(db), 3n);
  await again.drained();
  assert.equal((await stored()).get('a')?.epoch, 3n);
  await again.stop();
});
