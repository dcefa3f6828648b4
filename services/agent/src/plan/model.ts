// SPDX-License-Identifier: Apache-2.0
/**
 * What the host should hold: plain immutable values, made by the planner from configuration and local facts, read by
 * the executor. Interface indexes do not occur here: they are facts of the kernel that only the executor knows.
 */
import type { PolicyTable } from '@weir/bpf/policy-table';
import type { EncryptionFacts } from './encryption.ts';
import type { ControlAddress } from './failsafe.ts';

/** Everything needed to connect one workload. A change of any of it means new wiring. */
export interface Wiring {
  readonly workloadId: string;
  /** Name of the host side. */
  readonly ifname: string;
  /** Path of the workload's network namespace; empty when it is not known, or the workload is a cgroup. */
  readonly netns: string;
  /** Of a workload that is a cgroup: its path below the host's. Else empty. */
  readonly cgroup: string;
  /** Text; empty = none. */
  readonly ip4: string;
  readonly ip6: string;
  readonly mac: string;
  readonly hostMac: string;
}

/** A workload's policy as the datapath takes it. */
export interface WorkloadPolicy {
  readonly table: PolicyTable;
  /** enum weir_workload_flags, READY included. */
  readonly flags: number;
  readonly defaultRuleIngress: number;
  readonly defaultRuleEgress: number;
  /** Entries that rules made, without those that stand for 'not enforced'. */
  readonly entries: number;
  readonly enabled: PolicyEnabled;
  /** Why the workload is in lockdown; empty = it is not. */
  readonly lockdown: string;
  /** Why what audited or staged policies would do is not told; empty = it is. */
  readonly unjudged: string;
  readonly depends: {
    /** It lets in, or out to, addresses that nobody manages. */
    readonly admitsOutside: boolean;
    /** Denied by name. */
    readonly deniedIdentities: ReadonlySet<number>;
  };
}

export type PolicyEnabled = 'none' | 'ingress' | 'egress' | 'both';

/** L3 bytes per second; 0 = no limit. */
export interface Bandwidth {
  readonly egress: number;
  readonly ingress: number;
}

export interface DesiredWorkload {
  readonly id: string;
  /** Host-local number, in flows. */
  readonly localId: number;
  readonly identity: number;
  readonly wiring: Wiring;
  /** Undefined: closed, because what should be enforced is not known. */
  readonly policy: WorkloadPolicy | undefined;
  /** Undefined: it may send and receive what it can. */
  readonly bandwidth?: Bandwidth | undefined;
  /** What the last change of its policy that somebody applied says of its connections. */
  readonly established?: EstablishedChange | undefined;
  /** Why it is closed, in the words of WorkloadState. */
  readonly waiting: '' | 'waiting-for-identity' | 'not-ready';
  readonly message: string;
}

export interface Route {
  /** Canonical CIDR. */
  readonly dst: string;
  /** Address, UNREACHABLE or OVERLAY. */
  readonly via: string;
}

/** Nobody has these addresses: packets to them end here instead of going round in circles. */
export const UNREACHABLE = 'unreachable';

/** Through the tunnel device; whom a packet is for is known there. */
export const OVERLAY = 'overlay';

export interface EstablishedChange {
  /** Counts changes of this workload since the agent began. */
  readonly number: number;
  /** Connections that are refused from now on may go on; else they are cut. */
  readonly drains: boolean;
}

/** A document that can't be realised. */
export interface DocumentError {
  readonly subject: string;
  readonly revision: bigint;
  readonly code: string;
  readonly message: string;
}

/** Facts that only this host knows, gathered before planning. */
export interface LocalFacts {
  readonly host: string;
  /** Addresses of the host's own interfaces, text. */
  readonly addresses: readonly string[];
  /** Networks on the links of this host, CIDRs. */
  readonly subnets?: readonly string[];
  /** Of a clock that only goes forward; what changes over in steps does so by it. */
  readonly nowMs?: number;
  /** Milliseconds of Unix time, by this host's clock: when policies count. */
  readonly wallMs?: number;
  /** Hosts that do not answer any more, of those that were asked. */
  readonly unreachable?: ReadonlySet<string>;
  /** Of the device that encrypts. */
  readonly encryption?: EncryptionFacts;
  /** Servers of the bus. */
  readonly control?: readonly ControlAddress[];
  /** A first whole view of the configuration is there: until then every workload stays closed. */
  readonly configurationComplete: boolean;
}
