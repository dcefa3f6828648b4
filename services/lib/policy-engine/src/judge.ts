// SPDX-License-Identifier: Apache-2.0
/**
 * The datapath's decision, step by step as the kernel takes it: tier by tier, the longest match in the trie of the peer's identity,
 * in that of its ipBlock twin and in that of any identity. The highest rank decides, then a deny, then the longest, the peer's own
 * first; a pass leaves it to the next tier. Behind the Normal tier comes its default deny; without one Baseline, and then all is allowed. What is simulated here must be what is enforced, so this is tested against the rules and against the kernel.
 */
import { type Atom, atom, atomPrefixBits } from './compile/atoms.ts';
import type { CompiledWorkload, PolicyEntry } from './compile/input.ts';
import { ANY_IDENTITY, IDENTITY } from './constants.ts';
import type { DenyResponse, Direction, Tier } from './model.ts';
import { LAST_PORT } from './ports.ts';

export interface Question {
  readonly direction: Direction;
  readonly peerIdentity: number;
  /** Twin of the prefix that holds the peer's address, when compiled.ipBlock says it matters. */
  readonly peerIpblockIdentity?: number;
  readonly protocol: number;
  /** Destination port; for ICMP use icmpPort(type). */
  readonly port: number;
  /** The local host may always reach its workloads (default); false leaves it to the rules. */
  readonly allowHost?: boolean;
}

/** Names and numbers of Cilium's policy match types. */
export const MATCH_TYPES = ['none', 'L3-Only', 'L3-L4', 'L4-Only', 'all', 'L3-Proto', 'Proto-Only'] as const;
export type MatchType = (typeof MATCH_TYPES)[number];

export interface Judgement {
  readonly verdict: 'allow' | 'deny';
  readonly reason: 'rule' | 'default-deny' | 'default-allow' | 'host';
  /** 0 when no rule decided. */
  readonly ruleId: number;
  readonly matchType: MatchType;
  /** Of the rule that decided. */
  readonly tier?: Tier;
  /** How the refusal is answered; absent = in silence. */
  readonly response?: DenyResponse;
}

/** (direction, tier, identity) -> atoms. */
type Tries = ReadonlyMap<number, ReadonlyMap<Atom, PolicyEntry>>;

const tries = new WeakMap<readonly PolicyEntry[], Tries>();

const SECTION: Readonly<Record<Tier, number>> = { Normal: 0, Admin: 2, Baseline: 4 };
// An identity takes 32 bits; direction and tier go above them.
const trieKey = (egress: boolean, tier: Tier, identity: number): number =>
  (SECTION[tier] + (egress ? 1 : 0)) * 2 ** 32 + identity;

const triesOf = (entries: readonly PolicyEntry[]): Tries => {
  const known = tries.get(entries);
  if (known) return known;
  const built = new Map<number, Map<Atom, PolicyEntry>>();
  for (const entry of entries) {
    const key = trieKey(entry.egress, entry.tier, entry.identity);
    let trie = built.get(key);
    if (!trie) {
      trie = new Map();
      built.set(key, trie);
    }
    trie.set(atom(entry.protocol, entry.port, entry.portPrefixBits), entry);
  }
  tries.set(entries, built);
  return built;
};

const longestMatch = (trie: ReadonlyMap<Atom, PolicyEntry> | undefined, protocol: number, port: number) => {
  if (!trie) return undefined;
  for (let bits = 16; bits >= 0; bits--) {
    const entry = trie.get(atom(protocol, port & (LAST_PORT << (16 - bits)) & LAST_PORT, bits));
    if (entry) return entry;
  }
  return trie.get(0);
};

const prefixBits = (entry: PolicyEntry): number =>
  atomPrefixBits(atom(entry.protocol, entry.port, entry.portPrefixBits));

const matchTypeOf = (entry: PolicyEntry): MatchType => {
  const bits = prefixBits(entry);
  if (entry.identity === ANY_IDENTITY) return bits === 0 ? 'all' : bits === 8 ? 'Proto-Only' : 'L4-Only';
  return bits === 0 ? 'L3-Only' : bits === 8 ? 'L3-Proto' : 'L3-L4';
};

const byRule = (entry: PolicyEntry): Judgement => ({
  verdict: entry.verdict === 'deny' ? 'deny' : 'allow',
  reason: 'rule',
  ruleId: entry.ruleId,
  matchType: matchTypeOf(entry),
  tier: entry.tier,
  ...(entry.response ? { response: entry.response } : {}),
});

/** Is `other` found although there is `first`? Of equal ones the first decides. */
const overrules = (other: PolicyEntry, first: PolicyEntry): boolean => {
  if (other.rank !== first.rank) return other.rank > first.rank;
  if (other.verdict === 'deny' || first.verdict === 'deny') return first.verdict !== 'deny';
  return prefixBits(other) > prefixBits(first);
};

const byDefaultDeny = (compiled: CompiledWorkload, egress: boolean): Judgement => {
  const response = egress ? compiled.responseEgress : compiled.responseIngress;
  return {
    verdict: 'deny',
    reason: 'default-deny',
    ruleId: egress ? compiled.defaultRuleEgress : compiled.defaultRuleIngress,
    matchType: 'none',
    ...(response && !compiled.overflow ? { response } : {}),
  };
};

export const judge = (compiled: CompiledWorkload, question: Question): Judgement => {
  const { direction, peerIdentity, peerIpblockIdentity, protocol, port } = question;
  const egress = direction === 'egress';
  if (compiled.overflow) return byDefaultDeny(compiled, egress);
  if (!egress && peerIdentity === IDENTITY.HOST && question.allowHost !== false) {
    return { verdict: 'allow', reason: 'host', ruleId: 0, matchType: 'none' };
  }
  const all = triesOf(compiled.entries);
  const identities = [peerIdentity, ...(peerIpblockIdentity === undefined ? [] : [peerIpblockIdentity]), ANY_IDENTITY];
  const decisive = (tier: Tier): PolicyEntry | undefined => {
    let best: PolicyEntry | undefined;
    for (const identity of identities) {
      const entry = longestMatch(all.get(trieKey(egress, tier, identity)), protocol, port);
      if (entry && (!best || overrules(entry, best))) best = entry;
    }
    return best?.verdict === 'pass' ? undefined : best;
  };
  const before = (compiled.tiers ? decisive('Admin') : undefined) ?? decisive('Normal');
  if (before) return byRule(before);
  if (egress ? compiled.enforceEgress : compiled.enforceIngress) return byDefaultDeny(compiled, egress);
  const baseline = compiled.tiers ? decisive('Baseline') : undefined;
  return baseline ? byRule(baseline) : { verdict: 'allow', reason: 'default-allow', ruleId: 0, matchType: 'none' };
};
