// SPDX-License-Identifier: Apache-2.0
/** The service, whole, on a database and a bus of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Bus,
  type ConfigKind,
  configSubject,
  connectBus,
  createKeys,
  createSigner,
  publishEvents,
  signDocument,
  subjects,
} from '@weir/bus';
import { startTestNats, type TestNats } from '@weir/bus/testing';
import { createPool } from '@weir/db';
import { testDatabase } from '@weir/db/testing';
import type { ConfigDocument } from '@weir/proto/weir/bus/v1/config_pb.js';
import type pg from 'pg';
import { type AnalyticsApp, createApp, MIGRATIONS_DIR, SCHEMA } from '../../src/app.ts';
import { type AnalyticsConfig, readConfig } from '../../src/config.ts';
import { BOOT, batchOf, type FlowInit } from './flows.ts';

export interface TestService {
  readonly app: AnalyticsApp;
  readonly nats: TestNats;
  /** As an agent and as the control plane. */
  readonly bus: Bus;
  readonly pool: pg.Pool;
  readonly config: AnalyticsConfig;
  readonly signers: { readonly inventory: Signer; readonly policy: Signer };
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any shape
  get(path: string): Promise<{ status: number; body: any; headers: Headers }>;
  send(host: string, bytes: Uint8Array, msgId: string): Promise<void>;
  /** A batch of realistic flows. */
  sendFlows(host: string, firstSeq: number, count: number, options?: SendOptions): Promise<void>;
  publishConfig(kind: ConfigKind, key: string, body: ConfigDocument['body'] | undefined): Promise<void>;
  stored(host?: string): Promise<number>;
  /** Stops the service and starts another one. */
  restart(over?: Partial<AnalyticsConfig>): Promise<void>;
  stop(): Promise<void>;
}

export interface SendOptions {
  readonly timeMs?: number;
  readonly boot?: number;
  readonly over?: FlowInit;
}

type Signer = ReturnType<typeof createSigner>;

export const until = async (
  what: string | (() => string),
  check: () => Promise<boolean> | boolean,
  timeoutMs = 60_000,
): Promise<void> => {
  const deadline = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > deadline) {
      throw new Error(`not in ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await sleep(20);
  }
};

export const startService = async (
  env: Readonly<Record<string, string>> = {},
  options: { readonly databaseUrl?: string } = {},
): Promise<TestService> => {
  const [database, nats] = await Promise.all([
    options.databaseUrl
      ? { url: options.databaseUrl, drop: async () => {} }
      : testDatabase({ schema: SCHEMA, migrationsDir: MIGRATIONS_DIR }),
    startTestNats(),
  ]);
  const keys = { inventory: createKeys('account'), policy: createKeys('account') };
  const signers = { inventory: createSigner(keys.inventory.seed), policy: createSigner(keys.policy.seed) };
  const config = readConfig({
    WEIR_ANALYTICS_PORT: '0',
    WEIR_ANALYTICS_GRPC_PORT: '0',
    WEIR_ANALYTICS_DATABASE_URL: database.url,
    WEIR_ANALYTICS_NATS_URL: nats.url,
    WEIR_TRUSTED_SIGNERS: `${keys.inventory.publicKey},${keys.policy.publicKey}`,
    ...env,
  });
  let app = await createApp(config);
  const bus = await connectBus({ servers: nats.url, name: 'test' });
  const pool = createPool({ url: database.url, schema: SCHEMA, max: 3 });
  let revision = 0n;
  const service: TestService = {
    get app() {
      return app;
    },
    nats,
    bus,
    pool,
    config,
    signers,
    get: async (path) => {
      const response = await fetch(`${app.http}${path}`);
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
    },
    send: async (host, bytes, msgId) => {
      await publishEvents(bus.js, subjects.evtFlow.build({ host }), bytes, msgId);
    },
    sendFlows: (host, firstSeq, count, { timeMs = Date.now(), boot = BOOT, over = {} } = {}) =>
      service.send(host, batchOf(firstSeq, count, timeMs, boot, over), `${host}:${boot}:${firstSeq}`),
    publishConfig: async (kind, key, body) => {
      const publisher = kind === 'policy' ? 'policy' : 'inventory';
      const subject = configSubject(kind, key);
      revision += 1n;
      const signed = signDocument(signers[publisher], {
        subject,
        epoch: 1n,
        revision,
        publisher,
        ...(body === undefined ? {} : { body: body as never }),
      });
      await bus.js.publish(subject, signed);
    },
    stored: async (host) => {
      const { rows } = await pool.query(
        'select count(*)::int4 as n from flows join hosts h on h.id = host_id where $1::text is null or h.name = $1',
        [host ?? null],
      );
      return rows[0].n;
    },
    restart: async (over = {}) => {
      await app.close();
      app = await createApp({ ...config, ...over });
    },
    stop: async () => {
      await app.close();
      await bus.close();
      await pool.end();
      await nats.stop();
      await database.drop();
    },
  };
  return service;
};
