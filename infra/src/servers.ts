// SPDX-License-Identifier: Apache-2.0
/**
 * A server that can be taken away and brought back at the same address, with what it had stored: what a test of faults
 * does to NATS, Postgres and the services.
 */
import { type NatsProcess, type NatsProcessOptions, startNats } from '@weir/bus';
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from '@weir/db';
import { type ProcessSpec, type RunningProcess, startProcess } from './processes.ts';
import type { Resources } from './resources.ts';

export interface Server {
  readonly name: string;
  /** Of the process that runs or ran last. */
  readonly pid: number;
  /** As a crash: SIGKILL, or Postgres' immediate stop. */
  kill(): Promise<void>;
  /** As an operator would. */
  stop(): Promise<void>;
  /** Again, where it was. Resolves when it answers. */
  start(): Promise<void>;
}

export interface NatsServer extends Server {
  readonly url: string;
}

export const natsServer = async (resources: Resources, options: NatsProcessOptions): Promise<NatsServer> => {
  let running: NatsProcess;
  const start = async (port: number | undefined): Promise<void> => {
    running = await startNats({ ...options, port });
    resources.addProcess(running.pid, 'nats-server');
  };
  await start(options.port);
  // biome-ignore lint/style/noNonNullAssertion: started above
  const { url, port } = running!;
  return {
    name: 'nats',
    url,
    get pid() {
      return running.pid;
    },
    kill: async () => {
      running.kill('SIGKILL');
      await running.exited;
    },
    stop: () => running.stop(),
    start: () => start(port),
  };
};

export interface PostgresServer extends Server {
  readonly ensureDatabase: EmbeddedPostgres['ensureDatabase'];
}

export const postgresServer = async (
  resources: Resources,
  options: EmbeddedPostgresOptions,
): Promise<PostgresServer> => {
  let running: EmbeddedPostgres;
  const start = async (port: number | undefined): Promise<void> => {
    running = await startEmbeddedPostgres({ ...options, port });
    resources.addProcess(running.pid, 'postgres');
  };
  await start(options.port);
  // biome-ignore lint/style/noNonNullAssertion: started above
  const { port } = running!;
  return {
    name: 'postgres',
    get pid() {
      return running.pid;
    },
    ensureDatabase: (database) => running.ensureDatabase(database),
    kill: () => running.stop('immediate'),
    stop: () => running.stop('fast'),
    start: () => start(port),
  };
};

export interface ServiceServer extends Server {
  readonly http: string;
  readonly grpc: string;
  readonly process: RunningProcess;
  /** `env` is added to what the service was started with, for this start only. */
  start(env?: Readonly<Record<string, string>>): Promise<void>;
}

export interface ServicePlace {
  readonly resources: Resources;
  readonly logDir: string;
  readonly spec: ProcessSpec;
  /** Environment that makes it listen on these ports. */
  readonly portsEnv: (http: number, grpc: number) => Readonly<Record<string, string>>;
  readonly port: number;
}

export const serviceServer = async (place: ServicePlace): Promise<ServiceServer> => {
  let running: RunningProcess;
  const run = async (env: Readonly<Record<string, string>>): Promise<{ http: string; grpc: string }> => {
    running = await startProcess(place.resources, place.logDir, {
      ...place.spec,
      env: { ...place.spec.env, ...env },
    });
    return JSON.parse(running.readyLine) as { http: string; grpc: string };
  };
  const { http, grpc } = await run(place.portsEnv(place.port, 0));
  const portOf = (address: string): number => Number(/:(\d+)$/.exec(address)?.[1]);
  const ports = place.portsEnv(portOf(http), portOf(grpc));
  return {
    name: place.spec.name,
    http,
    grpc,
    get process() {
      return running;
    },
    get pid() {
      return running.pid;
    },
    kill: () => running.stop('SIGKILL'),
    stop: () => running.stop('SIGTERM'),
    start: async (env = {}) => {
      await run({ ...ports, ...env });
    },
  };
};
