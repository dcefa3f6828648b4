// SPDX-License-Identifier: Apache-2.0
/** What the agent wants of runtime policies, and the door to the kernel's side of it (apply/kernel/runtime.ts). */
import type { Backend, RuntimePolicy } from '@weir/runtime-engine';
import type { RuntimeCall } from './events.ts';

/** A policy that is for this host. */
export interface SelectedPolicy {
  /** Of its document. */
  readonly subject: string;
  readonly revision: bigint;
  readonly policy: RuntimePolicy;
}

export interface RuntimeWorkload {
  /** With their source: k8s:app=web. */
  readonly labels: readonly string[];
  readonly namespace: string;
  /** Path of its network namespace; empty: it has none of its own, or it is not known. */
  readonly netns: string;
  /** Path below the host's cgroup; empty: not known. */
  readonly cgroup: string;
}

export interface HookReport {
  /** Place in the document. */
  readonly path: string;
  /** `none`: it is not attached; `limits` say why. */
  readonly backend: Backend | 'none';
  /** Actions that are really taken. */
  readonly enforces: readonly string[];
  readonly limits: readonly string[];
}

/** `partly`: something of it is not attached, or an action of it is not taken. */
export type RuntimeState = 'loaded' | 'partly' | 'error';

export interface RuntimeReport {
  readonly key: string;
  readonly subject: string;
  readonly revision: bigint;
  readonly state: RuntimeState;
  readonly mode: RuntimePolicy['mode'];
  readonly hooks: readonly HookReport[];
}

/** What a selector did on this host since its policy was loaded. */
export interface RuntimeCount {
  readonly policy: string;
  readonly hook: string;
  /** -1: the hook has none. */
  readonly selector: number;
  readonly label?: string;
  readonly counts: Readonly<Record<string, bigint>>;
}

export interface RuntimePort {
  /** Exactly these policies stand in the kernel afterwards; none is less enforced meanwhile. */
  apply(policies: readonly SelectedPolicy[], workloads: readonly RuntimeWorkload[]): Promise<readonly RuntimeReport[]>;
  counts(): readonly RuntimeCount[];
  /** Puts back pins that somebody removed; says which. */
  inspect(): Promise<readonly string[]>;
  /** Hands over what waits, then ends. Programs stay, and with them what policies enforce. */
  stop(): Promise<void>;
}

export interface RuntimeListener {
  onCalls(calls: readonly RuntimeCall[]): void;
  onTrouble(what: string, cause: unknown): void;
}
