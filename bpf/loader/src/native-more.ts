// SPDX-License-Identifier: Apache-2.0
/** The addon's functions for links, the network and ring buffers; see native.ts. */
import type { Handle } from './native.ts';

export interface NativeLinkFacts {
  readonly handle: Handle;
  readonly fd: number;
}

export interface NativeLinkInfo {
  readonly id: number;
  readonly progId: number;
  readonly type: number;
  readonly ifindex: number;
  readonly deviceAttachType: number;
  readonly cgroupId: bigint;
  readonly cgroupAttachType: number;
}

type Optional<T> = T | undefined;

export type ProbedFeature =
  | 'btf'
  | 'tcx'
  | 'clsact'
  | 'redirectPeer'
  | 'redirectNeigh'
  | 'bpfLoop'
  | 'ringbuf'
  | 'batchHash'
  | 'batchLpm'
  | 'tpBtf'
  | 'fentry'
  | 'lsmLoads'
  | 'kprobe'
  | 'uprobe';

export interface NativeLinks {
  linkAttachDevice(
    program: Handle,
    ifindex: number,
    attachType: number,
    flags: number,
    pinPath: Optional<string>,
    netns: Optional<string>,
  ): Promise<NativeLinkFacts>;
  linkAttachCgroup(
    program: Handle,
    cgroup: string,
    attachType: number,
    pinPath: Optional<string>,
  ): Promise<NativeLinkFacts>;
  linkIterate(program: Handle): Promise<Buffer>;
  linkAttachTracing(program: Handle, tracepoint: Optional<string>, pinPath: Optional<string>): Promise<NativeLinkFacts>;
  linkAttachTracepoint(
    program: Handle,
    tracefs: string,
    category: string,
    name: string,
    pinPath: Optional<string>,
  ): Promise<NativeLinkFacts>;
  linkAttachUprobe(
    program: Handle,
    binary: string,
    at: string | bigint,
    options: { ret: Optional<boolean>; pid: Optional<number> },
    pinPath: Optional<string>,
  ): Promise<NativeLinkFacts>;
  linkByPath(path: string): NativeLinkFacts;
  linkUpdate(link: Handle, program: Handle): Promise<void>;
  linkDetach(link: Handle): boolean;
  linkInfo(link: Handle): NativeLinkInfo;
  tcAttach(program: Handle, ...filter: TcFilterArguments): Promise<void>;
  tcDetach(...filter: TcFilterArguments): Promise<void>;
  tcQuery(...filter: TcFilterArguments): Promise<number | undefined>;
  tcxSupported(): Promise<boolean>;
  probe(): Promise<Record<ProbedFeature, boolean>>;
}

export type TcFilterArguments = [
  ifindex: number,
  direction: 'ingress' | 'egress',
  handle: number,
  priority: number,
  netns: Optional<string>,
];

export interface NativeNet {
  mountIfMissing(type: string, directory: string, magic: number): Promise<boolean>;
  createNetns(path: string): Promise<void>;
  deleteNetns(path: string): Promise<void>;
  netlinkOpen(netns: Optional<string>, protocol: number): Handle;
  netlinkRequest(socket: Handle, message: Uint8Array): Promise<Buffer>;
  netlinkMonitor(netns: Optional<string>, groups: number, onChanges: (bytes: Buffer) => void): Handle;
  backgroundStop(background: Handle): Promise<void>;
  /** Microseconds, -1 without an answer, -1 - errno when it could not be sent. */
  ping(netns: Optional<string>, addresses: Uint8Array, timeoutMs: number): Promise<number[]>;
  /** A descriptor, the caller's to close. */
  listenTcp(netns: string, port: number): Promise<number>;
  /** errno or 0, its own port, microseconds. */
  attempt(
    netns: string,
    address: Uint8Array,
    port: number,
    tcp: boolean,
    timeoutMs: number,
  ): Promise<[number, number, number]>;
  netnsCookie(netns: Optional<string>): Promise<bigint>;
  sysctl(netns: Optional<string>, key: string, value: Optional<string>): Promise<string>;
}

export interface NativeRingOptions {
  readonly batchMax: number;
  readonly flushMs: number;
  readonly pollMs: number;
  readonly maxQueued: number;
  readonly wantsOthers: boolean;
  readonly boot: bigint;
  readonly firstSeq: bigint;
  readonly connectionOffset: bigint;
}

export interface NativeRingStats {
  readonly events: bigint;
  readonly others: bigint;
  readonly malformed: bigint;
  readonly batches: bigint;
  readonly stalls: bigint;
  readonly queued: number;
  readonly nextSeq: bigint;
}

export interface NativeRing {
  ringOpen(
    map: Handle,
    options: NativeRingOptions,
    receive: (isFlows: boolean, bytes: Buffer, count: number, firstSeq: bigint, owners: Buffer) => void,
  ): Handle;
  ringDone(ring: Handle): void;
  ringStats(ring: Handle): NativeRingStats;
  clockOffset(): bigint;
  encodeFlows(raw: Uint8Array, boot: bigint, firstSeq: bigint, offset: bigint, connectionOffset: bigint): Buffer;
}
