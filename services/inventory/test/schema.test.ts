// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { CHANGES_SQL, OUTBOX_SQL } from '@weir/bus/publishing';
import { createPool, IDEMPOTENCY_SQL, migrate } from '@weir/db';
import { schemaSnapshot, type TestDatabase, testDatabase } from '@weir/db/testing';
import { MIGRATIONS, SCHEMA } from '../src/app.ts';
import { labelsHash } from '../src/domain/labels.ts';

const dir = MIGRATIONS;
let migrated: TestDatabase;
let empty: TestDatabase;

before(async () => {
  migrated = await testDatabase({ schema: SCHEMA, migrationsDir: dir });
  empty = await testDatabase({ schema: SCHEMA });
});
after(async () => {
  await migrated.drop();
  await empty.drop();
});

test('the migrations make what schema.sql shows', async () => {
  const pool = createPool({ url: empty.url });
  const text = await readFile(new URL('../schema.sql', import.meta.url), 'utf8');
  await pool.query(`create schema ${SCHEMA}; set search_path = ${SCHEMA}; ${text}`);
  await pool.end();
  assert.equal(await schemaSnapshot(empty.url, SCHEMA), await schemaSnapshot(migrated.url, SCHEMA));
});

test('a second run of the migrations changes nothing', async () => {
  const once = await schemaSnapshot(migrated.url, SCHEMA);
  assert.deepEqual(await migrate({ url: migrated.url, schema: SCHEMA, dir }), []);
  assert.equal(await schemaSnapshot(migrated.url, SCHEMA), once);
});

test('the tables of the bus and of Idempotency-Key are those of the libraries', async () => {
  assert.equal(await readFile(`${dir}/0001-bus.sql`, 'utf8'), OUTBOX_SQL);
  assert.equal(await readFile(`${dir}/0009-idempotency-keys.sql`, 'utf8'), IDEMPOTENCY_SQL);
  assert.equal(await readFile(`${dir}/0011-changes.sql`, 'utf8'), CHANGES_SQL);
});

test('hashes of sets of labels made by the migration are those that the service makes', async () => {
  const labels = ['k8s:app=web', 'k8s:ü='].sort();
  const pool = createPool({ url: migrated.url });
  const { rows } = await pool.query(
    "select sha256(convert_to(array_to_string($1::text[], E'\\n') || E'\\n', 'UTF8')) as hash",
    [labels],
  );
  await pool.end();
  assert.deepEqual(rows[0].hash, labelsHash(labels));
});
