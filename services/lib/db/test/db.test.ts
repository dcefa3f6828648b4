// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isWeirError } from '@weir/errors';
import type { Generated } from 'kysely';
import { copyBinaryInto, createDb, type Database, isUniqueViolation, migrate, withTransaction } from '../src/index.ts';
import { schemaSnapshot, type TestDatabase, testDatabase } from '../src/testing.ts';

const migrationsDir = new URL('./migrations', import.meta.url).pathname;

interface Tables {
  things: { id: Generated<bigint>; name: string; number: Generated<bigint> };
}

describe('database', () => {
  let database: TestDatabase;
  let db: Database<Tables>;

  before(async () => {
    database = await testDatabase({ schema: 'demo', migrationsDir });
    db = createDb<Tables>({ url: database.url, schema: 'demo' });
  });
  after(async () => {
    await db.close();
    await database.drop();
  });

  test('migrations run once', async () => {
    assert.deepEqual(await migrate({ url: database.url, schema: 'demo', dir: migrationsDir }), []);
    const snapshot = await schemaSnapshot(database.url, 'demo');
    assert.match(snapshot, /^column things.name text not null$/m);
    assert.match(snapshot, /constraint things.things_name_key UNIQUE \(name\)/);
  });

  test('replicas that start together migrate once', async () => {
    const empty = await testDatabase({ schema: 'demo' });
    try {
      const ran = await Promise.all(
        [1, 2, 3].map(() => migrate({ url: empty.url, schema: 'demo', dir: migrationsDir })),
      );
      assert.deepEqual(ran.flat().sort(), ['0001-things', '0002-more']);
    } finally {
      await empty.drop();
    }
  });

  test('int8 is bigint, violations are found by name', async () => {
    await db.kysely
      .insertInto('things')
      .values({ name: 'one', number: 2n ** 60n })
      .execute();
    const row = await db.kysely.selectFrom('things').selectAll().where('name', '=', 'one').executeTakeFirstOrThrow();
    assert.equal(row.number, 2n ** 60n);
    const again = db.kysely.insertInto('things').values({ name: 'one' }).execute();
    await assert.rejects(again, (error) => isUniqueViolation(error, 'things_name_key'));
  });

  test('serialization failures are retried until all get through', async () => {
    await db.kysely.insertInto('things').values({ name: 'counter' }).execute();
    const add = (): Promise<void> =>
      withTransaction(
        db,
        async (trx) => {
          const { number } = await trx
            .selectFrom('things')
            .select('number')
            .where('name', '=', 'counter')
            .executeTakeFirstOrThrow();
          await trx
            .updateTable('things')
            .set({ number: number + 1n })
            .where('name', '=', 'counter')
            .execute();
        },
        { isolation: 'serializable', attempts: 100 },
      );
    await Promise.all(Array.from({ length: 10 }, add));
    const row = await db.kysely
      .selectFrom('things')
      .select('number')
      .where('name', '=', 'counter')
      .executeTakeFirstOrThrow();
    assert.equal(row.number, 10n);
  });

  test('binary copy writes each type as Postgres reads it', async () => {
    await db.pool.query(`create table copied (b bool, i2 int2, i4 int4, i8 int8, f float8, t text, j jsonb, y bytea,
      at timestamptz, at_ns timestamptz, v4 inet, mapped inet, v6 inet, ia int4[], ta text[], n text)`);
    const columns = 'b i2 i4 i8 f t j y at at_ns v4 mapped v6 ia ta n'.split(' ');
    const mapped = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]);
    const v6 = Uint8Array.from([0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    const count = 3_000;
    const rows = await copyBinaryInto(db.pool, 'copied', columns, (w) => {
      for (let index = 0; index < count; index += 1) {
        w.row(columns.length);
        w.bool(true);
        w.int2(-2);
        w.int4(index);
        w.int8(-(2n ** 50n));
        w.float8(1.5);
        w.text(`é\0${'x'.repeat(200)}`);
        w.jsonb({ a: [1] });
        w.bytea(Uint8Array.of(0, 255));
        w.timestamptzMs(1_700_000_000_123);
        w.timestamptzNs(1_700_000_000_123_456_789n);
        w.inet(Uint8Array.of(10, 77, 0, 9));
        w.inet(mapped);
        w.inet(v6);
        w.int4Array([1, -5]);
        w.textArray(index % 2 ? [] : ['k8s:app=web', '']);
        w.null();
      }
    });
    assert.equal(rows, count);
    const { rows: read } = await db.pool.query('select *, at_ns::text as us from copied order by i4 limit 2');
    const first = read[0];
    assert.equal(first.t, `é\ufffd${'x'.repeat(200)}`);
    assert.deepEqual(
      [first.b, first.i2, first.i8, first.f, first.j, first.n],
      [true, -2, -(2n ** 50n), 1.5, { a: [1] }, null],
    );
    assert.deepEqual([first.v4, first.mapped, first.v6], ['10.77.0.9', '10.0.0.1', 'fd77::5']);
    assert.deepEqual([first.ia, first.ta, read[1].ta], [[1, -5], ['k8s:app=web', ''], []]);
    assert.equal(first.at.getTime(), 1_700_000_000_123);
    assert.match(first.us, /\.123456/);
    assert.deepEqual([...first.y], [0, 255]);
  });

  test('a violated constraint in a copy rejects and leaves the pool usable', async () => {
    const copy = copyBinaryInto(db.pool, 'things', ['name'], (w) => {
      for (const name of ['same', 'same']) {
        w.row(1);
        w.text(name);
      }
    });
    await assert.rejects(copy, (error) => isUniqueViolation(error));
    await db.ping();
  });

  test('a lost connection is UNAVAILABLE, the next query works', async () => {
    const slow = db.pool.query('select pg_sleep(10)');
    slow.catch(() => {});
    await db.kysely.selectFrom('things').select('id').limit(1).execute();
    const other = createDb({ url: database.url, schema: 'demo' });
    await other.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and query like 'select pg_sleep%' and pid <> pg_backend_pid()`,
    );
    await other.close();
    await assert.rejects(
      slow,
      (error) => isWeirError(error) && error.code === 'UNAVAILABLE' && error.facts.retryAfterS === 1,
    );
    await db.ping();
  });

  test('statements have a time limit', async () => {
    const hasty = createDb({ url: database.url, schema: 'demo', statementTimeoutMs: 100 });
    await assert.rejects(
      hasty.pool.query('select pg_sleep(5)'),
      (error) => isWeirError(error) && error.code === 'UNAVAILABLE',
    );
    await hasty.close();
  });
});

test('an unreachable database is UNAVAILABLE, and not only when TCP gives up', async () => {
  for (const url of ['postgres://x:y@127.0.0.1:1/none', 'postgres://x:y@192.0.2.1:5432/none']) {
    const db = createDb({ url, schema: 'demo' });
    const start = performance.now();
    await assert.rejects(db.ping(), (error) => isWeirError(error) && error.code === 'UNAVAILABLE');
    await assert.rejects(
      withTransaction(db, async () => {}),
      (error) => isWeirError(error) && error.code === 'UNAVAILABLE',
    );
    assert.ok(performance.now() - start < 20_000, `took ${performance.now() - start} ms for two attempts`);
    await db.close();
  }
});

test('a burst waits for its turn instead of failing', async () => {
  const database = await testDatabase({ schema: 'demo', migrationsDir });
  const db = createDb({ url: database.url, schema: 'demo', max: 2 });
  try {
    await Promise.all(Array.from({ length: 12 }, () => db.pool.query('select pg_sleep(0.25)')));
  } finally {
    await db.close();
    await database.drop();
  }
});

test('a text that no column can hold is the fault of whoever sent it', async () => {
  const database = await testDatabase({ schema: 'demo', migrationsDir });
  const db = createDb({ url: database.url, schema: 'demo' });
  const refused = (error: unknown) => isWeirError(error) && error.code === 'INVALID_ARGUMENT';
  await assert.rejects(db.pool.query('select $1::text', ['a\0b']), refused);
  await assert.rejects(db.pool.query('select $1::jsonb', [JSON.stringify({ a: '\0' })]), refused);
  await db.close();
  await database.drop();
});
