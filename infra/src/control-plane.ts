// SPDX-License-Identifier: Apache-2.0
/**
 * The control plane of a fleet on one machine: Postgres and NATS as real servers, then the three services, each a
 * process of its own with its own bus credential. The bus listens on the underlay, where the hosts are; everything
 * else on loopback.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { worldReachable } from '@weir/db';
import {
  busConfig,
  createCredentials,
  SERVICES,
  type ServiceName,
  serviceSecrets,
  trustedSigners,
} from './credentials.ts';
import type { Resources } from './resources.ts';
import { natsServer, postgresServer, type Server, type ServiceServer, serviceServer } from './servers.ts';

export interface ControlPlane {
  readonly natsUrl: string;
  readonly databaseUrl: string;
  readonly urls: Readonly<Record<ServiceName, string>>;
  readonly grpc: Readonly<Record<ServiceName, string>>;
  readonly trustedSigners: string;
  /** Environment with which the `weir` command finds this fleet. */
  readonly cliEnv: Readonly<Record<string, string>>;
  /** To take them away and bring them back. */
  readonly nats: Server;
  readonly postgres: Server;
  readonly services: Readonly<Record<ServiceName, ServiceServer>>;
  agentSeed(host: string): string;
  /** For who listens on the bus as that service does. */
  serviceSeed(name: ServiceName): string;
  /** For who signs configuration as that service does. */
  signingSeed(name: ServiceName): string;
  stop(): Promise<void>;
}

export interface ControlPlanePlace {
  readonly resources: Resources;
  readonly dir: string;
  readonly runDir: string;
  /** Where the bus listens. */
  readonly machineIp4: string;
  /** Whose agents may use it. */
  readonly hosts: readonly string[];
  readonly ports?: Readonly<Record<ServiceName, number>>;
  /** A commit outlives a crash of Postgres, as in production; without it the last ones may go, and all is quicker. */
  readonly durable?: boolean;
  readonly step: (text: string) => void;
  /** For every service, on top of what it needs. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A process may have several. */
let foldersMade = 0;

/** Below the fleet's folder, unless the user that runs Postgres may not enter it (a checkout in /root). */
const postgresDir = ({ dir, resources }: ControlPlanePlace): string => {
  if (worldReachable(dir)) return join(dir, 'postgres');
  const path = `/var/tmp/weir-postgres-${process.pid}-${++foldersMade}`;
  resources.add({ kind: 'dir', path });
  return path;
};

export const startControlPlane = async (place: ControlPlanePlace): Promise<ControlPlane> => {
  const { resources, dir, machineIp4, hosts, step } = place;
  const logDir = join(dir, 'logs');
  mkdirSync(logDir, { recursive: true });

  step('Postgres');
  const postgres = await postgresServer(resources, {
    dir: postgresDir(place),
    volatile: true,
    settings: place.durable ? { synchronous_commit: 'on' } : {},
  });

  step('NATS with JetStream');
  const credentials = createCredentials(hosts);
  const nats = await natsServer(resources, {
    dir: join(dir, 'nats'),
    host: machineIp4,
    port: 0,
    config: busConfig(credentials),
  });

  step(`services ${SERVICES.join(', ')}`);
  const databaseUrl = await postgres.ensureDatabase('weir');
  const start = (name: ServiceName, more: Readonly<Record<string, string>> = {}): Promise<ServiceServer> => {
    const prefix = `WEIR_${name.toUpperCase()}`;
    return serviceServer({
      resources,
      logDir,
      port: place.ports?.[name] ?? 0,
      portsEnv: (http, grpc) => ({ [`${prefix}_PORT`]: String(http), [`${prefix}_GRPC_PORT`]: String(grpc) }),
      spec: {
        name,
        command: [process.execPath, new URL(`../../services/${name}/src/main.ts`, import.meta.url).pathname],
        env: {
          [`${prefix}_DATABASE_URL`]: databaseUrl,
          [`${prefix}_NATS_URL`]: nats.url,
          ...serviceSecrets(credentials, name),
          ...more,
          ...place.env,
        },
        ready: (line) => line.includes('"msg":"listening"'),
        readyTimeoutMs: 60_000,
      },
    });
  };
  // Policy asks analytics for recorded traffic.
  const analyticsFirst = start('analytics');
  const [inventory, policy, analytics] = await Promise.all([
    start('inventory'),
    analyticsFirst.then(({ grpc }) => start('policy', { WEIR_POLICY_ANALYTICS_GRPC: grpc })),
    analyticsFirst,
  ]);
  const services: Record<ServiceName, ServiceServer> = { inventory, policy, analytics };
  const addresses = (field: 'http' | 'grpc') =>
    Object.fromEntries(SERVICES.map((name) => [name, services[name][field]])) as Record<ServiceName, string>;
  const urls = addresses('http');
  return {
    natsUrl: nats.url,
    databaseUrl,
    urls,
    grpc: addresses('grpc'),
    trustedSigners: trustedSigners(credentials),
    cliEnv: {
      WEIR_INVENTORY_URL: urls.inventory,
      WEIR_POLICY_URL: urls.policy,
      WEIR_ANALYTICS_URL: urls.analytics,
    },
    nats,
    postgres,
    services,
    agentSeed: (host) => credentials.agents.get(host)?.seed ?? '',
    serviceSeed: (name) => credentials.services.get(name)?.seed ?? '',
    signingSeed: (name) => credentials.signers.get(name)?.seed ?? '',
    stop: async () => {
      await Promise.all(SERVICES.map((name) => services[name].stop()));
      await nats.stop();
      await postgres.stop();
    },
  };
};
