// SPDX-License-Identifier: Apache-2.0
/**
 * A whole fleet on one machine: underlay, control plane, hosts with a real agent each, workloads. Used by the demo
 * and by the end-to-end tests; everything is real (processes, sockets, kernel), only the hosts are namespaces.
 *
 * destroy() leaves nothing behind, and so does the next createFleet() of the same name after a crash.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { weirError } from '@weir/errors';
import { deleteNetns } from '@weir/loader';
import { AgentHandle } from './agents.ts';
import { ApiError, callApi } from './api.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { type CutDirection, cutOff, healCut } from './cut.ts';
import { type ControlPlaneFacts, distantControlPlane } from './distant.ts';
import { type External, type ExternalSpec, OutsideWorld } from './externals.ts';
import { type Addresses, addressesIn, netnsPath } from './netns.ts';
import { forgetRoute, routeTo } from './own-addresses.ts';
import { makeCgroup } from './processes.ts';
import { Readiness } from './readiness.ts';
import { removeRemains, sweepRemains } from './remains.ts';
import { Resources } from './resources.ts';
import { Station, startProgram } from './station.ts';
import { createUnderlay, type Underlay, type UnderlayHost } from './underlay.ts';
import { inParallel, until } from './waiting.ts';
import {
  makePlace,
  type Place,
  type RegisteredWorkload,
  registration,
  Workload,
  type WorkloadSpec,
} from './workloads.ts';

export interface FleetOptions {
  /** At most 8 characters: it is part of namespace names. */
  readonly name: string;
  /** Folder for everything the fleet writes; made when missing, its contents removed by destroy(). */
  readonly dir: string;
  readonly hosts: readonly string[];
  /** Of them those in a subnet of their own, which the others reach through a router. */
  readonly routedHosts?: readonly string[];
  /** Hosts that may join by simulated agents (simulated.ts): the bus knows them. */
  readonly simulatedHosts?: readonly string[];
  /** Ports of inventory, policy, analytics; 0 = any free one. */
  readonly ports?: { readonly inventory: number; readonly policy: number; readonly analytics: number };
  /** Called at the start of each step that takes time. */
  readonly onStep?: (text: string) => void;
  /** Environment for every agent, or for the one of a host, on top of what it needs. */
  readonly agentEnv?: Readonly<Record<string, string>> | ((host: string) => Readonly<Record<string, string>>);
  /** Each agent mounts a bpffs of its own, which may be unmounted, instead of having a folder in the machine's. */
  readonly ownBpffs?: boolean;
  /** Environment of services, on top of what they need. */
  readonly serviceEnv?: Readonly<Record<string, string>>;
  /** A collector (OTLP over HTTP) listens on this port of all the machine's addresses: spans go there. */
  readonly otlpPort?: number;
  /** What Postgres committed outlives its crash. */
  readonly durable?: boolean;
  /** Folders beside `dir` whose names begin so are other runs' fleets: swept when their process is gone. */
  readonly sweepPrefix?: string;
  /** The control plane runs on another machine, for these hosts; without it the fleet has its own. */
  readonly controlPlane?: ControlPlaneFacts;
  /** Program of the agents, when not the sources'. */
  readonly agentMain?: string;
}

const otlpEnv = (address: string, port: number | undefined): Record<string, string> =>
  port === undefined
    ? {}
    : { OTEL_EXPORTER_OTLP_ENDPOINT: `http://${address}:${port}`, OTEL_BSP_SCHEDULE_DELAY: '200' };

/** Workloads that are made at once. */
const AT_ONCE = 16;

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

export interface HealthEndpoint extends Addresses {
  readonly station: Station;
}

export class Fleet {
  readonly options: FleetOptions;
  readonly resources: Resources;
  readonly underlay: Underlay;
  readonly control: ControlPlane;
  readonly agents = new Map<string, AgentHandle>();
  readonly workloads = new Map<string, Workload>();
  /** Short path, for sockets. */
  readonly runDir: string;
  readonly #cgroup: string;
  readonly #readiness: Readiness;
  readonly #hostStations = new Map<string, Station>();
  readonly #endpoints = new Map<string, HealthEndpoint>();
  #world: OutsideWorld | undefined;

  constructor(options: FleetOptions, resources: Resources, underlay: Underlay, control: ControlPlane, runDir: string) {
    this.options = options;
    this.resources = resources;
    this.underlay = underlay;
    this.control = control;
    this.runDir = runDir;
    this.#readiness = new Readiness(() => control.urls.inventory);
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

  /** The first time, makes the host's agent; starts it. */
  async startAgent(name: string): Promise<AgentHandle> {
    const { agentEnv = {}, otlpPort, ownBpffs = false } = this.options;
    const agent =
      this.agents.get(name) ??
      new AgentHandle({
        fleet: this.options.name,
        resources: this.resources,
        dir: this.options.dir,
        runDir: this.runDir,
        logDir: this.logDir,
        host: this.host(name),
        cgroup: makeCgroup(this.resources, this.hostCgroup(name)),
        control: this.control,
        ownBpffs,
        ...(this.options.agentMain ? { main: this.options.agentMain } : {}),
        env: {
          ...otlpEnv(this.underlay.machineIp4, otlpPort),
          ...(typeof agentEnv === 'function' ? agentEnv(name) : agentEnv),
        },
      });
    this.agents.set(name, agent);
    await agent.start();
    return agent;
  }

  async registerHost(host: UnderlayHost): Promise<void> {
    await callApi(`${this.control.urls.inventory}/v1/hosts`, {
      body: { name: host.name, underlay_ip4: host.ip4, underlay_ip6: host.ip6 },
    });
  }

  async waitHostsAlive(timeoutMs = 120_000): Promise<void> {
    const names = [...this.agents.keys()];
    await until(`hosts ${names.join(', ')} to be alive`, timeoutMs, async () => {
      const { items } = await callApi<{ items: { id: string; state: string }[] }>(
        `${this.control.urls.inventory}/v1/hosts?limit=1000`,
      );
      return names.every((name) => items.some((h) => h.id === name && h.state === 'alive'));
    });
  }

  /** Namespace, cgroup and program of a workload that inventory does not know yet. */
  async makePlace(spec: WorkloadSpec): Promise<Place> {
    this.host(spec.host);
    const { runDir, logDir, resources } = this;
    return makePlace(
      { fleet: this.options.name, resources, runDir, logDir, hostCgroup: (host) => this.hostCgroup(host) },
      spec,
    );
  }

  /**
   * Registers it; what happens from then on is the agent's. `patienceMs`: for an address that hosts still take for its last owner's
   * (409), which inventory itself waits for 2 s.
   */
  async register(place: Place, patienceMs = 60_000): Promise<Workload> {
    const ask = () =>
      callApi<RegisteredWorkload>(`${this.control.urls.inventory}/v1/workloads`, { body: registration(place) });
    let registered: RegisteredWorkload | undefined;
    for (const untilMs = Date.now() + patienceMs; registered === undefined; )
      registered = await ask().catch((error: unknown) => {
        const isKnown =
          error instanceof ApiError && error.status === 409 && error.problem.detail.includes('still is for');
        if (!isKnown || Date.now() >= untilMs) throw error;
        return undefined;
      });
    const workload = new Workload(place, registered);
    await this.#world?.route([workload.ip4, workload.ip6], this.host(place.spec.host));
    for (const host of this.#strangersTo(workload))
      await routeTo(host.netns, workload.spec, this.host(workload.spec.host));
    this.workloads.set(workload.id, workload);
    return workload;
  }

  /** Resolves when its host says that it is ready. */
  async addWorkload(spec: WorkloadSpec): Promise<Workload> {
    const workload = await this.register(await this.makePlace(spec));
    await this.waitWorkloadReady(workload.id);
    return workload;
  }

  /** A few at a time; in the order of `specs`. */
  addWorkloads(specs: readonly WorkloadSpec[], atOnce = AT_ONCE): Promise<Workload[]> {
    return inParallel(specs, atOnce, (spec) => this.addWorkload(spec));
  }

  /** From inventory and from this machine; resolves when its agent has taken it down too. */
  async removeWorkload(id: string): Promise<void> {
    const workload = this.workloads.get(id);
    try {
      await callApi(`${this.control.urls.inventory}/v1/workloads/${id}`, { method: 'DELETE' });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
    if (!workload) return;
    this.workloads.delete(id);
    for (const host of this.#strangersTo(workload)) await forgetRoute(host.netns, workload.spec);
    await workload.end();
    await deleteNetns(netnsPath(workload.netns));
  }

  /** The bound is for a machine that does much else: an agent may have to start, or the fleet to change its routing first. */
  waitWorkloadReady(id: string, timeoutMs = 60_000): Promise<void> {
    return this.#readiness.of(id, timeoutMs);
  }

  /** A peer outside the fleet, with addresses of its own, that workloads reach through their hosts. */
  async addExternal(spec: ExternalSpec): Promise<External> {
    this.#world ??= await this.#makeWorld();
    return this.#world.add(spec);
  }

  /** Namespace of the outside world; there from the first external on. */
  get worldNetns(): string | undefined {
    return this.#world?.netns;
  }

  async removeExternal(external: External): Promise<void> {
    await this.#world?.remove(external);
  }

  /** Asks and answers as the host itself. */
  async hostStation(name: string): Promise<Station> {
    const { resources, logDir } = this;
    const known = this.#hostStations.get(name);
    if (known) return known;
    const { netns } = this.host(name);
    const control = join(this.runDir, `host-${name}.sock`);
    const station = new Station(await startProgram({ resources, logDir, name: `host-${name}`, control, netns }));
    this.#hostStations.set(name, station);
    return station;
  }

  /** Asks and answers as the health endpoint of a host, which its agent made; with its addresses. */
  async healthEndpoint(name: string): Promise<HealthEndpoint> {
    const known = this.#endpoints.get(name);
    if (known) return known;
    const { resources, logDir } = this;
    const netns = this.agents.get(name)?.healthNetns ?? '';
    let addresses: Addresses = {};
    await until(`${name} to have a health endpoint`, 30_000, async () => {
      addresses = addressesIn(netns);
      return addresses.ip4 !== undefined || addresses.ip6 !== undefined;
    });
    const control = join(this.runDir, `health-${name}.sock`);
    const station = new Station(await startProgram({ resources, logDir, name: `health-${name}`, control, netns }));
    const endpoint = { station, ...addresses };
    this.#endpoints.set(name, endpoint);
    return endpoint;
  }

  /** Nothing passes between the host and the control plane until heal(). */
  cut(host: string, direction: CutDirection = 'both'): void {
    cutOff(this.host(host).netns, this.underlay.machineIp4, direction);
  }

  heal(host: string): void {
    healCut(this.host(host).netns);
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

  /** Addresses that were asked for may be of no host's pool: then the network, not the agents, knows the way to them. */
  #strangersTo({ spec }: Workload): readonly UnderlayHost[] {
    return spec.ip4 || spec.ip6 ? this.underlay.hosts.filter(({ name }) => name !== spec.host) : [];
  }

  async #makeWorld(): Promise<OutsideWorld> {
    const { resources, logDir, underlay, runDir } = this;
    const world = await OutsideWorld.create({ fleet: this.options.name, resources, runDir, logDir, underlay });
    const { items } = await callApi<{ items: { id: string; pools: string[] }[] }>(
      `${this.control.urls.inventory}/v1/hosts?limit=1000`,
    );
    for (const { id, pools } of items) await world.route(pools, this.host(id));
    for (const { ip4, ip6, spec } of this.workloads.values()) await world.route([ip4, ip6], this.host(spec.host));
    return world;
  }

  async destroy(): Promise<void> {
    const endpoints = [...this.#endpoints.values()].map(({ station }) => station);
    const stations = [...this.workloads.values(), ...this.#hostStations.values(), ...endpoints];
    await Promise.all(stations.map((station) => station.end()));
    this.#world?.program.control.close();
    for (const agent of this.agents.values()) agent.resume();
    await Promise.all([...this.agents.values()].map((agent) => agent.stop()));
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
  if (options.sweepPrefix && existsSync(dirname(options.dir))) {
    await sweepRemains(dirname(options.dir), options.sweepPrefix, step);
  }
  await removeRemains(options.dir);
  mkdirSync(options.dir, { recursive: true });
  const resources = new Resources(options.dir);
  resources.addOwner();
  try {
    const runDir = `/run/weir-${options.name}`;
    resources.add({ kind: 'dir', path: runDir });
    mkdirSync(runDir, { recursive: true });
    step(`underlay and ${options.hosts.length} host namespaces`);
    const underlay = await createUnderlay(resources, options.name, options.hosts, options.routedHosts);
    const control = options.controlPlane
      ? await distantControlPlane(options.controlPlane, underlay)
      : await startControlPlane({
          resources,
          dir: options.dir,
          runDir,
          machineIp4: underlay.machineIp4,
          hosts: [...options.hosts, ...(options.simulatedHosts ?? [])],
          ports: options.ports,
          env: { ...otlpEnv('127.0.0.1', options.otlpPort), ...options.serviceEnv },
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

export type { External, ExternalSpec } from './externals.ts';
export { type Drive, Station } from './station.ts';
export * from './traffic.ts';
export * from './waiting.ts';
export type { Place, Workload, WorkloadSpec } from './workloads.ts';
