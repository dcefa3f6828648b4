// SPDX-License-Identifier: Apache-2.0
/**
 * The policy service on a real Postgres and a real nats-server with the permissions of production; the test plays
 * inventory and the hosts.
 */
import {
  agentInbox,
  agentPermissions,
  type Bus,
  type ConfigKind,
  configSubject,
  connectBus,
  createKeys,
  createSigner,
  natsServerConfig,
  PUBLISHER_OF,
  publishAck,
  publishTo,
  STREAM,
  serviceInbox,
  servicePermissions,
  signDocument,
  subjects,
} from '@weir/bus';
import { startTestNats, type TestNats } from '@weir/bus/testing';
import { type TestDatabase, testDatabase } from '@weir/db/testing';
import type { Problem } from '@weir/errors';
import type { RunningService } from '@weir/http';
import { createApp, MIGRATIONS, SCHEMA } from '../../src/app.ts';
import type { PolicyConfig } from '../../src/config.ts';

const keys = {
  policy: createKeys('user'),
  inventory: createKeys('user'),
  h1: createKeys('user'),
  h2: createKeys('user'),
};
const policySigning = createKeys('account');
const inventorySigning = createKeys('account');
export const trustedSigners = [policySigning.publicKey, inventorySigning.publicKey];
export const policySigner = createSigner(policySigning.seed);

export type TestHost = 'h1' | 'h2';

export interface Answer<T = unknown> {
  readonly status: number;
  readonly body: T;
  readonly headers: Headers;
}

export interface Harness {
  readonly nats: TestNats;
  readonly database: TestDatabase;
  readonly config: PolicyConfig;
  readonly app: () => RunningService;
  /** As inventory would. */
  publish(kind: ConfigKind, key: string, body: Parameters<typeof signDocument>[1]['body']): Promise<void>;
  host(name: TestHost): Promise<Bus>;
  /** `tried`: what the host has seen; an agent that does not tell unless given. */
  ack(
    bus: Bus,
    name: TestHost,
    realised: bigint,
    errors?: readonly object[],
    tried?: bigint,
    runtimePolicies?: readonly object[],
  ): Promise<void>;
  call<T = unknown>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>;
  apply<T = ApplyAnswer>(text: string, query?: string): Promise<Answer<T>>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface CallOptions {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ApplyAnswer {
  readonly results: readonly {
    readonly key: string;
    readonly action: string;
    readonly revision: number;
    readonly warnings: readonly { readonly code: string; readonly line?: number; readonly path: string }[];
  }[];
  readonly revision: number;
}

export type ProblemAnswer = Answer<Problem>;

export const startHarness = async (over: Partial<PolicyConfig> = {}): Promise<Harness> => {
  const nats = await startTestNats({
    config: natsServerConfig({
      users: [
        { name: 'policy', publicKey: keys.policy.publicKey, permissions: servicePermissions('policy') },
        { name: 'inventory', publicKey: keys.inventory.publicKey, permissions: servicePermissions('inventory') },
        { name: 'h1', publicKey: keys.h1.publicKey, permissions: agentPermissions('h1') },
        { name: 'h2', publicKey: keys.h2.publicKey, permissions: agentPermissions('h2') },
      ],
    }),
  });
  const database = await testDatabase({ schema: SCHEMA, migrationsDir: MIGRATIONS });
  const config: PolicyConfig = {
    host: '127.0.0.1',
    port: 0,
    grpcPort: 0,
    databaseUrl: database.url,
    natsUrl: nats.url,
    natsSeed: keys.policy.seed,
    signingSeed: policySigning.seed,
    trustedSigners,
    analyticsGrpc: '127.0.0.1:1',
    newEpoch: false,
    ...over,
  };
  let app = await createApp(config);
  const inventory = await connectBus({
    servers: nats.url,
    name: 'inventory',
    nkeySeed: keys.inventory.seed,
    inboxPrefix: serviceInbox('inventory'),
  });
  const inventorySigner = createSigner(inventorySigning.seed);
  const open: Bus[] = [inventory];
  let revision = 0n;
  let acks = 0;

  const call = async <T>(method: string, path: string, options: CallOptions = {}): Promise<Answer<T>> => {
    const response = await fetch(`${app.http}${path}`, {
      method,
      headers: {
        ...(options.body === undefined ? {} : { 'content-type': options.type ?? 'application/yaml' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: options.body }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: (text === '' ? undefined : JSON.parse(text)) as T,
    };
  };

  return {
    nats,
    database,
    config,
    app: () => app,
    publish: async (kind, key, body) => {
      revision += 1n;
      const subject = configSubject(kind, key);
      const bytes = signDocument(inventorySigner, {
        subject,
        epoch: 1n,
        revision,
        publisher: PUBLISHER_OF[kind],
        body,
      });
      await publishTo(inventory.js, STREAM.CONFIG, subject, bytes, `inventory:1:${revision}`);
    },
    host: async (name) => {
      const bus = await connectBus({
        servers: nats.url,
        name,
        nkeySeed: keys[name].seed,
        inboxPrefix: agentInbox(name),
      });
      open.push(bus);
      return bus;
    },
    ack: async (bus, name, realised, errors = [], tried = undefined, runtimePolicies = []) => {
      acks += 1;
      const ack = subjects.ack.encode({
        boot: 1n,
        realised: { policy: realised },
        errors: [...errors] as never,
        tried: tried === undefined ? {} : { policy: tried },
        runtimePolicies: [...runtimePolicies] as never,
      });
      await publishAck(bus.js, subjects.ack.build({ host: name }), ack, `${name}:1:ack:${acks}`);
    },
    call,
    apply: (text, query = '') => call('POST', `/v1/policies${query}`, { body: text }),
    restart: async () => {
      await app.close();
      app = await createApp({ ...config, port: Number(new URL(app.http).port) });
    },
    stop: async () => {
      await app.close();
      await Promise.all(open.map((bus) => bus.close()));
      await database.drop();
      await nats.stop();
    },
  };
};

export const networkPolicy = (
  name: string,
  spec: string,
  namespace = 'prod',
): string => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: ${name}
  namespace: ${namespace}
spec:
${spec.replace(/^/gm, '  ')}
`;

export const WEB = `podSelector:
  matchLabels: { app: web }
policyTypes: [Ingress]
ingress:
  - from:
      - podSelector: { matchLabels: { app: client } }
    ports:
      - { protocol: TCP, port: 80 }`;
