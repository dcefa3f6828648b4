// SPDX-License-Identifier: Apache-2.0
/**
 * Several hosts in namespaces of one machine, each with a real datapath, planner and executor in this process; no bus:
 * a test says what each is told, and what time it is. Two subnets with a router between them:
 *
 *     h1 .11, h2 .12 -- 198.18.251.0/24, fd18:251::/64 -- router -- 198.18.252.0/24, fd18:252::/64 -- h3 .13
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { ct_entry, ct_key, type weir_drop_reason, weir_identity } from '@weir/bpf';
import type { ConfigEntry } from '@weir/bus';
import { createNetns, deleteNetns, openNetlink, setSysctl } from '@weir/loader';
import { formatIp } from '@weir/net';
import { type Flow, FlowBatchSchema, type FlowProcess } from '@weir/proto/weir/flow/v1/flow_pb.js';
import type { ReachFailpoint } from '../../src/apply/failpoint.ts';
import { HostDatapath } from '../../src/apply/host.ts';
import { cleanup } from '../../src/apply/kernel/datapath.ts';
import { kernelPlatform } from '../../src/apply/kernel/platform.ts';
import type { LimiterState } from '../../src/apply/ports.ts';
import { OVERLAY } from '../../src/plan/model.ts';
import { HostNumbers } from '../../src/plan/numbers.ts';
import { Planner } from '../../src/plan/planner.ts';
import type { EventSource, Platform } from '../../src/platform.ts';
import { startProcesses } from '../../src/processes/start.ts';
import { fullHostEntry, workloadEntry } from './entries.ts';
import { makeCgroup, Resident } from './netns.ts';

const PREFIX = `weir-agent-${process.pid}-`;
export const netnsPath = (name: string): string => `/run/netns/${PREFIX}${name}`;
export const STEP_MS = 1000;
const FLOW_MS = 20_000;
const SUBNETS = [251, 251, 252] as const;

export const inside = (name: string, ...command: string[]): string =>
  execFileSync('nsenter', [`--net=${netnsPath(name)}`, '--', ...command], { encoding: 'utf8' });

export interface Place {
  readonly id: string;
  readonly ip4: string;
  readonly ip6: string;
  readonly identity: number;
}

interface StartOptions {
  readonly maxIpcache?: number;
  readonly reach?: ReachFailpoint;
  /** Processes, too. */
  readonly isWatching?: boolean;
}

/** Of a process, in `processes`. */
export const nameOf = ({ execNs, pid }: { readonly execNs: bigint; readonly pid: number }): string =>
  `${execNs}:${pid}`;

export class JoinedHost {
  readonly name: string;
  readonly underlay4: string;
  readonly underlay6: string;
  readonly document: ConfigEntry;
  /** Of the places that with the identity `health`: the host's health endpoint, of which nobody is told. */
  readonly health: Place | undefined;
  readonly workloads: readonly (Place & { readonly document: ConfigEntry; readonly resident: Resident })[];
  readonly bpffsDir: string;
  /** cgroup v2 folder of all that runs on it. */
  readonly cgroup: string;
  #platform: Platform | undefined;
  #planner!: Planner;
  host!: HostDatapath;
  readonly #numbers = new HostNumbers();
  #netnsIds: Record<string, string> = {};
  nowMs = 0;
  /** Of the last pass. */
  uplinkFailures: readonly string[] = [];
  /** Hosts that do not answer this one. */
  unreachable: ReadonlySet<string> = new Set();
  /** Where its key is; a path that cannot be written makes it a host that cannot encrypt. */
  keyPath: string;
  /** What did not work of uplinks and encryption in the last pass, and in all since somebody asked. */
  failures: readonly string[] = [];
  readonly #failed: string[] = [];
  /** Seen since it was started. */
  readonly flows: Flow[] = [];
  /** What was told of the processes that flows name, by pid and beginning. */
  readonly processes = new Map<string, FlowProcess>();
  #events: EventSource | undefined;
  #watch: { stop(): Promise<void> } | undefined;
  readonly #dir = mkdtempSync(join(tmpdir(), `${PREFIX}state-`));

  readonly #n: number;
  #retrying = false;

  constructor(n: number, places: readonly Place[], cgroup: string) {
    this.cgroup = cgroup;
    this.#n = n;
    this.name = `h${n}`;
    this.underlay4 = `198.18.${SUBNETS[n - 1]}.${10 + n}`;
    this.underlay6 = `fd18:${SUBNETS[n - 1]}::${10 + n}`;
    this.bpffsDir = `/sys/fs/bpf/${PREFIX}${this.name}`;
    this.keyPath = join(this.#dir, 'wireguard.key');
    this.health = places.find(({ identity }) => identity === weir_identity.IDENTITY_HEALTH);
    this.document = this.documentWith({}, '');
    const workloads = places.filter((place) => place !== this.health);
    this.workloads = workloads.map((place) => ({
      ...place,
      document: workloadEntry(place.id, place.identity, { ...place, host: this.name, netns: netnsPath(place.id) }),
      resident: new Resident(netnsPath(place.id), cgroup),
    }));
  }

  /**
   * As an agent starts, on what an earlier one left. With another `maxIpcache` than that one's, its map is of another shape;
   * `reach` is called between the steps of the first pass.
   */
  async start(entries: readonly ConfigEntry[], { maxIpcache, reach, isWatching }: StartOptions = {}): Promise<void> {
    const platform = await kernelPlatform({
      bpffsDir: this.bpffsDir,
      uplink: 'uplink0',
      ...{ maxConntrack: 4096, maxNat: 4096 },
      ringBytes: 1 << 16,
      hostNetns: netnsPath(this.name),
      cgroup: this.cgroup,
      ...(maxIpcache === undefined ? {} : { maxIpcache }),
      wireguardKeyPath: this.keyPath,
      ...(isWatching ? { processes: { argsBytes: 4096, envBytes: 0 } } : {}),
    });
    this.#platform = platform;
    let isFirst = true;
    this.#events = platform.startEvents({
      ...{ boot: 1n, firstSeq: 0n, onTrouble: () => {} },
      onBatch: async ({ bytes }) => {
        const { flows, processes } = fromBinary(FlowBatchSchema, bytes);
        for (const one of processes) this.processes.set(nameOf(one), one);
        this.flows.push(...flows);
      },
    });
    if (platform.processes) {
      const watch = await startProcesses({
        ...{ host: this.name, port: platform.processes, clockOffsetNs: platform.clockOffsetNs },
        ...{ argsBytes: 4096, envBytes: 0, netnsOf: () => [], onEvents: async () => {} },
        onTrouble: (what, cause) => {
          throw new Error(what, { cause });
        },
      });
      this.#watch = watch;
    }
    this.host = new HostDatapath({
      kernel: platform.kernel,
      netnsIds: this.#netnsIds,
      reach: (step) => (isFirst ? reach?.(step) : undefined),
      onTrouble: (what, cause) => {
        throw new Error(what, { cause });
      },
    });
    await this.host.load();
    this.#planner = new Planner({
      host: this.name,
      allowHost: true,
      hostNumbers: this.#numbers,
      healthNetns: this.health && netnsPath(this.health.id),
      overlayStepMs: STEP_MS,
    });
    this.#planner.ipcache.delta();
    for (const entry of entries) this.#planner.change(entry);
    const found = await platform.kernel.maps.readIpcache();
    await this.#planner.ipcache.compareWith(found);
    await this.pass();
    isFirst = false;
  }

  get #running(): Platform {
    if (!this.#platform) throw new Error(`${this.name} was not started`);
    return this.#platform;
  }

  tell(...entries: readonly ConfigEntry[]): Promise<void> {
    for (const entry of entries) this.#planner.change(entry);
    return this.pass();
  }

  async pass(): Promise<void> {
    this.#planner.setFacts({
      addresses: await this.#running.hostAddresses(),
      subnets: await this.#running.hostSubnets(),
      ...{ nowMs: this.nowMs, unreachable: this.unreachable },
      encryption: await this.#running.encryptionFacts(),
      configurationComplete: true,
    });
    const desired = this.#planner.compute();
    if (desired.errors.length > 0)
      throw new Error(JSON.stringify(desired.errors, (_, v) => (typeof v === 'bigint' ? `${v}` : v)));
    const delta = this.#planner.ipcache.delta();
    await this.host.adopt(desired);
    const first = await this.host.apply(desired, delta);
    this.#planner.ipcache.written(delta);
    const { changed } = await this.host.wire(desired, this.#retrying ? Number.POSITIVE_INFINITY : undefined);
    const second = changed ? await this.host.apply(desired, { puts: [], deletes: [], rejudge: false }) : first;
    Object.assign(this.#netnsIds, this.host.takeNetnsIds());
    this.uplinkFailures = second.uplinkFailures;
    this.failures = [...second.uplinkFailures, ...second.encryptionFailures];
    this.#failed.push(...new Set([...first.uplinkFailures, ...first.encryptionFailures, ...this.failures]));
    // Natively there is no way to a host behind a router.
    const failure = second.routeFailures.find(({ route }) => route.via === OVERLAY);
    if (failure) throw failure.error;
  }

  /** A pass that does not wait to try again what did not work. */
  async retry(): Promise<void> {
    this.#retrying = true;
    await this.pass();
    this.#retrying = false;
  }

  /** Its document, with the public key that it would tell the fleet now. */
  documentWith(labels: Readonly<Record<string, string>> = {}, wireguardKey = this.publicKey): ConfigEntry {
    const pools = [`10.9${this.#n}.0.0/24`, `fd9${this.#n}::/64`];
    return fullHostEntry({
      ...{ id: this.name, underlayIp4: this.underlay4, underlayIp6: this.underlay6, pools },
      ...{ healthIp4: this.health?.ip4 ?? '', healthIp6: this.health?.ip6 ?? '' },
      ...{ labels: { name: this.name, ...labels }, wireguardKey },
    });
  }

  takeFailures(): string[] {
    return this.#failed.splice(0);
  }

  get publicKey(): string {
    return this.#running.kernel.encryption.publicKey;
  }

  /** Host -> how this one speaks with it. */
  get peers(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#planner.encryption.plan.states.map(({ host, state }) => [host, state]));
  }

  /** Identities of both ends of connections towards that address, as this host's conntrack has them. */
  async judged(local: string, remote: string): Promise<string[]> {
    const { object } = this.#running.kernel as unknown as { object: import('@weir/loader').BpfObject };
    const { keys, values, count } = await object.map('conntrack').lookupAll();
    const found = new Set<string>();
    for (let i = 0; i < count; i++) {
      const key = ct_key.decode(keys, i * ct_key.size);
      if (formatIp(key.local) !== local || formatIp(key.remote) !== remote) continue;
      const { workload_identity, peer_identity } = ct_entry.decode(values, i * ct_entry.size);
      found.add(`${workload_identity} ${peer_identity}`);
    }
    return [...found].sort();
  }

  async dropped(reason: keyof typeof weir_drop_reason, way: 'ingress' | 'egress' = 'ingress'): Promise<number> {
    const { named } = await this.#running.counters();
    const name = `drop.${reason.replace('DROP_', '').toLowerCase()}.${way}`;
    return Number(named[name] ?? 0n);
  }

  /** Every reason with its packets, of those that there are. */
  async drops(): Promise<Readonly<Record<string, number>>> {
    const { named } = await this.#running.counters();
    const found = Object.entries(named).filter(([name, packets]) => name.startsWith('drop.') && packets > 0n);
    return Object.fromEntries(found.map(([name, packets]) => [name, Number(packets)]));
  }

  get egressLimiter(): LimiterState {
    return this.#running.kernel.pacing.state;
  }

  async counter(name: string): Promise<number> {
    const { named } = await this.#running.counters();
    return Number(named[name] ?? 0n);
  }

  /** How much the maps of egress gateways hold. */
  async egressMaps(): Promise<{ readonly sources: number; readonly routes: number }> {
    const { object } = this.#running.kernel as unknown as { object: import('@weir/loader').BpfObject };
    const size = async (name: string): Promise<number> => (await object.map(name).lookupAll()).count;
    return { sources: await size('egress_sources'), routes: await size('egress_routes') };
  }

  /** The first one so, which may be on its way. */
  async flow(isMeant: (flow: Flow) => boolean): Promise<Flow> {
    for (const end = performance.now() + FLOW_MS; performance.now() < end; ) {
      const found = this.flows.find(isMeant);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`no such flow among ${this.flows.length}`);
  }

  async stop(): Promise<void> {
    await this.#watch?.stop();
    this.#watch = undefined;
    await this.#events?.stop();
    this.#events = undefined;
    await this.#platform?.close();
  }

  async cleanup(): Promise<void> {
    await cleanup(this.bpffsDir, netnsPath(this.name));
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

export interface Joined {
  readonly hosts: readonly [JoinedHost, JoinedHost, JoinedHost];
  /** Behind the router, when asked for: it knows the hosts and no workload. */
  readonly world: Resident | undefined;
  destroy(): Promise<void>;
}

/** `places`: workloads of h1, h2 and h3. Nobody is started yet. */
export const joinHosts = async (
  places: readonly [Place[], Place[], Place[]],
  { world = [] }: { readonly world?: readonly string[] } = {},
): Promise<Joined> => {
  const made: string[] = [];
  const make = async (name: string): Promise<string> => {
    await createNetns(netnsPath(name));
    made.push(name);
    // Nobody is asked for a neighbour before the own link-local address has been tried out, which takes seconds.
    await setSysctl(netnsPath(name), 'net/ipv6/conf/default/accept_dad', '0');
    return netnsPath(name);
  };
  const router = await make('router');
  for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) await setSysctl(router, key, '1');
  const middle = openNetlink(router);
  const bridge = await middle.addBridge('br251');
  await middle.addAddress(bridge.ifindex, '198.18.251.1/24');
  await middle.addAddress(bridge.ifindex, 'fd18:251::1/64', { nodad: true });
  await middle.setUp(bridge.ifindex);
  for (const [i, subnet] of SUBNETS.entries()) {
    const name = `h${i + 1}`;
    const netns = await make(name);
    const port = await middle.addVeth({ name, peer: 'uplink0', peerNetns: netns });
    if (subnet === 251) await middle.setMaster(port.ifindex, bridge.ifindex);
    else {
      await middle.addAddress(port.ifindex, `198.18.${subnet}.1/24`);
      await middle.addAddress(port.ifindex, `fd18:${subnet}::1/64`, { nodad: true });
    }
    await middle.setUp(port.ifindex);
    const host = openNetlink(netns);
    await host.setUp(1);
    const uplink = (await host.linkByName('uplink0'))?.ifindex as number;
    await host.addAddress(uplink, `198.18.${subnet}.${11 + i}/24`);
    await host.addAddress(uplink, `fd18:${subnet}::${11 + i}/64`, { nodad: true });
    await host.setUp(uplink);
    await host.replaceRoute({ dst: 'default', via: `198.18.${subnet}.1`, ifindex: uplink });
    await host.replaceRoute({ dst: 'default', via: `fd18:${subnet}::1`, ifindex: uplink });
    host.close();
    for (const { id } of places[i] ?? []) await make(id);
  }
  let far: Resident | undefined;
  if (world.length > 0) {
    const netns = await make('world');
    const port = await middle.addVeth({ name: 'world', peer: 'eth0', peerNetns: netns });
    await middle.addAddress(port.ifindex, '203.0.113.1/24');
    await middle.addAddress(port.ifindex, '2001:db8:200::1/64', { nodad: true });
    await middle.setUp(port.ifindex);
    const links = openNetlink(netns);
    await links.setUp(1);
    const eth0 = (await links.linkByName('eth0'))?.ifindex as number;
    for (const address of world) await links.addAddress(eth0, address, { nodad: true });
    await links.setUp(eth0);
    await links.replaceRoute({ dst: '0.0.0.0/0', via: '203.0.113.1' });
    await links.replaceRoute({ dst: '::/0', via: '2001:db8:200::1' });
    links.close();
    far = new Resident(netns);
  }
  middle.close();
  const cgroups = await Promise.all(places.map((_, i) => makeCgroup(`h${i + 1}`)));
  const hosts = places.map(
    (here, i) => new JoinedHost(i + 1, here, cgroups[i]?.path ?? ''),
  ) as unknown as Joined['hosts'];
  return {
    hosts,
    world: far,
    destroy: async () => {
      await far?.stop();
      for (const host of hosts) for (const { resident } of host.workloads) await resident.stop();
      for (const host of hosts) await host.cleanup();
      for (const cgroup of cgroups) await cgroup.remove();
      for (const name of made.reverse()) await deleteNetns(netnsPath(name)).catch(() => {});
    },
  };
};
