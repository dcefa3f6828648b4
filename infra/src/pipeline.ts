// SPDX-License-Identifier: Apache-2.0
/**
 * The way of configuration and events without hosts: NATS, Postgres and the services as in a fleet, and simulated
 * agents (the agent's own code for bus, spool and planning; no kernel, so no root) that make up flows. Starts in a few
 * seconds; for tests of what happens between the agents and the tables.
 *
 * destroy() leaves nothing behind, and so does the next createPipeline() of the same folder after a crash.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { connectBus, STREAM, serviceInbox } from '@weir/bus';
import { callApi } from './api.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { until } from './fleet.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import { removeRemains } from './remains.ts';
import { Resources } from './resources.ts';

export interface PipelineOptions {
  readonly dir: string;
  readonly hosts: readonly string[];
  readonly onStep?: (text: string) => void;
  /** Environment of services, on top of what they need. */
  readonly serviceEnv?: Readonly<Record<string, string>>;
}

export interface SimulatedAgent {
  readonly host: string;
  readonly process: RunningProcess;
  /** GET on its local API. */
  ask<T>(path: string): Promise<T>;
}

const SIM_MAIN = new URL('../../services/agent/src/sim/main.ts', import.meta.url).pathname;

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

export class Pipeline {
  readonly options: PipelineOptions;
  readonly resources: Resources;
  readonly control: ControlPlane;
  readonly agents = new Map<string, SimulatedAgent>();

  constructor(options: PipelineOptions, resources: Resources, control: ControlPlane) {
    this.options = options;
    this.resources = resources;
    this.control = control;
  }

  get logDir(): string {
    return join(this.options.dir, 'logs');
  }

  /** Where the agent of a host keeps its configuration and spool. */
  stateDir(host: string): string {
    return join(this.options.dir, `agent-${host}`);
  }

  /** `env`: WEIR_SIM_* and WEIR_AGENT_* on top of what it needs. */
  async startAgent(host: string, env: Readonly<Record<string, string>> = {}): Promise<SimulatedAgent> {
    const socket = join(this.options.dir, `${host}.sock`);
    const process_ = await startProcess(this.resources, this.logDir, {
      name: `agent-${host}`,
      command: [process.execPath, SIM_MAIN],
      env: {
        WEIR_AGENT_HOST: host,
        WEIR_AGENT_NATS_URL: this.control.natsUrl,
        WEIR_AGENT_NATS_SEED: this.control.agentSeed(host),
        WEIR_TRUSTED_SIGNERS: this.control.trustedSigners,
        WEIR_AGENT_STATE_DIR: this.stateDir(host),
        WEIR_AGENT_SOCKET: socket,
        ...env,
      },
      ready: (line) => line.includes('"msg":"ready"'),
      // hundreds of agents in one process
      readyTimeoutMs: 180_000,
    });
    const agent = { host, process: process_, ask: <T>(path: string) => askSocket<T>(socket, path) };
    this.agents.set(host, agent);
    return agent;
  }

  async stopAgents(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await Promise.all([...this.agents.values()].map((agent) => agent.process.stop(signal)));
    this.agents.clear();
  }

  /** Resolves when analytics has nothing left to take from the bus. */
  async settled(timeoutMs = 60_000): Promise<void> {
    const bus = await connectBus({
      servers: this.control.natsUrl,
      name: 'pipeline',
      nkeySeed: this.control.serviceSeed('analytics'),
      inboxPrefix: serviceInbox('analytics'),
    });
    try {
      await until('analytics to have taken everything', timeoutMs, async () => {
        const { num_pending, num_ack_pending } = await bus.jsm.consumers.info(STREAM.EVENTS, 'analytics');
        return num_pending === 0 && num_ack_pending === 0;
      });
    } finally {
      await bus.close();
    }
  }

  async destroy(): Promise<void> {
    await this.stopAgents();
    await this.control.stop();
    const left = await this.resources.removeAll();
    if (left.length > 0) throw new Error(`could not remove:\n  ${left.join('\n  ')}`);
    rmSync(this.options.dir, { recursive: true, force: true });
  }
}

export const createPipeline = async (options: PipelineOptions): Promise<Pipeline> => {
  await removeRemains(options.dir);
  mkdirSync(options.dir, { recursive: true });
  const resources = new Resources(options.dir);
  resources.addOwner();
  try {
    const control = await startControlPlane({
      resources,
      dir: options.dir,
      runDir: options.dir,
      underlay: { machineIp4: '127.0.0.1', hosts: options.hosts.map((name) => ({ name })) },
      durable: true,
      ...(options.serviceEnv ? { env: options.serviceEnv } : {}),
      step: options.onStep ?? (() => {}),
    });
    // Addresses for benches (RFC 2544) and documentation (RFC 3849): nobody sends a packet there.
    for (const [i, name] of options.hosts.entries()) {
      const n = 1 + i;
      await callApi(`${control.urls.inventory}/v1/hosts`, {
        body: { name, underlay_ip4: `198.19.${n >> 8}.${n & 255}`, underlay_ip6: `2001:db8::${n.toString(16)}` },
      });
    }
    return new Pipeline(options, resources, control);
  } catch (error) {
    await resources.removeAll();
    throw error;
  }
};

export type { ControlPlane } from './control-plane.ts';
export { until };
