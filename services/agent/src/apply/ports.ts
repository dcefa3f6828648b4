// SPDX-License-Identifier: Apache-2.0
/**
 * The narrow doors through which the executor changes anything. One implementation talks to the kernel (kernel/), one
 * only remembers (sim/): what the executor does is the same for both.
 */

import type { PolicyTable } from '@weir/bpf/policy-table';
import type { WayOut } from '../plan/egress.ts';
import type { EncryptedRoute, EncryptionFacts, EncryptionPlan } from '../plan/encryption.ts';
import type { IpcacheEntry, PrefixText } from '../plan/ipcache.ts';
import type { IpipSources } from '../plan/ipip-sources.ts';
import type { Bandwidth, Route, Wiring } from '../plan/model.ts';
import type { OverlayDevice, Tunnel } from '../plan/overlay.ts';
import type { BackendValue, FrontendKey, PlannedFrontend } from '../plan/service-view.ts';
import type { NodePorts } from '../plan/services.ts';
import type { PolicyState } from '../plan/transition.ts';
import type { DesiredUplinks } from '../plan/uplinks.ts';
import type { MaglevPort } from './maglev-tables.ts';
import type { HeldServices } from './services.ts';

/** One element of the map `workloads`. */
export interface WorkloadValue extends PolicyState {
  readonly ifindex: number;
  readonly localId: number;
  /** Text; empty = none. */
  readonly ip4: string;
  readonly ip6: string;
  readonly mac: string;
  readonly hostMac: string;
}

export interface PolicySwap {
  readonly ifindex: number;
  readonly table: PolicyTable;
}

export interface SwapFailure {
  readonly ifindex: number;
  readonly error: Error;
}

/** The maps. Batches where the kernel has them; a rejected promise means that any part may have been written. */
export interface Maps {
  readWorkloads(): Promise<WorkloadValue[]>;
  writeWorkloads(values: readonly WorkloadValue[]): Promise<void>;
  /** The element of `workloads` and its policy. */
  removeWorkload(ifindex: number): Promise<void>;

  /** Undefined: it has none. */
  readPolicy(ifindex: number): Promise<PolicyTable | undefined>;
  /** Builds each table apart, then puts them in place. When it resolves no packet is judged by an old table. */
  swapPolicies(swaps: readonly PolicySwap[]): Promise<readonly SwapFailure[]>;

  readAddresses(): Promise<ReadonlyMap<string, number>>;
  writeAddress(address: string, ifindex: number): Promise<void>;
  removeAddress(address: string): Promise<void>;

  readCidrs(): Promise<ReadonlyMap<string, number>>;
  writeCidrs(entries: readonly (readonly [prefix: string, identity: number])[]): Promise<void>;
  removeCidrs(prefixes: readonly string[]): Promise<void>;

  /** Undefined takes it away; a limit that is already so goes on where it is. */
  writeBandwidth(ifindex: number, bandwidth: Bandwidth | undefined): Promise<void>;

  /** Connections begun until then, by the monotonic clock, may go on though policy refuses them; undefined: none may. */
  writeDrain(ifindex: number, untilNs: bigint | undefined): Promise<void>;

  readIpcache(): Promise<ReadonlyMap<PrefixText, IpcacheEntry>>;
  writeIpcache(entries: readonly (readonly [PrefixText, IpcacheEntry])[]): Promise<void>;
  removeIpcache(keys: readonly PrefixText[]): Promise<void>;

  /** Conntrack entries of these interfaces, after a last report of what they counted. Returns how many. */
  removeConnections(ifindexes: ReadonlySet<number>): Promise<number>;
}

export interface HostLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly up: boolean;
}

export interface Network {
  /** Host sides of workloads that exist, whoever made them. */
  links(): Promise<readonly HostLink[]>;
  /** Which namespace is behind the path now; undefined: none. */
  netnsId(path: string): Promise<string | undefined>;
  /** A pair of interfaces, both down, the far one inside the namespace. Returns the near one's index. */
  create(wiring: Wiring): Promise<number>;
  /** Addresses, routes, neighbours, settings of both ends, then up. May be repeated. */
  configure(wiring: Wiring, ifindex: number): Promise<void>;
  remove(ifname: string): Promise<void>;

  /** Routes that an agent made. */
  routes(): Promise<ReadonlyMap<string, Route>>;
  putRoute(route: Route): Promise<void>;
  removeRoute(route: Route): Promise<void>;
}

/** Workloads that are cgroups. They have a number where others have an interface's index. */
export interface Cgroups {
  /** Which cgroup is at the path now; undefined: none. */
  id(cgroup: string): Promise<string | undefined>;
  /** Of each number, which cgroup it stands for. */
  read(): Promise<ReadonlyMap<number, string>>;
  /** Both programs at the cgroup, so that they outlive this process; in place when they are there. */
  attach(number: number, cgroup: string, id: string): Promise<void>;
  /** What is missing or foreign; empty: both programs run and would survive this process. */
  check(number: number, id: string): Promise<readonly string[]>;
  /** Its processes are nobody's from now on. */
  release(number: number): Promise<void>;
  /** Numbers that have programs. */
  known(): Promise<readonly number[]>;
  /** Of these it is said when one may have come or gone. */
  watch(cgroups: readonly string[]): Promise<void>;
  onChange(listener: () => void): void;
}

export interface Attachments {
  /**
   * Both programs on the interface, so that they outlive this process; in place when they are there. In a hurry they
   * are attached the quick way.
   */
  attach(ifname: string, ifindex: number, hurry?: boolean): Promise<void>;
  /** Makes one attachment that was made in a hurry what it should be for good. True when there are more. */
  settle(): Promise<boolean>;
  readonly unsettled: number;
  /** Programs stand on both sides, whoever attached them. */
  guarded(ifname: string, ifindex: number): Promise<boolean>;
  /** What is missing or foreign; empty: both programs run and would survive this process. */
  check(ifname: string, ifindex: number): Promise<readonly string[]>;
  /** Forgets links whose interface goes or went. */
  release(ifname: string): Promise<void>;
  /** Takes both programs off an interface that stays. */
  detach(ifname: string, ifindex: number): Promise<void>;
  /** Interface names that have links. */
  known(): Promise<readonly string[]>;
}

/** An uplink by which a gateway's packets leave, and what the world sees of them. */
export interface WayFound {
  readonly ifindex: number;
  /** Text; empty = none. */
  readonly ip4: string;
  readonly ip6: string;
}

export interface EgressGatewayValue extends WayFound {
  readonly group: number;
  /** Number of its host in `tunnels`; 0 = this host. */
  readonly tunnel: number;
  readonly alive: boolean;
}

/** Maps of egress gateways. */
export interface Egress {
  read(): Promise<{
    readonly sources: ReadonlyMap<string, number>;
    readonly sets: ReadonlyMap<number, ReadonlyMap<string, number>>;
    readonly groups: ReadonlyMap<number, { readonly chosen: number; readonly own: number }>;
    readonly gateways: ReadonlyMap<number, EgressGatewayValue>;
  }>;
  writeRoutes(set: number, entries: readonly (readonly [prefix: string, group: number])[]): Promise<void>;
  removeRoutes(set: number, prefixes: readonly string[]): Promise<void>;
  writeGroup(number: number, group: { readonly chosen: number; readonly own: number }): Promise<void>;
  /** Undefined: there is none. */
  writeGateway(number: number, gateway: EgressGatewayValue | undefined): Promise<void>;
  writeSource(address: string, set: number): Promise<void>;
  removeSource(address: string): Promise<void>;
}

export interface Uplinks {
  /**
   * Makes the uplinks what they should be, from whatever they are: interfaces are sought anew each time. Programs are
   * attached after their maps are right and leave before their maps are emptied. Returns what was not possible.
   */
  sync(desired: DesiredUplinks | undefined): Promise<readonly string[]>;
  /** As the last `sync` found it, with its program in place; undefined: this host has no such way. */
  way(way: WayOut): WayFound | undefined;
  /** Nothing that is remembered counts: the next `sync` reads the kernel. */
  doubt(): void;
  /** What is missing or foreign, said and put right. */
  inspect(): Promise<readonly string[]>;
}

/** By what egress limits hold on this host, and why by that; empty: no workload has one. */
export interface LimiterState {
  readonly kind: '' | 'edt' | 'token-bucket';
  readonly reason: string;
}

/** Packets that wait at the uplinks until their workload's rate lets them go. */
export interface Pacing {
  /** Sets it up where that is possible while it is wanted, and takes it away after. */
  sync(wanted: boolean): Promise<void>;
  readonly state: LimiterState;
  /** What was taken away, said and put right. */
  inspect(): Promise<readonly string[]>;
}

export interface MtuFit {
  /** What a tunnel adds to a packet. */
  readonly overheadBytes: number;
  /** As configured; 0: the uplink's less the overhead. */
  readonly mtu: number;
}

/** The tunnel between hosts. */
export interface Overlay {
  read(): Promise<{
    readonly tunnels: ReadonlyMap<number, Tunnel>;
    readonly identities: ReadonlySet<number>;
    readonly hasDevice: boolean;
  }>;
  /**
   * The device with its programs, up; true when it is another than before. `later`: what an earlier agent attached to it
   * goes on until `takeOver`.
   */
  ensureDevice(device: OverlayDevice, later?: boolean): Promise<boolean>;
  /** This agent's programs in the place of an earlier agent's, when those were left. */
  takeOver(): Promise<void>;
  removeDevice(): Promise<void>;
  writeTunnels(entries: readonly (readonly [number, Tunnel])[]): Promise<void>;
  removeTunnels(numbers: readonly number[]): Promise<void>;
  addIdentities(identities: readonly number[]): Promise<void>;
  removeIdentities(identities: readonly number[]): Promise<void>;
  /** Workloads' interfaces, those that are there and those that come. */
  fitMtu(fit: MtuFit, wirings: Iterable<Wiring>): Promise<void>;
  /** What is missing or foreign; empty: all is well. */
  check(): Promise<readonly string[]>;
}

/** A workload's network namespace. */
export interface Place {
  /** Path. */
  readonly netns: string;
  /** Which namespace that is. */
  readonly netnsId: string;
  /** Its host-side interface. */
  readonly ifindex: number;
}

/** What the programs remember of clients. */
export interface ServiceMemory {
  /** Sockets that were sent to a backend. */
  readonly sockets: number;
  /** Clients that stay with a backend. */
  readonly clients: number;
  /** Sockets that this agent has taken out, ever. */
  readonly forgotten: number;
}

/** What clients asked of one frontend, of those that one backend served. */
export interface ServiceCount {
  readonly frontend: number;
  /** 0: nobody served; COUNTS_PAST: all those that are gone. */
  readonly backend: number;
  readonly connections: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly flowHits: bigint;
  readonly flowMisses: bigint;
  readonly noBackend: bigint;
  readonly denied: bigint;
  /** Connections that the backend has, through all services where the fewest decide. */
  readonly open: number;
}

/** Maps and programs of load balancing. None are there until they are asked for. */
export interface Services extends MaglevPort {
  /** What the maps hold; from now on they are there. */
  read(): Promise<HeldServices>;
  /** The same for who only looks; undefined: there are none. */
  peek(): Promise<HeldServices | undefined>;
  writeNodeAddresses(addresses: readonly string[]): Promise<void>;
  removeNodeAddresses(addresses: readonly string[]): Promise<void>;
  /** `seed`: 12 bytes, the fleet's. */
  writeSettings(ports: NodePorts, seed: Uint8Array, sources: IpipSources): Promise<void>;
  writeBackends(entries: readonly (readonly [number: number, value: BackendValue])[]): Promise<void>;
  removeBackends(numbers: readonly number[]): Promise<void>;
  writeMembers(entries: readonly (readonly [table: number, backend: number, weight: number])[]): Promise<void>;
  removeMembers(entries: readonly (readonly [table: number, backend: number])[]): Promise<void>;
  writeSlots(entries: readonly (readonly [table: number, slot: number, backend: number])[]): Promise<void>;
  removeSlots(entries: readonly (readonly [table: number, slot: number])[]): Promise<void>;
  writeFrontends(entries: readonly PlannedFrontend[]): Promise<void>;
  removeFrontends(keys: readonly FrontendKey[]): Promise<void>;
  /** By `rangeText`. */
  writeRanges(ranges: readonly string[]): Promise<void>;
  removeRanges(ranges: readonly string[]): Promise<void>;
  /** Whose sockets they are, for flows of what is refused. */
  writePlaces(places: readonly Place[]): Promise<void>;
  /**
   * Closes sockets of these network namespaces, and of the host's own, that were sent to a backend that does not serve
   * their service any more. Returns how many.
   */
  closeSockets(netns: readonly string[], isServing: (service: number, backend: number) => boolean): Promise<number>;
  /** Undefined while there is no service. */
  count(): Promise<ServiceMemory | undefined>;
  /** The programs at the sockets of this host, in place when they are there. Returns why they can't be. */
  attach(): Promise<string | undefined>;
  /** Empty while there are no services. */
  readCounts(): Promise<readonly ServiceCount[]>;
  /** Adds up what is gone, and takes up what nobody saw end. */
  tidyCounts(): Promise<void>;
  /** What is missing or foreign, said and put right. */
  inspect(): Promise<readonly string[]>;
  /** No programs and no maps any more. */
  end(): Promise<void>;
}

/** Maps of which a verdict, or the way that a packet takes, is made beside the workloads themselves. */
export const JUDGING: readonly string[] = [
  ...['policies', 'ipcache', 'cidrs', 'addresses', 'tunnels', 'identities'],
  ...['egress_sources', 'egress_routes', 'egress_groups', 'egress_gateways'],
];

/** What encrypts between hosts. Neither part throws: what is not possible is said, for people. */
export interface Encryption {
  /** Of this host; empty while it can be sent nothing. */
  readonly publicKey: string;
  facts(): Promise<EncryptionFacts>;
  /** All that hears: device, key, peers. */
  prepare(plan: EncryptionPlan): Promise<readonly string[]>;
  /** What leads packets there; then what nobody wants any more goes. `pools`: routes beside those to hosts. */
  finish(plan: EncryptionPlan, pools: readonly EncryptedRoute[]): Promise<readonly string[]>;
  /** Nothing that is remembered counts. */
  doubt(): void;
  /** What was taken away or changed; the next pass mends it. */
  inspect(): Promise<readonly string[]>;
}

export interface Kernel {
  readonly maps: Maps;
  readonly network: Network;
  readonly attachments: Attachments;
  readonly cgroups: Cgroups;
  readonly uplinks: Uplinks;
  readonly egress: Egress;
  readonly overlay: Overlay;
  readonly services: Services;
  readonly pacing: Pacing;
  readonly encryption: Encryption;
  /** Maps that begin empty because their pin was of another shape. */
  readonly replaced?: readonly string[];
}
