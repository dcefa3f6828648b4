// SPDX-License-Identifier: Apache-2.0
/** What goes into the compiler and what comes out. Plain data, so an agent can keep, compare and send it. */
import type { Action, DenyResponse, PolicyDocument, Tier } from '../model.ts';
import type { CidrAllocator } from './cidrs.ts';
import type { IdentityLabels } from './world.ts';

/** enforced: as it is. audited: if audited policies were enforced. pending: if staged ones were, too. */
export type View = 'enforced' | 'audited' | 'pending';

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
  readonly subject: {
    readonly identity: number;
    readonly namedPorts: readonly NamedPort[];
    /** Of a host (hostLabels), which has more than its identity. */
    readonly labels?: readonly string[];
  };
  /** Named ports of the workloads behind an identity, all of them together: for named ports of egress rules. */
  readonly peerNamedPorts?: ReadonlyMap<number, readonly NamedPort[]>;
  /** What is enforced (default), or what would be: see views.ts. */
  readonly view?: View;
  /** Entries the datapath can hold for one workload. */
  readonly maxEntries?: number;
}

export interface PolicyEntry {
  readonly egress: boolean;
  readonly tier: Tier;
  /** 0 = any. */
  readonly identity: number;
  /** 0 = any. */
  readonly protocol: number;
  readonly port: number;
  /** 0 = every port, 16 = this one. */
  readonly portPrefixBits: number;
  readonly verdict: Action;
  readonly ruleId: number;
  /** Within its tier the highest decides; 0 throughout the Normal one, where a deny goes before an allow. */
  readonly rank: number;
  /** Of a deny; absent = in silence. */
  readonly response?: DenyResponse;
}

export interface CompiledWorkload {
  /** Closed: in no trie (identity, direction, tier) does an entry lie under a stronger one. Stable order. */
  readonly entries: readonly PolicyEntry[];
  readonly enforceIngress: boolean;
  readonly enforceEgress: boolean;
  /** Some entries have ipBlock identities: the datapath must look up the twin too. */
  readonly ipBlock: boolean;
  /** Some entries are of another tier than the Normal one: the datapath must ask those too. */
  readonly tiers: boolean;
  readonly defaultRuleIngress: number;
  readonly defaultRuleEgress: number;
  /** Of its default denials, by direction; absent = in silence. */
  readonly responseIngress?: DenyResponse;
  readonly responseEgress?: DenyResponse;
  /** More entries than fit: nothing of this may be enforced in part, the workload goes into lockdown. */
  readonly overflow: boolean;
  /** The subject's identity has no labels yet, so nobody knows what selects it: closed both ways. */
  readonly unknownSubject: boolean;
}
