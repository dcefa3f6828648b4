// SPDX-License-Identifier: Apache-2.0
/**
 * A whole fleet on one machine: underlay, control plane, hosts with a real agent each, workloads. Used by the demo
 * and by the end-to-end tests; everything is real (processes, sockets, kernel), only the hosts are namespaces.
 *
 * destroy() leaves nothing behind, and so does the next createFleet() of the same name after a crash.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';
import { type AgentHandle, startAgent } from './agents.ts';
import { callApi } from './api.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { makeCgroup } from './processes.ts';
import { Resources } from './resources.ts';
import { createUnderlay, type Underlay, type UnderlayHost } from './underlay.ts';
import { createWorkload, type RegisteredWorkload, type Workload, type WorkloadSpec } from './workloads.ts';

export interface FleetOptions {
  /** At most 8 characters: it is part of namespace names. */
  readonly name: string;
  /** Folder for everything the fleet writes; made when missing, its contents removed by destroy(). */
  readonly dir: string;
  readonly hosts: readonly string[];
  /** Ports of inventory, policy, analytics; 0 = any free one. */
  readonly ports?: { readonly inventory: number; readonly policy: number; readonly analytics: number };
  /** Called at the start of each step that takes time. */
  readonly onStep?: (text: string) => void;
  /** Environment for every agent, on top of what it needs. */
  readonly agentEnv?: Readonly<Record<string, string>>;
  /** A collector (OTLP over HTTP) listens on this port of all the machine's addresses: spans go there. */
  readonly otlpPort?: number;
  /** What Postgres committed outlives its crash. */
  readonly durable?: boolean;
}

const otlpEnv = (address: string, port: number | undefined): Record<string, string> =>
  port === undefined
    ? {}
    : { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${address}:${port}`, OTEL_BSP_SCHEDULE_DELAY: '200' };

/** Mount point of cgroup v2, also where v1 controllers share the tree (hybrid). */
export const cgroup2Root = (): string => {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((l) => l.includes(' - cgroup2 '));
  const mount = line?.split(' ')[4];
  if (!mount)
    throw weirError('KERNEL', 'no cgroup v2 is mounted', { fix: 'mount -t cgroup2 none /sys/fs/cgroup/unified' });
  return mount;
};

export class Fleet {
  readonly options: FleetOptions;
  readonly resources: Resources;
  readonly underlay: Underlay;
  readonly control: ControlPlane;
  readonly agents = new Map<string, AgentHandle>();
  readonly workloads = new Map<string, Workload>();
  readonly #runDir: string;
  readonly #cgroup: string;

  constructor(options: FleetOptions, resources: Resources, underlay: Underlay, control: ControlPlane, runDir: string) {
    this.options = options;
    this.resources = resources;
    this.underlay = underlay;
    this.control = control;
    this.#runDir = runDir;
    this.#cgroup = makeCgroup(resources, join(cgroup2Root(), `weir-${options.name}`));
  }

  get logDir(): string {
    return join(this.options.dir, 'logs');
  }

  host(name: string): UnderlayHost {
    const host = this.underlay.hosts.find((h) => h.name === name);
    if (!host) throw weirError('NOT_FOUND', `the fleet has no host ${name}`, { field: 'host', value: name });
    return host;
  }

  hostCgroup(name: string): string {
    return join(this.#cgroup, name);
  }

  /** Registers the host (once) and starts its agent; resolves when inventory has seen its heartbeat. */
  async startAgent(name: string): Promise<AgentHandle> {
    const host = this.host(name);
    const agent = await startAgent({
      fleet: this.options.name,
      resources: this.resources,
      dir: this.options.dir,
      runDir: this.#runDir,
      logDir: this.logDir,
      host,
      cgroup: makeCgroup(this.resources, this.hostCgroup(name)),
      control: this.control,
      env: { ...otlpEnv(this.underlay.machineIp4, this.options.otlpPort), ...this.options.agentEnv },
    });
    this.agents.set(name, agent);
    return agent;
  }

  async registerHost(host: UnderlayHost): Promise<void> {
    await callApi(`${this.control.urls.inventory}/v1/hosts`, {
      body: { name: host.name, underlay_ip4: host.ip4, underlay_ip6: host.ip6 },
    });
  }

  async waitHostsAlive(timeoutMs = 30_000): Promise<void> {
    const names = [...this.agents.keys()];
    await until(`hosts ${names.join(', ')} to be alive`, timeoutMs, async () => {
      const { items } = await callApi<{ items: { id: string; state: string }[] }>(
        `${this.control.urls.inventory}/v1/hosts?limit=1000`,
      );
      return names.every((name) => items.some((h) => h.id === name && h.state === 'alive'));
    });
  }

  async addWorkload(spec: WorkloadSpec): Promise<Workload> {
    this.host(spec.host);
    const workload = await createWorkload(
      {
        fleet: this.options.name,
        resources: this.resources,
        runDir: this.#runDir,
        logDir: this.logDir,
        hostCgroup: this.hostCgroup(spec.host),
        register: (body) => callApi<RegisteredWorkload>(`${this.control.urls.inventory}/v1/workloads`, { body }),
        waitReady: (id) => this.waitWorkloadReady(id),
      },
      spec,
    );
    this.workloads.set(workload.id, workload);
    return workload;
  }

  async waitWorkloadReady(id: string, timeoutMs = 20_000): Promise<void> {
    let last = '';
    await until(
      `workload ${id} to be ready`,
      timeoutMs,
      async () => {
        const workload = await callApi<{ state: string; state_message?: string }>(
          `${this.control.urls.inventory}/v1/workloads/${id}`,
        );
        last = `${workload.state} ${workload.state_message ?? ''}`;
        return workload.state === 'ready';
      },
      () => last,
    );
  }

  /** Resolves when every alive host has realised `revision` of the policy service. */
  async waitRealised(revision: number | string, timeoutMs = 15_000): Promise<void> {
    let last = '';
    await until(
      `policy revision ${revision} to be realised`,
      timeoutMs,
      async () => {
        const answer = await callApi<{ hosts: { host: string; state: string; error?: string }[] }>(
          `${this.control.urls.policy}/v1/revisions/${revision}?wait_s=5`,
        );
        last = JSON.stringify(answer.hosts);
        const alive = new Set(this.agents.keys());
        return answer.hosts.filter((h) => alive.has(h.host)).every((h) => h.state === 'realised');
      },
      () => last,
    );
  }

  /** Resolves when every host's own heartbeat says that it holds `revision` of the publisher. */
  async waitReported(publisher: string, revision: number, timeoutMs = 15_000): Promise<void> {
    await until(`every host to report revision ${revision}`, timeoutMs, async () => {
      const { items } = await callApi<{ items: { id: string; realised: Record<string, number> }[] }>(
        `${this.control.urls.inventory}/v1/hosts?limit=1000`,
      );
      return items.filter(({ id }) => this.agents.has(id)).every((h) => (h.realised[publisher] ?? 0) >= revision);
    });
  }

  async destroy(): Promise<void> {
    for (const workload of this.workloads.values()) await workload.process.stop('SIGKILL');
    for (const agent of this.agents.values()) await agent.stop();
    await this.control.stop();
    const left = await this.resources.removeAll();
    if (left.length > 0) {
      throw weirError('INTERNAL', `could not remove:\n  ${left.join('\n  ')}`, {
        fix: 'remove it by hand or start the fleet of the same name again',
      });
    }
    rmSync(this.options.dir, { recursive: true, force: true });
  }
}

export const createFleet = async (options: FleetOptions): Promise<Fleet> => {
  const step = options.onStep ?? (() => {});
  await removeRemains(options.dir);
  mkdirSync(options.dir, { recursive: true });
  const resources = new Resources(options.dir);
  try {
    const runDir = `/run/weir-${options.name}`;
    resources.add({ kind: 'dir', path: runDir });
    mkdirSync(runDir, { recursive: true });
    step(`underlay and ${options.hosts.length} host namespaces`);
    const underlay = createUnderlay(resources, options.name, options.hosts);
    const control = await startControlPlane({
      resources,
      dir: options.dir,
      runDir,
      underlay,
      ports: options.ports,
      env: otlpEnv('127.0.0.1', options.otlpPort),
      durable: options.durable,
      step,
    });
    const fleet = new Fleet(options, resources, underlay, control, runDir);
    step('agents');
    for (const host of underlay.hosts) await fleet.registerHost(host);
    await Promise.all(underlay.hosts.map((host) => fleet.startAgent(host.name)));
    await fleet.waitHostsAlive();
    return fleet;
  } catch (error) {
    await resources.removeAll();
    throw error;
  }
};

/** Cleans up after a run of the same folder that did not end properly. */
export const removeRemains = async (dir: string): Promise<void> => {
  if (!existsSync(dir)) return;
  const left = await new Resources(dir).removeAll();
  if (left.length > 0) throw weirError('CONFLICT', `the last run left behind:\n  ${left.join('\n  ')}`);
  rmSync(dir, { recursive: true, force: true });
};

export const until = async (
  what: string,
  timeoutMs: number,
  condition: () => Promise<boolean>,
  detail: () => string = () => '',
): Promise<void> => {
  const end = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      if (await condition()) return;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) {
      throw weirError('UNAVAILABLE', `waited ${timeoutMs} ms for ${what}: ${detail()} ${cause ? String(cause) : ''}`);
    }
    await sleep(50);
  }
};

export { PATIENT_TIMEOUT_MS } from '../workload/probe.ts';
export type { Workload, WorkloadSpec } from './workloads.ts';
