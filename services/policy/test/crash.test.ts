// SPDX-License-Identifier: Apache-2.0
/**
 * The service is killed again and again while documents are applied: what was answered is on the bus, once, and in
 * the order of revisions.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  agentInbox,
  agentPermissions,
  type Bus,
  CFG_ALL,
  connectBus,
  createKeys,
  hostSnapshotConsumer,
  natsServerConfig,
  readSnapshot,
  servicePermissions,
  subjects,
  verifySigned,
} from '@weir/bus';
import { startTestNats, type TestNats } from '@weir/bus/testing';
import { createDb, type Database } from '@weir/db';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import { MIGRATIONS, SCHEMA } from '../src/app.ts';
import { networkPolicy, WEB } from './support/harness.ts';

const KILLS = 5;
const service = createKeys('user');
const host = createKeys('user');
const signing = createKeys('account');
let nats: TestNats;
let database: TestDatabase;
let db: Database<Record<string, never>>;
let bus: Bus;
let child: ChildProcess | undefined;
let url = '';

before(async () => {
  nats = await startTestNats({
    config: natsServerConfig({
      users: [
        { name: 'policy', publicKey: service.publicKey, permissions: servicePermissions('policy') },
        { name: 'h1', publicKey: host.publicKey, permissions: agentPermissions('h1') },
      ],
    }),
  });
  database = await testDatabase({ schema: SCHEMA, migrationsDir: MIGRATIONS });
  db = createDb({ url: database.url, schema: SCHEMA });
  bus = await connectBus({ servers: nats.url, name: 'h1', nkeySeed: host.seed, inboxPrefix: agentInbox('h1') });
});
after(async () => {
  child?.kill('SIGKILL');
  await bus.close();
  await db.close();
  await database.drop();
  await nats.stop();
});

const start = async (): Promise<void> => {
  const started = spawn(process.execPath, [new URL('../src/main.ts', import.meta.url).pathname], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      WEIR_LOG_LEVEL: 'fatal',
      WEIR_POLICY_PORT: '0',
      WEIR_POLICY_GRPC_PORT: '0',
      WEIR_POLICY_DATABASE_URL: database.url,
      WEIR_POLICY_NATS_URL: nats.url,
      WEIR_POLICY_NATS_SEED: service.seed,
      WEIR_POLICY_SIGNING_SEED: signing.seed,
      WEIR_TRUSTED_SIGNERS: signing.publicKey,
    },
  });
  child = started;
  const [line] = (await once(started.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  url = (JSON.parse(line.toString().split('\n')[0] ?? '') as { http: string }).http;
};

test(`killed ${KILLS} times under load`, async () => {
  await start();
  const heard: bigint[] = [];
  bus.nc.subscribe(CFG_ALL, {
    callback: (_, message) =>
      void heard.push(verifySigned(message.data, [signing.publicKey], message.subject).revision),
  });
  await bus.nc.flush();
  const answered = new Map<string, number>();
  let applied = 0;
  let running = true;
  const client = async (id: number): Promise<void> => {
    for (let index = 0; running; index += 1) {
      try {
        const response = await fetch(`${url}/v1/policies`, {
          method: 'POST',
          headers: { 'content-type': 'application/yaml' },
          body: networkPolicy(`p${id}`, WEB.replace('port: 80', `port: ${1 + index}`)),
        });
        if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
        answered.set(`NetworkPolicy/prod/p${id}`, ((await response.json()) as { revision: number }).revision);
        applied += 1;
      } catch {
        // It is being killed; whether this one was committed nobody was told.
        await sleep(20);
      }
    }
  };
  const clients = [0, 1, 2, 3].map(client);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const enough = applied + 5;
    for (const deadline = Date.now() + 20_000; applied < enough; await sleep(5))
      assert.ok(Date.now() < deadline, 'no progress');
    await sleep(Math.random() * 100);
    const killed = child as ChildProcess;
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    await start();
  }
  running = false;
  await Promise.all(clients);
  const killed = child as ChildProcess;
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  const restartedAt = performance.now();
  await start();
  const startedMs = performance.now() - restartedAt;
  for (const deadline = Date.now() + 5_000; ; await sleep(10)) {
    const { rowCount } = await db.pool.query('select 1 from bus_outbox limit 1');
    if (rowCount === 0) break;
    assert.ok(Date.now() < deadline, 'the outbox is empty within 5 s');
  }
  await bus.nc.flush();

  const messages = await readSnapshot({ ...bus, inboxPrefix: agentInbox('h1'), consumer: hostSnapshotConsumer('h1') });
  for (const { subject, data } of messages) {
    const { revision } = verifySigned(data, [signing.publicKey], subject);
    const key = subjects.cfg.parse(subject)?.key ?? '';
    assert.ok(
      revision >= BigInt(answered.get(key) ?? 0),
      `${key}: ${revision} on the bus, ${answered.get(key)} answered`,
    );
  }
  assert.equal(messages.length, 4);
  const { rows } = await db.pool.query<{ revision: bigint }>('select revision from bus_publisher');
  const count = Number(rows[0]?.revision);
  // Core subscribers may hear a repetition, which readers ignore; first hearings are all there, in order.
  const first = [...new Set(heard)];
  assert.deepEqual(
    first,
    Array.from({ length: count }, (_, index) => BigInt(index + 1)),
  );
  const versions = await db.pool.query('select revision from policy_revisions order by revision');
  assert.deepEqual(
    versions.rows.map(({ revision }) => revision),
    first,
  );
  console.log(`${count} revisions, ${heard.length - count} heard twice, start ${Math.round(startedMs)} ms`);
});

test('SIGTERM ends it with status 0', async () => {
  const ending = child as ChildProcess;
  ending.kill('SIGTERM');
  const [code] = await once(ending, 'exit');
  assert.equal(code, 0);
});
