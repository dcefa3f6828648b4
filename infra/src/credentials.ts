// SPDX-License-Identifier: Apache-2.0
/**
 * Who may speak in a fleet: a bus credential for each service and each host, the keys that sign configuration, and
 * the broker's list of users. Made once for a fleet, by the runner on one machine and by compose alike.
 */
import { agentPermissions, createKeys, type Keys, natsServerConfig, servicePermissions, storeConfig } from '@weir/bus';

export const SERVICES = ['inventory', 'policy', 'analytics'] as const;
export type ServiceName = (typeof SERVICES)[number];

const SIGNERS = ['inventory', 'policy'] as const;

export interface FleetCredentials {
  readonly services: ReadonlyMap<ServiceName, Keys>;
  /** By host. */
  readonly agents: ReadonlyMap<string, Keys>;
  readonly signers: ReadonlyMap<ServiceName, Keys>;
}

export const createCredentials = (hosts: readonly string[]): FleetCredentials => ({
  services: new Map(SERVICES.map((name) => [name, createKeys('user')])),
  agents: new Map(hosts.map((name) => [name, createKeys('user')])),
  signers: new Map(SIGNERS.map((name) => [name, createKeys('account')])),
});

/** nats-server's configuration without listener and store; only public keys are in it. */
export const busConfig = ({ services, agents }: FleetCredentials): string =>
  natsServerConfig({
    users: [
      ...[...services].map(([name, { publicKey }]) => ({ name, publicKey, permissions: servicePermissions(name) })),
      ...[...agents].map(([name, { publicKey }]) => ({ name, publicKey, permissions: agentPermissions(name) })),
    ],
  });

/** All of it for a broker in a container. Loopback is the container's own: only its healthcheck comes there. */
export const containerBusConfig = (credentials: FleetCredentials): string =>
  ['host: "0.0.0.0"', 'port: 4222', 'http: "127.0.0.1:8222"', storeConfig('/data'), busConfig(credentials)].join('\n');

export const trustedSigners = ({ signers }: FleetCredentials): string =>
  [...signers.values()].map(({ publicKey }) => publicKey).join(',');

/** The secret part of a service's environment. */
export const serviceSecrets = (credentials: FleetCredentials, name: ServiceName): Record<string, string> => {
  const prefix = `WEIR_${name.toUpperCase()}`;
  const signer = credentials.signers.get(name);
  return {
    [`${prefix}_NATS_SEED`]: credentials.services.get(name)?.seed ?? '',
    ...(signer ? { [`${prefix}_SIGNING_SEED`]: signer.seed } : {}),
    WEIR_TRUSTED_SIGNERS: trustedSigners(credentials),
  };
};

/** The secret part of an agent's environment. */
export const agentSecrets = (credentials: FleetCredentials, host: string): Record<string, string> => ({
  WEIR_AGENT_NATS_SEED: credentials.agents.get(host)?.seed ?? '',
  WEIR_TRUSTED_SIGNERS: trustedSigners(credentials),
});
