// SPDX-License-Identifier: Apache-2.0
/** What the agent stands on: the real host (apply/kernel/platform.ts) or a simulated one (sim/platform.ts). */
import type { AnnouncePort } from './announce/announcer.ts';
import type { Kernel, ServiceMemory } from './apply/ports.ts';
import type { SpoolBatch } from './events/segment.ts';
import type { EndpointPlace } from './health/endpoint.ts';
import type { Ping } from './health/round.ts';
import type { EncryptionFacts } from './plan/encryption.ts';
import type { Probe } from './probe.ts';
import type { ProcessPort } from './processes/port.ts';
import type { RuntimeListener, RuntimePort } from './runtime/port.ts';

export interface EventSource {
  /** Sequence number that the next event gets. */
  readonly nextSeq: bigint;
  /** Hands over what waits, then ends. */
  stop(): Promise<void>;
}

export interface EventSourceOptions {
  readonly boot: bigint;
  readonly firstSeq: bigint;
  readonly connectionOffsetNs?: bigint;
  /** Nothing more is read while too many are unsettled. */
  readonly onBatch: (batch: SpoolBatch) => Promise<void>;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export interface SweepResult {
  readonly entries: number;
  readonly reported: number;
  readonly expired: number;
  readonly deferred: number;
  /** Masqueraded connections; absent while nothing is masqueraded. */
  readonly mappings?: number;
  /** Absent while there is no service. */
  readonly services?: ServiceMemory;
}

export interface Counters {
  /** Counters of the datapath by name, and `drop.<reason>.<direction>`. */
  readonly named: Readonly<Record<string, bigint>>;
  /** Flow events that found no room in the ring buffer. */
  readonly eventsLost: bigint;
  /** Flow events that a workload's rate limit held back for good. */
  readonly eventsThrottled: bigint;
}

/** A workload that reported more than its rate limit allows, since it was connected. */
export interface ThrottledWorkload {
  readonly ifindex: number;
  /** As events carry it; 0 when no event was given up yet. */
  readonly localId: number;
  readonly episodes: bigint;
  /** Unix milliseconds: begin of the last episode, and the last event that was held back. */
  readonly startedMs: number;
  readonly lastMs: number;
  /** Given up and counted instead. */
  readonly events: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  /** Events by drop reason; `forwarded`: what connections had left at their end. */
  readonly reasons: Readonly<Record<string, bigint>>;
}

export interface Connection {
  readonly local: string;
  readonly remote: string;
  readonly localPort: number;
  readonly remotePort: number;
  readonly protocol: number;
  readonly direction: 'ingress' | 'egress';
  readonly flags: number;
  readonly ifindex: number;
  readonly workloadId: number;
  readonly peerIdentity: number;
  readonly ruleId: number;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly expiresInS: number;
}

/** One masqueraded connection. */
export interface NatMapping {
  readonly protocol: number;
  readonly source: string;
  /** Of ICMP the identifier, as `port`. */
  readonly sourcePort: number;
  /** What the world sees. */
  readonly address: string;
  readonly port: number;
  readonly remote: string;
  readonly remotePort: number;
  readonly isAnswered: boolean;
  readonly expiresInS: number;
}

export interface NatFacts {
  readonly ports: { readonly low: number; readonly high: number };
  readonly entries: number;
  readonly capacity: number;
  /** Connections by how many ports they found taken; the last found none. */
  readonly retries: readonly number[];
  readonly mappings: readonly NatMapping[];
}

export interface UplinkStatus {
  readonly interfaces: readonly {
    readonly ifname: string;
    readonly ifindex: number;
    readonly ip4: string;
    readonly ip6: string;
    readonly masquerade4: boolean;
    readonly masquerade6: boolean;
  }[];
}

/** Balancing in XDP. An uplink that is not named leaves it to tc. */
export interface AccelerationFacts {
  readonly wanted: 'native' | 'best-effort' | 'generic';
  readonly interfaces: readonly { readonly name: string; readonly mode: 'native' | 'generic' }[];
}

export interface PrefilterFacts {
  readonly revision: bigint;
  readonly cidrs: readonly string[];
  readonly interfaces: readonly { readonly name: string; readonly mode: string }[];
}

/** Maps that can be full. Of services: frontends, backends by frontend, backends; and what programs remember of clients. */
export type MapName =
  | 'workloads'
  | 'addresses'
  | 'ipcache'
  | 'cidrs'
  | 'policy'
  | 'conntrack'
  | 'nat'
  | 'services'
  | 'service_slots'
  | 'backends'
  | 'maglev_tables'
  | 'service_sockets'
  | 'service_clients';

export interface Platform {
  readonly kernel: Kernel;
  readonly kernelVersion: string;
  readonly features: readonly string[];
  /** Maps that begin empty, because what was pinned had another shape. */
  readonly replaced: readonly string[];
  /** Capacities of the maps, for their pressure. */
  readonly capacity: Readonly<Record<MapName, number>>;
  /** The host's own addresses, workloads' interfaces excepted. */
  hostAddresses(): Promise<readonly string[]>;
  /** Networks on the host's links, workloads' interfaces excepted; CIDRs. */
  hostSubnets(): Promise<readonly string[]>;
  /** Of the device that encrypts between hosts. */
  encryptionFacts(): Promise<EncryptionFacts>;
  /** What makes Unix times of the kernel's, now. */
  clockOffsetNs(): bigint;
  /** Something about interfaces or addresses changed. */
  monitor(onChange: () => void): { stop(): Promise<void> };
  /** Puts back pins that somebody removed; says which. */
  repairPins(): Promise<readonly string[]>;
  sweep(): Promise<SweepResult>;
  counters(): Promise<Counters>;
  throttles(): Promise<readonly ThrottledWorkload[]>;
  /** ICMP echo; absent where there is no network to ask. */
  readonly ping?: Ping;
  /** One attempt from a namespace; absent where there is no network to try. */
  readonly probe?: Probe;
  /** The namespace at that path; absent where there are none. */
  readonly healthEndpoint?: (netns: string) => EndpointPlace;
  /** BGP can be spoken here. */
  readonly hasBgp?: boolean;
  /** What answers for addresses of services; absent where there is no network. */
  readonly announce?: AnnouncePort;
  connections(limit: number): Promise<readonly Connection[]>;
  /** Undefined while nothing is masqueraded. */
  nat(limit: number): Promise<NatFacts | undefined>;
  /** Undefined while no prefilter is wanted. */
  prefilter(): Promise<PrefilterFacts | undefined>;
  /** Undefined while packets for services are balanced by tc alone. */
  acceleration(): AccelerationFacts | undefined;
  uplinks(): UplinkStatus;
  /** Events of processes; absent where there are none, or nobody wants them. */
  readonly processes?: ProcessPort;
  /** Hooks of runtime policies; absent where there are none, or processes are not watched. */
  readonly runtime?: (listener: RuntimeListener) => RuntimePort;
  startEvents(options: EventSourceOptions): EventSource;
  close(): Promise<void>;
}
