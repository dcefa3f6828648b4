// SPDX-License-Identifier: Apache-2.0
/** The service with the rights that it has in a fleet, and agents with theirs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  agentInbox,
  agentPermissions,
  connectBus,
  createKeys,
  natsServerConfig,
  publishEvents,
  servicePermissions,
  subjects,
} from '@weir/bus';
import { startTestNats } from '@weir/bus/testing';
import { testDatabase } from '@weir/db/testing';
import { createApp, MIGRATIONS_DIR, SCHEMA } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { until } from './support/app.ts';
import { BOOT, batchOf } from './support/flows.ts';
import { openSse } from './support/sse.ts';

test('everything works with the permissions of natsServerConfig; an agent cannot speak for another', async () => {
  const keys = { analytics: createKeys('user'), h1: createKeys('user'), signer: createKeys('account') };
  const [database, nats] = await Promise.all([
    testDatabase({ schema: SCHEMA, migrationsDir: MIGRATIONS_DIR }),
    startTestNats({
      config: natsServerConfig({
        users: [
          { name: 'analytics', publicKey: keys.analytics.publicKey, permissions: servicePermissions('analytics') },
          { name: 'h1', publicKey: keys.h1.publicKey, permissions: agentPermissions('h1') },
        ],
      }),
    }),
  ]);
  const app = await createApp(
    readConfig({
      WEIR_ANALYTICS_PORT: '0',
      WEIR_ANALYTICS_GRPC_PORT: '0',
      WEIR_ANALYTICS_DATABASE_URL: database.url,
      WEIR_ANALYTICS_NATS_URL: nats.url,
      WEIR_ANALYTICS_NATS_SEED: keys.analytics.seed,
      WEIR_TRUSTED_SIGNERS: keys.signer.publicKey,
    }),
  );
  const agent = await connectBus({
    servers: nats.url,
    name: 'h1',
    nkeySeed: keys.h1.seed,
    inboxPrefix: agentInbox('h1'),
  });
  try {
    const watermarks: bigint[] = [];
    agent.nc.subscribe(subjects.wm.build({ host: 'h1' }), {
      callback: (_error, msg) => {
        watermarks.push(subjects.wm.decode(msg.data).seq);
      },
    });
    const stream = await openSse(`${app.http}/v1/flows/stream?last=5`);
    await publishEvents(agent.js, subjects.evtFlow.build({ host: 'h1' }), batchOf(1, 100), `h1:${BOOT}:1`);
    await until('committed', () => watermarks.includes(100n));
    await stream.waitFor(100);
    stream.close();
    agent.nc.publish(
      subjects.hb.build({ host: 'h1' }),
      subjects.hb.encode({ boot: BigInt(BOOT), flows: { produced: 100n } as never }),
    );
    const items = async () =>
      ((await (await fetch(`${app.http}/v1/watermarks`)).json()) as { items: { host: string; produced: number }[] })
        .items;
    await until('counted', async () => (await items())[0]?.produced === 100);
    agent.nc.publish(subjects.evtFlow.build({ host: 'h2' }), batchOf(1, 10));
    agent.nc.publish(
      subjects.hb.build({ host: 'h2' }),
      subjects.hb.encode({ boot: BigInt(BOOT), flows: { produced: 9n } as never }),
    );
    await sleep(1_500);
    assert.deepEqual(
      (await items()).map(({ host }: { host: string }) => host),
      ['h1'],
    );
  } finally {
    await app.close();
    await agent.close();
    await nats.stop();
    await database.drop();
  }
});
