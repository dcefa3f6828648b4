// SPDX-License-Identifier: Apache-2.0
/** What goes into the compiler and what comes out. Plain data, so an agent can keep, compare and send it. */
import type { PolicyDocument } from '../model.ts';
import type { CidrAllocator } from './cidrs.ts';
import type { IdentityLabels } from './world.ts';

export interface NamedPort {
  readonly name: string;
  readonly port: number;
  /** IANA number. */
  readonly protocol: number;
}

export interface PolicyInput {
  readonly doc: PolicyDocument;
  /** Path of each rule (listRules) -> its fleet-wide number; a rule without one is reported as 0. */
  readonly ruleIds: ReadonlyMap<string, number>;
}

export interface CompileInput {
  /** Fleet-wide identities and their labels; reserved ones may be left out. */
  readonly identities: IdentityLabels;
  readonly policies: readonly PolicyInput[];
  /** Must number every prefix of collectCidrs(policies). */
  readonly cidrs: CidrAllocator;
  readonly subject: { readonly identity: number; readonly namedPorts: readonly NamedPort[] };
  /** Named ports of the workloads behind an identity, all of them together: for named ports of egress rules. */
  readonly peerNamedPorts?: ReadonlyMap<number, readonly NamedPort[]>;
  /** Entries the datapath can hold for one workload. */
  readonly maxEntries?: number;
}

export interface PolicyEntry {
  readonly egress: boolean;
  /** 0 = any. */
  readonly identity: number;
  /** 0 = any. */
  readonly protocol: number;
  readonly port: number;
  /** 0 = every port, 16 = this one. */
  readonly portPrefixBits: number;
  readonly deny: boolean;
  readonly ruleId: number;
}

export interface CompiledWorkload {
  /** Deny-closed: in no trie (identity, direction) does an allow lie under a deny. Stable order. */
  readonly entries: readonly PolicyEntry[];
  readonly enforceIngress: boolean;
  readonly enforceEgress: boolean;
  /** Some entries have ipBlock identities: the datapath must look up the twin too. */
  readonly ipBlock: boolean;
  readonly defaultRuleIngress: number;
  readonly defaultRuleEgress: number;
  /** More entries than fit: nothing of this may be enforced in part, the workload goes into lockdown. */
  readonly overflow: boolean;
  /** The subject's identity has no labels yet, so nobody knows what selects it: closed both ways. */
  readonly unknownSubject: boolean;
}
