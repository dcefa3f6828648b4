// SPDX-License-Identifier: Apache-2.0
/**
 * A workload's policy entries as bytes of its inner map.
 *
 * A direction that is not enforced gets an entry "any identity, anything: allow, rule 0" of its own in the Normal tier (pass, if
 * there is a Baseline to ask), unless a rule says the same. It changes no verdict (every other entry is stronger), but makes the table
 * complete: judged with or without the workload's enforce flags it gives the same answer. That is what makes a change
 * from not enforced to enforced, or back, one atomic swap of the table: the flags may be set before and cleared
 * after it without any packet seeing a mixture (see the agent's transition.ts).
 */
import {
  policy_entry,
  policy_key,
  weir_policy_bits,
  weir_policy_section,
  weir_policy_verdict,
  weir_workload_flags,
} from './gen/index.ts';

const { POLICY_EGRESS, POLICY_TIER_ADMIN, POLICY_TIER_NORMAL, POLICY_TIER_BASELINE, POLICY_TIER_DEFAULT } =
  weir_policy_section;
const { POLICY_VIEW_AUDITED, POLICY_VIEW_PENDING } = weir_policy_section;
const { POLICY_ALLOW, POLICY_DENY, POLICY_PASS, POLICY_DENY_RESET, POLICY_DENY_ICMP } = weir_policy_verdict;

const TIERS = {
  Admin: POLICY_TIER_ADMIN,
  Normal: POLICY_TIER_NORMAL,
  Baseline: POLICY_TIER_BASELINE,
  Default: POLICY_TIER_DEFAULT,
} as const;
const VIEWS = { enforced: 0, audited: POLICY_VIEW_AUDITED, pending: POLICY_VIEW_PENDING } as const;
const VIEW_MASK = POLICY_VIEW_AUDITED | POLICY_VIEW_PENDING;
const VERDICTS = { allow: POLICY_ALLOW, deny: POLICY_DENY, pass: POLICY_PASS } as const;
const RESPONSES = { None: POLICY_DENY, Reset: POLICY_DENY_RESET, Icmp: POLICY_DENY_ICMP } as const;
/** How a refusal is answered: not at all, TCP by a reset and all else by ICMP, all by ICMP. */
export type DenyResponse = keyof typeof RESPONSES;
export type PolicyTier = keyof typeof TIERS;
export type PolicyVerdict = keyof typeof VERDICTS;
/** What is enforced, or what would be. */
export type PolicyView = keyof typeof VIEWS;

const sectionOf = (egress: boolean, tier: PolicyTier, view: PolicyView = 'enforced'): number =>
  TIERS[tier] | VIEWS[view] | (egress ? POLICY_EGRESS : 0);
const nameOf = <T extends string>(names: Readonly<Record<T, number>>, number: number): T =>
  (Object.keys(names) as T[]).find((name) => names[name] === number) as T;

/** As the policy engine compiles them. */
export interface PolicyEntry {
  readonly egress: boolean;
  readonly tier: PolicyTier;
  /** 0 = any. */
  readonly identity: number;
  /** 0 = any. */
  readonly protocol: number;
  readonly port: number;
  /** 0 = every port, 16 = this one. */
  readonly portPrefixBits: number;
  readonly verdict: PolicyVerdict;
  readonly ruleId: number;
  /** Within its tier the highest decides. */
  readonly rank: number;
  /** Of a deny; absent = None. */
  readonly response?: DenyResponse;
}

/** What would be, complete in itself: its default denials are entries of their own. */
export interface ViewedPolicy {
  readonly view: Exclude<PolicyView, 'enforced'>;
  readonly entries: readonly PolicyEntry[];
  readonly enforceIngress: boolean;
  readonly enforceEgress: boolean;
  readonly defaultRuleIngress: number;
  readonly defaultRuleEgress: number;
}

/** What a workload's flags say beside its table. */
export interface Enforcement {
  readonly enforceIngress: boolean;
  readonly enforceEgress: boolean;
  /** Some entries have ipBlock identities. */
  readonly ipBlock: boolean;
  /** Some entries are of another tier than the Normal one. */
  readonly tiers: boolean;
  /** The host may always reach its own workloads. */
  readonly allowHost: boolean;
  /** Of the default deny; absent = None. */
  readonly responseIngress?: DenyResponse;
  readonly responseEgress?: DenyResponse;
  /** Views that the table has. */
  readonly views?: readonly ViewedPolicy[];
}

const flag = weir_workload_flags;

/** Of a workload that is ready and has its table. */
export const enforcementFlags = ({
  enforceIngress,
  enforceEgress,
  ipBlock,
  tiers,
  allowHost,
  responseIngress,
  responseEgress,
  views = [],
}: Enforcement): number =>
  flag.WORKLOAD_READY |
  (enforceIngress ? flag.WORKLOAD_ENFORCE_INGRESS : 0) |
  (enforceEgress ? flag.WORKLOAD_ENFORCE_EGRESS : 0) |
  (ipBlock ? flag.WORKLOAD_IPBLOCK : 0) |
  (tiers ? flag.WORKLOAD_TIERS : 0) |
  (allowHost ? flag.WORKLOAD_ALLOW_HOST : 0) |
  (responseIngress === 'Reset' ? flag.WORKLOAD_RESET_INGRESS : 0) |
  (responseIngress === 'Icmp' ? flag.WORKLOAD_ICMP_INGRESS : 0) |
  (responseEgress === 'Reset' ? flag.WORKLOAD_RESET_EGRESS : 0) |
  (responseEgress === 'Icmp' ? flag.WORKLOAD_ICMP_EGRESS : 0) |
  (views.some(({ view }) => view === 'audited') ? flag.WORKLOAD_AUDITED : 0) |
  (views.some(({ view }) => view === 'pending') ? flag.WORKLOAD_PENDING : 0);

export interface PolicyTable {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
  /** Complete without the enforce flag of the direction. */
  readonly openIngress: boolean;
  readonly openEgress: boolean;
}

const { POLICY_STATIC_BITS, POLICY_FULL_BITS } = weir_policy_bits;
const PROTOCOL_BITS = 8;
/** The part of a value that is policy; packets and bytes behind it count traffic. */
const VERDICT_BYTES = policy_entry.offsets.packets;

const prefixBits = ({ protocol, portPrefixBits }: PolicyEntry): number =>
  protocol === 0 ? 0 : PROTOCOL_BITS + portPrefixBits;

interface Row extends PolicyEntry {
  readonly view?: PolicyView;
}

const writeEntry = (entry: Row, keys: Buffer, values: Buffer, index: number): void => {
  const bits = prefixBits(entry);
  const port = bits <= PROTOCOL_BITS ? 0 : entry.port & (0xffff << (16 - entry.portPrefixBits)) & 0xffff;
  policy_key.encode(
    {
      prefixlen: POLICY_STATIC_BITS + bits,
      identity: entry.identity,
      section: sectionOf(entry.egress, entry.tier, entry.view),
      protocol: entry.protocol,
      port_hi: port >> 8,
      port_lo: port & 0xff,
    },
    keys,
    index * policy_key.size,
  );
  policy_entry.encode(
    {
      rule_id: entry.ruleId,
      verdict: entry.verdict === 'deny' ? RESPONSES[entry.response ?? 'None'] : VERDICTS[entry.verdict],
      prefix_bits: bits,
      rank: entry.rank,
      packets: 0n,
      bytes: 0n,
    },
    values,
    index * policy_entry.size,
  );
};

const catchAll = (egress: boolean, verdict: PolicyVerdict): PolicyEntry => ({
  egress,
  tier: 'Normal',
  identity: 0,
  protocol: 0,
  port: 0,
  portPrefixBits: 0,
  verdict,
  ruleId: 0,
  rank: 0,
});

const viewRows = ({ view, entries, ...policy }: ViewedPolicy): Row[] => {
  const denial = (egress: boolean, ruleId: number): Row => ({
    ...catchAll(egress, 'deny'),
    tier: 'Default',
    ruleId,
    view,
  });
  return [
    ...entries.map((entry) => ({ ...entry, view })),
    ...(policy.enforceIngress ? [denial(false, policy.defaultRuleIngress)] : []),
    ...(policy.enforceEgress ? [denial(true, policy.defaultRuleEgress)] : []),
  ];
};

const isCatchAll = (entry: PolicyEntry, egress: boolean): boolean =>
  entry.egress === egress && entry.tier === 'Normal' && entry.identity === 0 && entry.protocol === 0;

export const buildPolicyTable = (
  entries: readonly PolicyEntry[],
  enforced: { readonly ingress: boolean; readonly egress: boolean },
  views: readonly ViewedPolicy[] = [],
): PolicyTable => {
  const open: PolicyEntry[] = [];
  const has = (egress: boolean): boolean => entries.some((entry) => isCatchAll(entry, egress));
  const rest = (egress: boolean): PolicyVerdict =>
    entries.some((entry) => entry.egress === egress && entry.tier === 'Baseline') ? 'pass' : 'allow';
  if (!enforced.ingress && !has(false)) open.push(catchAll(false, rest(false)));
  if (!enforced.egress && !has(true)) open.push(catchAll(true, rest(true)));
  const rows = [...open, ...views.flatMap(viewRows)];
  const count = entries.length + rows.length;
  const keys = Buffer.alloc(count * policy_key.size);
  const values = Buffer.alloc(count * policy_entry.size);
  for (let i = 0; i < entries.length; i++) writeEntry(entries[i] as PolicyEntry, keys, values, i);
  for (let i = 0; i < rows.length; i++) writeEntry(rows[i] as Row, keys, values, entries.length + i);
  return { keys, values, count, openIngress: !enforced.ingress, openEgress: !enforced.egress };
};

const keyAt = (table: { keys: Buffer }, index: number): string =>
  table.keys.toString('latin1', index * policy_key.size, (index + 1) * policy_key.size);

const verdictAt = (table: { values: Buffer }, index: number): string =>
  table.values.toString('latin1', index * policy_entry.size, index * policy_entry.size + VERDICT_BYTES);

/** The table that a map in the kernel holds. Whether a direction is open shows by its catch-all. */
export const readPolicyTable = (keys: Buffer, values: Buffer, count: number): PolicyTable => {
  const open = (egress: boolean): boolean => {
    for (let i = 0; i < count; i++) {
      const at = i * policy_key.size;
      if (policy_key.read.prefixlen(keys, at) !== POLICY_STATIC_BITS) continue;
      if (policy_key.read.identity(keys, at) === 0 && policy_key.read.section(keys, at) === sectionOf(egress, 'Normal'))
        return true;
    }
    return false;
  };
  return { keys, values, count, openIngress: open(false), openEgress: open(true) };
};

/** Same verdicts: order and traffic counters do not matter. */
export const samePolicyTable = (a: PolicyTable, b: PolicyTable): boolean => {
  if (a === b) return true;
  if (a.count !== b.count) return false;
  if (a.keys.equals(b.keys)) {
    let same = true;
    for (let i = 0; i < a.count && same; i++) {
      const at = i * policy_entry.size;
      same = a.values.compare(b.values, at, at + VERDICT_BYTES, at, at + VERDICT_BYTES) === 0;
    }
    return same;
  }
  const verdicts = new Map<string, string>();
  for (let i = 0; i < a.count; i++) verdicts.set(keyAt(a, i), verdictAt(a, i));
  for (let i = 0; i < b.count; i++) if (verdicts.get(keyAt(b, i)) !== verdictAt(b, i)) return false;
  return true;
};

export interface PolicyRow {
  readonly view: PolicyView;
  readonly direction: 'ingress' | 'egress';
  readonly tier: PolicyTier;
  readonly identity: number;
  readonly protocol: number;
  readonly port: number;
  readonly portPrefixBits: number;
  readonly verdict: PolicyVerdict;
  readonly ruleId: number;
  readonly rank: number;
  readonly response: DenyResponse;
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** For people. */
export const policyRows = ({ keys, values, count }: Pick<PolicyTable, 'keys' | 'values' | 'count'>): PolicyRow[] =>
  Array.from({ length: count }, (_, i): PolicyRow => {
    const key = policy_key.decode(keys, i * policy_key.size);
    const value = policy_entry.decode(values, i * policy_entry.size);
    const bits = Math.min(key.prefixlen, POLICY_FULL_BITS) - POLICY_STATIC_BITS;
    return {
      view: nameOf(VIEWS, key.section & VIEW_MASK),
      direction: key.section & POLICY_EGRESS ? 'egress' : 'ingress',
      tier: nameOf(TIERS, key.section & ~(POLICY_EGRESS | VIEW_MASK)),
      identity: key.identity,
      protocol: key.protocol,
      port: (key.port_hi << 8) | key.port_lo,
      portPrefixBits: Math.max(0, bits - PROTOCOL_BITS),
      verdict: value.verdict > POLICY_PASS ? 'deny' : nameOf(VERDICTS, value.verdict),
      response: value.verdict > POLICY_PASS ? nameOf(RESPONSES, value.verdict) : 'None',
      ruleId: value.rule_id,
      rank: value.rank,
      packets: value.packets,
      bytes: value.bytes,
    };
  });
