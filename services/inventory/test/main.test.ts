// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { createKeys } from '@weir/bus';
import { startTestNats, type TestNats } from '@weir/bus/testing';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import { main, ownEnv, spawnService } from './process.ts';

let database: TestDatabase;
let nats: TestNats;
before(async () => {
  database = await testDatabase({ schema: 'inventory' });
  nats = await startTestNats();
});
after(async () => {
  await nats.stop();
  await database.drop();
});

test('starts on an empty database, says where it listens, ends on SIGTERM', async (t) => {
  const child = spawnService({
    databaseUrl: database.url,
    natsUrl: nats.url,
    signing: createKeys('account').seed,
  });
  // Whatever fails below, nothing stays behind.
  t.after(() => child.kill('SIGKILL'));
  let logged = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    logged += text;
  });
  const [first] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const line = JSON.parse(first) as { msg: string; http: string; grpc: string };
  assert.equal(line.msg, 'listening');
  assert.match(line.grpc, /^127\.0\.0\.1:\d+$/);
  const answer = await fetch(`${line.http}/v1/hosts`);
  assert.equal(answer.status, 200, `${await answer.text()} ${logged}`);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0, logged);
  for (const entry of logged.trim().split('\n')) assert.ok(JSON.parse(entry).msg);
});

test('settings that are wrong end it with each named; secrets are not repeated', () => {
  const { status, stderr } = spawnSync(process.execPath, [main], {
    encoding: 'utf8',
    env: {
      ...ownEnv,
      WEIR_INVENTORY_PROT: '1',
      WEIR_INVENTORY_SIGNING_SEED: 'SACANARY',
      WEIR_INVENTORY_DATABASE_URL: database.url,
    },
  });
  assert.equal(status, 1);
  const line = JSON.parse(stderr.trim().split('\n').at(-1) ?? '{}');
  assert.match(line.msg, /WEIR_INVENTORY_PROT/);
  assert.match(stderr, /WEIR_INVENTORY_PORT/);
  assert.doesNotMatch(stderr, /CANARY/);
});

test('pools that cannot be cut end it with the setting named', () => {
  const { status, stderr } = spawnSync(process.execPath, [main], {
    encoding: 'utf8',
    env: {
      ...ownEnv,
      WEIR_INVENTORY_POOL4: '10.77.0.0/30',
      WEIR_INVENTORY_SIGNING_SEED: createKeys('account').seed,
      WEIR_INVENTORY_DATABASE_URL: database.url,
    },
  });
  assert.equal(status, 1);
  assert.match(stderr, /pool4 10\.77\.0\.0\/30/);
});
