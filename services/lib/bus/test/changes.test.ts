// SPDX-License-Identifier: Apache-2.0
/** The log of changes on a real Postgres: order, going on behind a place, and what is too old to be known. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createDb, type Database, withTransaction } from '@weir/db';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import {
  CHANGES_KEPT,
  CHANGES_SQL,
  ChangeFeed,
  enqueueConfig,
  type FeedEvent,
  noteChanges,
  OUTBOX_SQL,
} from '../src/publishing.ts';

const SCHEMA = 'changes_test';
const dir = mkdtempSync(join(tmpdir(), 'weir-changes-'));
let database: TestDatabase;
let db: Database<unknown>;
let feed: ChangeFeed;

before(async () => {
  writeFileSync(join(dir, '0001-bus.sql'), OUTBOX_SQL);
  writeFileSync(join(dir, '0002-changes.sql'), CHANGES_SQL);
  database = await testDatabase({ schema: SCHEMA, migrationsDir: dir });
  db = createDb({ url: database.url, schema: SCHEMA });
  feed = new ChangeFeed({ db, onError: (error) => assert.fail(String(error)) });
});
after(async () => {
  feed.close();
  await db.close();
  await database.drop();
  rmSync(dir, { recursive: true, force: true });
});

const write = (key: string, kind = 'thing') =>
  withTransaction(db, (trx) => noteChanges(trx, [{ kind, key, what: 'written' }]));
const status = (key: string) =>
  withTransaction(db, (trx) => noteChanges(trx, [{ kind: 'thing', key, what: 'status' }]));

const follow = async (after?: string, kinds?: readonly string[]) => {
  const stop = new AbortController();
  const events = await feed.follow({ ...(after ? { after } : {}), ...(kinds ? { kinds } : {}) }, stop.signal);
  const next = async (): Promise<FeedEvent> => {
    const { value, done } = await events.next();
    assert.equal(done, false);
    return value;
  };
  return {
    next,
    keys: async (count: number): Promise<string[]> => {
      const keys: string[] = [];
      while (keys.length < count) {
        const one = await next();
        if (one.event === 'change') keys.push(one.change.key);
      }
      return keys;
    },
    stop: async () => {
      stop.abort();
      assert.equal((await events.next()).done, true);
    },
  };
};

test('what comes is told at once, in order, and to whoever goes on behind an event', async () => {
  const reader = await follow();
  const ready = await reader.next();
  assert.equal(ready.event, 'ready');
  const waiting = reader.next();
  await write('a');
  const first = await waiting;
  assert.equal(first.event === 'change' && first.change.key, 'a');
  await write('b');
  await write('c');
  assert.deepEqual(await reader.keys(2), ['b', 'c']);
  await reader.stop();
  for (const [from, wanted] of [
    [ready.id, ['a', 'b', 'c', 'd']],
    [first.id, ['b', 'c', 'd']],
  ] as const) {
    if (wanted.length === 4) await write('d');
    const again = await follow(from);
    assert.deepEqual(await again.keys(wanted.length), wanted);
    await again.stop();
  }
});

test('many who write at once: a reader misses none and sees none twice, wherever it goes on', async () => {
  let reader = await follow();
  let last = (await reader.next()).id;
  const wanted = new Set(Array.from({ length: 400 }, (_, i) => `w${i}`));
  const writing = Promise.all(
    Array.from({ length: 8 }, async (_, writer) => {
      for (let i = writer; i < 400; i += 8) await write(`w${i}`);
    }),
  );
  const seen: string[] = [];
  while (seen.length < wanted.size) {
    const one = await reader.next();
    last = one.id;
    if (one.event === 'change') seen.push(one.change.key);
    // Every so often the connection is lost.
    if (one.event === 'change' && seen.length % 37 === 0) {
      await reader.stop();
      reader = await follow(last);
    }
  }
  await writing;
  await reader.stop();
  assert.deepEqual(new Set(seen), wanted);
  assert.equal(seen.length, wanted.size);
});

test('of a status the newest stands for all; other kinds can be left out', async () => {
  const reader = await follow();
  const { id } = await reader.next();
  await reader.stop();
  for (const key of ['s', 't', 's', 's']) await status(key);
  await write('other', 'other');
  await status('t');
  const all = await follow(id);
  assert.deepEqual(await all.keys(3), ['s', 'other', 't']);
  await all.stop();
  const some = await follow(id, ['other']);
  assert.deepEqual(await some.keys(1), ['other']);
  await some.stop();
});

test('documents of the outbox are noted with their revisions; what is rolled back is not', async () => {
  const reader = await follow();
  await reader.next();
  const queued = withTransaction(db, async (trx) => {
    await enqueueConfig(trx, [{ kind: 'policy', key: 'lost' }]);
    throw new TypeError('rolled back');
  });
  await assert.rejects(queued);
  const { revision } = await withTransaction(db, (trx) => enqueueConfig(trx, [{ kind: 'policy', key: 'p' }]));
  const one = await reader.next();
  assert.ok(one.event === 'change');
  const { kind, key, what, revision: told } = one.change;
  assert.deepEqual([kind, key, what, told], ['policy', 'p', 'removed', revision]);
  await reader.stop();
});

test('a place that is not known any more, of another database, or nonsense', async () => {
  const startsWith = async (after: string) => {
    const reader = await follow(after);
    const { event } = await reader.next();
    await reader.stop();
    return event;
  };
  const { rows } = await db.pool.query('select position from change_head');
  assert.equal(await startsWith(`1.${rows[0].position}`), 'ready');
  assert.equal(await startsWith(`2.${rows[0].position}`), 'reset');
  assert.equal(await startsWith(`1.${rows[0].position + 1n}`), 'reset');
  await db.pool.query('update change_head set position = position + $1', [CHANGES_KEPT]);
  const late = Array.from({ length: 1_000 }, (_, i) => ({ kind: 'late', key: `l${i}`, what: 'written' as const }));
  await withTransaction(db, (trx) => noteChanges(trx, late));
  assert.equal(await startsWith(`1.${rows[0].position}`), 'reset');
  const { rows: left } = await db.pool.query("select count(*) filter (where kind <> 'late') as old from changes");
  assert.equal(left[0].old, 0n);
  await assert.rejects(feed.follow({ after: 'x' }, new AbortController().signal), { code: 'INVALID_ARGUMENT' });
});

test('a follower hears of changes also when its LISTEN was cut', async () => {
  const reader = await follow();
  await reader.next();
  const other = createDb({ url: database.url, schema: SCHEMA });
  await other.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and query ilike 'listen "changes_%'`,
  );
  await write('cut');
  assert.deepEqual(await reader.keys(1), ['cut']);
  await reader.stop();
  await other.close();
});

test('closing ends every stream', async () => {
  const own = new ChangeFeed({ db, onError: () => {} });
  const events = await own.follow({}, new AbortController().signal);
  assert.equal((await events.next()).value?.event, 'ready');
  const end = events.next();
  own.close();
  assert.equal((await end).done, true);
});
