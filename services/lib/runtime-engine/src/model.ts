// SPDX-License-Identifier: Apache-2.0
/** A TracingPolicy as it was understood: macros put in place, numbers read, names resolved. */
import type { PolicyWarning, Position } from '@weir/policy-engine';
import type { Requirement } from '@weir/policy-engine/reading';
import type { ActionName, ArgType, Comparison, Kind, Namespace } from './words.ts';

export interface Argument {
  /** Place in the function's prototype, in the tracepoint's format, or of the register. */
  readonly index: number;
  readonly type: ArgType;
  readonly label?: string;
  /** Another argument tells its length. */
  readonly sizeArgIndex?: number;
  /** Read when the call returns. */
  readonly returnCopy?: boolean;
  readonly maxData?: boolean;
  /** Members through BTF, from the argument on: `mm.owner.pid`. */
  readonly resolve?: string;
  readonly btfType?: string;
  readonly source?: 'current_task' | 'pt_regs';
}

/** Values as they are compared. */
export type FilterValue =
  | { readonly kind: 'number'; readonly from: bigint; readonly to: bigint }
  | { readonly kind: 'text'; readonly bytes: Uint8Array }
  /** 16 bytes, IPv4 mapped; `bits` counted from the first of them. */
  | { readonly kind: 'prefix'; readonly family: 4 | 6; readonly address: Uint8Array; readonly bits: number }
  | { readonly kind: 'list'; readonly name: string };

export interface ArgFilter {
  readonly path: string;
  /** Places in `args` (or `data`) of the hook; two for CapabilitiesGained: before, after. */
  readonly slots: readonly number[];
  readonly comparison: Comparison;
  readonly negated: boolean;
  readonly values: readonly FilterValue[];
}

export interface PidFilter {
  readonly negated: boolean;
  readonly pids: readonly number[];
  readonly followForks: boolean;
  readonly ofNamespace: boolean;
}

export interface BinaryFilter {
  readonly comparison: 'equal' | 'prefix' | 'postfix';
  readonly negated: boolean;
  readonly values: readonly Uint8Array[];
  readonly followChildren: boolean;
}

export interface NamespaceFilter {
  readonly namespace: Namespace;
  readonly negated: boolean;
  /** Inode numbers; `host`: that of the host. */
  readonly values: readonly (bigint | 'host')[];
}

export interface CapabilityFilter {
  readonly set: 'effective' | 'inheritable' | 'permitted';
  readonly negated: boolean;
  /** Bits. */
  readonly capabilities: bigint;
  /** Also those held in another user namespace than the host's. */
  readonly ofNamespace: boolean;
}

export interface WorkloadFilter {
  readonly pods?: readonly Requirement[];
  readonly containers?: readonly Requirement[];
}

export interface Action {
  readonly action: ActionName;
  /** Milliseconds between two posts; undefined: all are posted. */
  readonly rateLimitMs?: number;
  readonly rateLimitScope?: 'thread' | 'process' | 'global';
  readonly kernelStackTrace?: boolean;
  readonly userStackTrace?: boolean;
  readonly imaHash?: boolean;
  readonly argError?: number;
  readonly argSig?: number;
  readonly argSock?: number;
  readonly argIndex?: number;
  readonly argValue?: number;
  readonly argUrl?: string;
  readonly argFqdn?: string;
  readonly argRegs?: readonly string[];
  readonly argNewSymbol?: string;
}

/** All filters must hold. */
export interface Selector {
  readonly path: string;
  readonly label?: string;
  readonly pids: readonly PidFilter[];
  readonly args: readonly ArgFilter[];
  readonly data: readonly ArgFilter[];
  readonly returnArgs: readonly ArgFilter[];
  readonly binaries: readonly BinaryFilter[];
  readonly parentBinaries: readonly BinaryFilter[];
  readonly namespaces: readonly NamespaceFilter[];
  readonly namespaceChanges: readonly { readonly negated: boolean; readonly namespaces: readonly Namespace[] }[];
  readonly capabilities: readonly CapabilityFilter[];
  readonly capabilityChanges: readonly CapabilityFilter[];
  /** Any of them; empty: whatever the policy is for. */
  readonly workloads: readonly WorkloadFilter[];
  readonly actions: readonly Action[];
  readonly returnActions: readonly Action[];
}

export type HookTarget =
  | { readonly kind: 'kprobe' | 'fentry'; readonly call: string; readonly syscall: boolean }
  | { readonly kind: 'tracepoint'; readonly subsystem: string; readonly event: string; readonly raw: boolean }
  | { readonly kind: 'lsm'; readonly hook: string }
  | {
      readonly kind: 'uprobe';
      readonly path: string;
      readonly symbols: readonly string[];
      readonly offsets: readonly bigint[];
      readonly addresses: readonly bigint[];
      readonly refCtrOffsets: readonly bigint[];
      readonly digests: readonly string[];
      readonly inContainer: boolean;
    }
  | { readonly kind: 'usdt'; readonly path: string; readonly provider: string; readonly name: string };

export interface Hook {
  /** Such as spec.kprobes[0]. */
  readonly path: string;
  readonly position?: Position;
  readonly target: HookTarget;
  readonly args: readonly Argument[];
  readonly data: readonly Argument[];
  readonly returns: boolean;
  readonly returnArg?: Argument;
  readonly returnArgAction?: 'Post' | 'TrackSock' | 'UntrackSock';
  /** In order: the first that matches counts. None: every call is told of. */
  readonly selectors: readonly Selector[];
  readonly tags: readonly string[];
  readonly message?: string;
  /** A function that the kernel does not have is no failure. */
  readonly ignoreNotFound: boolean;
}

export interface NamedList {
  readonly name: string;
  readonly type?: 'syscalls' | 'generated_syscalls' | 'generated_ftrace';
  readonly values: readonly string[];
  readonly pattern?: string;
}

/** Whom a policy is for. Nothing given: everybody, the host too. */
export interface Scope {
  readonly pods?: readonly Requirement[];
  readonly containers?: readonly Requirement[];
  readonly host: boolean;
  readonly workloads: boolean;
  /** Labels of hosts; a host whose labels are not known is one of them. */
  readonly nodes?: readonly Requirement[];
}

export interface RuntimePolicyJson {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: unknown;
}

export interface RuntimePolicy {
  /** kind/namespace/name; `-` without a namespace. */
  readonly key: string;
  readonly kind: Kind;
  readonly name: string;
  readonly namespace?: string;
  readonly json: RuntimePolicyJson;
  readonly hooks: readonly Hook[];
  readonly loader: boolean;
  readonly lists: readonly NamedList[];
  readonly enforcers: readonly { readonly calls: readonly string[] }[];
  /** `monitor-only`: no action of it enforces anything. */
  readonly mode: 'enforce' | 'monitor' | 'monitor-only';
  readonly options: Readonly<Record<string, string>>;
  readonly scope: Scope;
  readonly warnings: readonly PolicyWarning[];
  readonly position?: Position;
}
