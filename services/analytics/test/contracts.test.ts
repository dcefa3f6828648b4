// SPDX-License-Identifier: Apache-2.0
/** What is written twice is compared: migrations and schema.sql, routes and openapi.json, metrics and their names. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { migrate } from '@weir/db';
import { schemaSnapshot, testDatabase } from '@weir/db/testing';
import { openapiText } from '@weir/http';
import pg from 'pg';
import { MIGRATIONS_DIR, SCHEMA } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { buildHttp, type HttpDeps } from '../src/http.ts';

const file = (name: string): URL => new URL(`../${name}`, import.meta.url);

test('schema.sql is what the migrations make, and migrating twice changes nothing', async () => {
  const [migrated, written] = await Promise.all([testDatabase({ schema: SCHEMA }), testDatabase({ schema: SCHEMA })]);
  try {
    assert.ok((await migrate({ url: migrated.url, schema: SCHEMA, dir: MIGRATIONS_DIR })).length > 0);
    const once = await schemaSnapshot(migrated.url, SCHEMA);
    assert.deepEqual(await migrate({ url: migrated.url, schema: SCHEMA, dir: MIGRATIONS_DIR }), []);
    assert.equal(await schemaSnapshot(migrated.url, SCHEMA), once);
    const client = new pg.Client({ connectionString: written.url });
    await client.connect();
    await client.query(readFileSync(file('schema.sql'), 'utf8'));
    await client.end();
    assert.equal(await schemaSnapshot(written.url, SCHEMA), once);
  } finally {
    await Promise.all([migrated.drop(), written.drop()]);
  }
});

test('openapi.json is that of the routes (UPDATE=1 writes it)', async () => {
  // Nothing is called: only the document is made.
  const app = await buildHttp({} as HttpDeps);
  await app.ready();
  const text = openapiText(app);
  await app.close();
  if (process.env.UPDATE === '1') writeFileSync(file('openapi.json'), text);
  assert.equal(readFileSync(file('openapi.json'), 'utf8'), text, 'run UPDATE=1 node --test test/contracts.test.ts');
});

test('a misspelt setting is refused', () => {
  const env = {
    WEIR_ANALYTICS_DATABASE_URL: 'postgres://localhost/x',
    WEIR_TRUSTED_SIGNERS: `A${'A'.repeat(55)}`,
  };
  assert.equal(readConfig(env).port, 7103);
  assert.throws(() => readConfig({ ...env, WEIR_ANALYTICS_FLOW_RETENTION_HOUR: '5' }), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => readConfig({ ...env, WEIR_ANALYTICS_FLOW_RETENTION_HOURS: '-5' }), { code: 'INVALID_ARGUMENT' });
});
