// SPDX-License-Identifier: Apache-2.0
/** Simulated agents: the agent's own code for bus, spool and planning, one process for many hosts; no kernel, so no root. */
import { request } from 'node:http';
import { join } from 'node:path';
import type { ControlPlane } from './control-plane.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import type { Resources } from './resources.ts';

export interface SimulatedAgent {
  /** The first, when the process has several. */
  readonly host: string;
  readonly process: RunningProcess;
  /** GET on its local API. */
  ask<T>(path: string): Promise<T>;
}

export interface SimulatedPlace {
  readonly dir: string;
  readonly resources: Resources;
  readonly logDir: string;
  readonly control: ControlPlane;
}

const SIM_MAIN = new URL('../../services/agent/src/sim/main.ts', import.meta.url).pathname;
/** Hundreds of agents in one process. */
const READY_MS = 180_000;

const askSocket = <T>(socketPath: string, path: string): Promise<T> =>
  new Promise((resolve, reject) => {
    const call = request({ socketPath, path }, (response) => {
      let body = '';
      response.on('data', (data) => {
        body += data;
      });
      response.on('end', () => resolve(JSON.parse(body) as T));
    });
    call.once('error', reject);
    call.end();
  });

/** Where the agent of a host keeps its configuration and spool. */
export const simulatedStateDir = (dir: string, host: string): string => join(dir, `agent-${host}`);

/** `env`: WEIR_SIM_* and WEIR_AGENT_* on top of what it needs. */
export const startSimulatedAgent = async (
  { dir, resources, logDir, control }: SimulatedPlace,
  hosts: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<SimulatedAgent> => {
  const [host] = hosts;
  const socket = join(dir, `${host}.sock`);
  const process_ = await startProcess(resources, logDir, {
    name: `agent-${host}`,
    command: [process.execPath, SIM_MAIN],
    env: {
      WEIR_AGENT_HOST: host,
      WEIR_AGENT_NATS_URL: control.natsUrl,
      WEIR_AGENT_NATS_SEED: control.agentSeed(host),
      WEIR_TRUSTED_SIGNERS: control.trustedSigners,
      WEIR_AGENT_STATE_DIR: simulatedStateDir(dir, host),
      WEIR_AGENT_SOCKET: socket,
      ...(hosts.length === 1
        ? {}
        : { WEIR_SIM_HOSTS: hosts.join(','), WEIR_SIM_SEEDS: hosts.map((each) => control.agentSeed(each)).join(',') }),
      ...env,
    },
    ready: (line) => line.includes('"msg":"ready"'),
    readyTimeoutMs: READY_MS,
  });
  return { host, process: process_, ask: <T>(path: string) => askSocket<T>(socket, path) };
};
