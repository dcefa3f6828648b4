// SPDX-License-Identifier: Apache-2.0
/**
 * A control plane on one machine, its hosts on another: for fleets in a guest, where Postgres and the services would
 * take minutes to start. What the other machine must know is plain data.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { weirError } from '@weir/errors';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { sweepRemains } from './remains.ts';
import { Resources } from './resources.ts';
import type { Underlay } from './underlay.ts';

export interface ControlPlaneFacts
  extends Pick<ControlPlane, 'natsUrl' | 'databaseUrl' | 'urls' | 'grpc' | 'trustedSigners' | 'cliEnv'> {
  readonly agentSeeds: Readonly<Record<string, string>>;
}

export interface ForOthers {
  readonly facts: ControlPlaneFacts;
  destroy(): Promise<void>;
}

const PREFIX = 'weir-distant-';

/**
 * Listens on loopback, for these hosts. destroy() leaves nothing behind, and so does the next one after a crash.
 */
export const startForOthers = async (hosts: readonly string[]): Promise<ForOthers> => {
  await sweepRemains(tmpdir(), PREFIX, () => {});
  const dir = mkdtempSync(join(tmpdir(), PREFIX));
  const resources = new Resources(dir);
  resources.addOwner();
  const destroy = async (): Promise<void> => {
    const left = await resources.removeAll();
    if (left.length > 0) throw weirError('INTERNAL', `could not remove:\n  ${left.join('\n  ')}`);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const place = { resources, dir, runDir: dir, machineIp4: '127.0.0.1', hosts };
    const control = await startControlPlane({ ...place, step: () => {} });
    const { natsUrl, databaseUrl, urls, grpc, trustedSigners, cliEnv } = control;
    const agentSeeds = Object.fromEntries(hosts.map((host) => [host, control.agentSeed(host)]));
    return {
      facts: { natsUrl, databaseUrl, urls, grpc, trustedSigners, cliEnv, agentSeeds },
      destroy: async () => {
        await control.stop();
        await destroy();
      },
    };
  } catch (error) {
    await destroy();
    throw error;
  }
};

/** Hosts have no way to the other machine, only to this one: connections to the bus are carried on from here. */
const relay = (address: string, to: URL): Promise<{ readonly port: number; stop(): void }> =>
  new Promise((resolve, reject) => {
    const server = createServer((near) => {
      const far = connect(Number(to.port), to.hostname);
      near.on('error', () => far.destroy());
      far.on('error', () => near.destroy());
      near.pipe(far).pipe(near);
    });
    server.unref();
    server.once('error', reject);
    server.listen(0, address, () => {
      const at = server.address();
      if (at !== null && typeof at === 'object') resolve({ port: at.port, stop: () => server.close() });
    });
  });

const notHere = (what: string): never => {
  throw weirError('UNSUPPORTED', `${what} of this fleet runs on another machine`, {
    fix: 'use a fleet with a control plane of its own',
  });
};

export const distantControlPlane = async (
  facts: ControlPlaneFacts,
  underlay: Pick<Underlay, 'machineIp4'>,
): Promise<ControlPlane> => {
  const { port, stop } = await relay(underlay.machineIp4, new URL(facts.natsUrl));
  return {
    ...facts,
    natsUrl: `nats://${underlay.machineIp4}:${port}`,
    get nats() {
      return notHere('the bus');
    },
    get postgres() {
      return notHere('Postgres');
    },
    get services() {
      return notHere('a service');
    },
    agentSeed: (host) => facts.agentSeeds[host] ?? '',
    serviceSeed: () => notHere('a service'),
    signingSeed: () => notHere('a service'),
    stop: async () => stop(),
  };
};
