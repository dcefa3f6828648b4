// SPDX-License-Identifier: Apache-2.0
/** The service as it runs, on a Postgres and a nats-server of its own, and the few things that tests do with it. */
import {
  agentInbox,
  agentPermissions,
  type Bus,
  type ConfigWatcher,
  configWatcher,
  connectBus,
  createKeys,
  keysOf,
  natsServerConfig,
  serviceInbox,
  servicePermissions,
  serviceSnapshotConsumer,
} from '@weir/bus';
import { startTestNats, type TestNats } from '@weir/bus/testing';
import { loadConfig } from '@weir/config';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import type { RunningService } from '@weir/http';
import { createApp, MIGRATIONS, SCHEMA } from '../src/app.ts';
import { InventoryConfig } from '../src/config.ts';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at freely
  readonly body: any;
  readonly headers: Headers;
}

export interface Harness {
  readonly app: RunningService;
  readonly database: TestDatabase;
  readonly nats: TestNats;
  readonly signer: string;
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Connects as that host's agent: with its permissions, no others. */
  agent(host: string): Promise<Bus>;
  /** A reader of all configuration, as another service is one. */
  reader(): Promise<Bus>;
  /** What such a reader holds, from its first snapshot on. Stop it before the harness. */
  follow(): Promise<ConfigWatcher>;
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
}

export const HOSTS = ['alpha', 'beta', 'gamma'] as const;

export const startHarness = async (settings: Readonly<Record<string, string>> = {}): Promise<Harness> => {
  const users = new Map(['inventory', 'policy', ...HOSTS].map((name) => [name, createKeys('user')]));
  const signing = createKeys('account');
  const key = (name: string) => users.get(name) as ReturnType<typeof createKeys>;
  const nats = await startTestNats({
    config: natsServerConfig({
      users: [
        { name: 'inventory', publicKey: key('inventory').publicKey, permissions: servicePermissions('inventory') },
        { name: 'policy', publicKey: key('policy').publicKey, permissions: servicePermissions('policy') },
        ...HOSTS.map((host) => ({ name: host, publicKey: key(host).publicKey, permissions: agentPermissions(host) })),
      ],
    }),
  });
  const given = settings.WEIR_INVENTORY_DATABASE_URL;
  const database: TestDatabase =
    given === undefined
      ? await testDatabase({ schema: SCHEMA, migrationsDir: MIGRATIONS })
      : { url: given, drop: async () => {} };
  const env = {
    WEIR_INVENTORY_PORT: '0',
    WEIR_INVENTORY_GRPC_PORT: '0',
    WEIR_INVENTORY_DATABASE_URL: database.url,
    WEIR_INVENTORY_NATS_URL: nats.url,
    WEIR_INVENTORY_NATS_SEED: key('inventory').seed,
    WEIR_INVENTORY_SIGNING_SEED: signing.seed,
    ...settings,
  };
  const start = (more: Readonly<Record<string, string>> = {}) =>
    createApp(loadConfig(InventoryConfig, { ...env, ...more }, 'INVENTORY'));
  let app = await start();
  const connections: Bus[] = [];
  const connect = async (name: string, inboxPrefix: string): Promise<Bus> => {
    const bus = await connectBus({ servers: nats.url, name, nkeySeed: key(name).seed, inboxPrefix });
    connections.push(bus);
    return bus;
  };
  const reader = () => connect('policy', serviceInbox('policy'));
  return {
    get app() {
      return app;
    },
    database,
    nats,
    signer: keysOf(signing.seed).publicKey,
    call: async (method, path, body, headers = {}) => {
      const response = await fetch(app.http + path, {
        method,
        headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers };
    },
    agent: (host) => connect(host, agentInbox(host)),
    reader,
    follow: async () => {
      const watcher = configWatcher({
        ...(await reader()),
        trustedKeys: [keysOf(signing.seed).publicKey],
        inboxPrefix: serviceInbox('policy'),
        consumer: serviceSnapshotConsumer('policy'),
        onReset: () => {},
        onChange: () => {},
      });
      await watcher.ready;
      return watcher;
    },
    restart: async (more) => {
      await app.close();
      app = await start(more);
    },
    stop: async () => {
      for (const bus of connections) await bus.close();
      await app.close();
      await database.drop();
      await nats.stop();
    },
  };
};

/** Waits until `probe` gives something. */
export const eventually = async <T>(
  what: string,
  probe: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 60_000,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((done) => setTimeout(done, 20));
  }
};
