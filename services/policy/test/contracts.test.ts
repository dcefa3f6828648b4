// SPDX-License-Identifier: Apache-2.0
/** Files that are committed and must say what the code does: schema.sql, openapi.json, the outbox's migration. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { CHANGES_SQL, OUTBOX_SQL } from '@weir/bus/publishing';
import { createDb, IDEMPOTENCY_SQL, migrate } from '@weir/db';
import { schemaSnapshot, testDatabase } from '@weir/db/testing';
import { openapiText } from '@weir/http';
import { MIGRATIONS, SCHEMA } from '../src/app.ts';
import { createPolicyHttp } from '../src/http.ts';
import type { Operations } from '../src/operations/context.ts';

const fileUrl = (name: string): URL => new URL(`../${name}`, import.meta.url);

test('migrations make what schema.sql shows, and a second time nothing', async () => {
  const migrated = await testDatabase({ schema: SCHEMA, migrationsDir: MIGRATIONS });
  const written = await testDatabase({ schema: SCHEMA });
  const db = createDb({ url: written.url, schema: SCHEMA });
  await db.pool.query(`create schema ${SCHEMA}; ${readFileSync(fileUrl('schema.sql'), 'utf8')}`);
  await db.close();
  try {
    assert.equal(await schemaSnapshot(written.url, SCHEMA), await schemaSnapshot(migrated.url, SCHEMA));
    assert.deepEqual(await migrate({ url: migrated.url, schema: SCHEMA, dir: MIGRATIONS }), []);
  } finally {
    await Promise.all([migrated.drop(), written.drop()]);
  }
});

test('the tables of the outbox and of Idempotency-Key are those of the libraries', () => {
  assert.equal(readFileSync(fileUrl('migrations/0001-bus.sql'), 'utf8'), OUTBOX_SQL);
  assert.equal(readFileSync(fileUrl('migrations/0005-idempotency-keys.sql'), 'utf8'), IDEMPOTENCY_SQL);
  assert.equal(readFileSync(fileUrl('migrations/0007-changes.sql'), 'utf8'), CHANGES_SQL);
});

test('openapi.json is what the routes say (WEIR_UPDATE=1 writes it)', async () => {
  const app = await createPolicyHttp({} as Operations, {});
  await app.ready();
  const text = openapiText(app);
  await app.close();
  if (process.env.WEIR_UPDATE === '1') writeFileSync(fileUrl('openapi.json'), text);
  assert.equal(text, readFileSync(fileUrl('openapi.json'), 'utf8'));
});
