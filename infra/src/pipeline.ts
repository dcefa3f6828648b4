// SPDX-License-Identifier: Apache-2.0
/**
 * The way of configuration and events without hosts: NATS, Postgres and the services as in a fleet, and simulated
 * agents (simulated.ts) that make up flows. Starts in a few seconds; for tests of what happens between the agents and the tables.
 *
 * destroy() leaves nothing behind, and so does the next createPipeline() of the same folder after a crash.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connectBus, STREAM, serviceInbox } from '@weir/bus';
import { callApi } from './api.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { until } from './fleet.ts';
import { removeRemains } from './remains.ts';
import { Resources } from './resources.ts';
import { type SimulatedAgent, simulatedStateDir, startSimulatedAgent } from './simulated.ts';

export interface PipelineOptions {
  readonly dir: string;
  readonly hosts: readonly string[];
  readonly onStep?: (text: string) => void;
  /** Environment of services, on top of what they need. */
  readonly serviceEnv?: Readonly<Record<string, string>>;
}

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
    return simulatedStateDir(this.options.dir, host);
  }

  /** `env`: WEIR_SIM_* and WEIR_AGENT_* on top of what it needs. */
  startAgent(host: string, env: Readonly<Record<string, string>> = {}): Promise<SimulatedAgent> {
    return this.startAgents([host], env);
  }

  /** All in one process, which goes by the name of the first. */
  async startAgents(
    hosts: readonly [string, ...string[]],
    env: Readonly<Record<string, string>> = {},
  ): Promise<SimulatedAgent> {
    const { logDir, resources, control, options } = this;
    const agent = await startSimulatedAgent({ logDir, resources, control, dir: options.dir }, hosts, env);
    this.agents.set(agent.host, agent);
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
      machineIp4: '127.0.0.1',
      hosts: options.hosts,
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
export type { SimulatedAgent } from './simulated.ts';
export { until };
