// SPDX-License-Identifier: Apache-2.0
/** What the datapath answers from a workload's value and table: the contract in bpf/include/abi.h, in few words. */
import {
  weir_workload_flags as flag,
  policy_entry,
  policy_key,
  weir_identity,
  weir_policy_bits,
  weir_policy_section,
  weir_policy_verdict,
} from '@weir/bpf';
import type { PolicyTable } from '@weir/bpf/policy-table';
import { cidrContainsIp, cidrOfAddress, parseCidr, parseIp } from '@weir/net';
import { prefixText } from '../../src/plan/ipcache.ts';
import type { MemoryState } from '../../src/sim/memory-kernel.ts';

export interface Probe {
  readonly egress: boolean;
  readonly identity: number;
  readonly protocol: number;
  readonly port: number;
}

interface Match {
  readonly verdict: number;
  readonly rank: number;
  readonly bits: number;
}

const { POLICY_EGRESS, POLICY_TIER_ADMIN, POLICY_TIER_NORMAL, POLICY_TIER_BASELINE } = weir_policy_section;
const { POLICY_DENY, POLICY_PASS } = weir_policy_verdict;

const longest = (table: PolicyTable, probe: Probe, identity: number, tier: number): Match | undefined => {
  const section = tier | (probe.egress ? POLICY_EGRESS : 0);
  let best: Match | undefined;
  for (let i = 0; i < table.count; i++) {
    const key = policy_key.decode(table.keys, i * policy_key.size);
    if (key.identity !== identity || key.section !== section) continue;
    const bits = key.prefixlen - weir_policy_bits.POLICY_STATIC_BITS;
    if (bits >= 8 && key.protocol !== probe.protocol) continue;
    const port = (key.port_hi << 8) | key.port_lo;
    const mask = bits > 8 ? (0xffff << (24 - bits)) & 0xffff : 0;
    if ((port & mask) !== (probe.port & mask)) continue;
    const value = policy_entry.decode(table.values, i * policy_entry.size);
    if (!best || bits > best.bits) best = { verdict: value.verdict, rank: value.rank, bits };
  }
  return best;
};

export type Verdict = 'allow' | 'deny';

export const judgeTable = (flags: number, table: PolicyTable | undefined, probe: Probe, twin?: number): Verdict => {
  if (!(flags & flag.WORKLOAD_READY) || flags & flag.WORKLOAD_LOCKDOWN) return 'deny';
  const identities = [probe.identity, ...(twin && flags & flag.WORKLOAD_IPBLOCK ? [twin] : []), 0];
  const ask = (tier: number): Verdict | 'pass' | undefined => {
    const matches = table ? identities.flatMap((identity) => longest(table, probe, identity, tier) ?? []) : [];
    const rank = Math.max(...matches.map((match) => match.rank));
    const strongest = matches.filter((match) => match.rank === rank);
    if (strongest.some(({ verdict }) => verdict === POLICY_DENY || verdict > POLICY_PASS)) return 'deny';
    strongest.sort((a, b) => b.bits - a.bits);
    return strongest[0] && (strongest[0].verdict === POLICY_PASS ? 'pass' : 'allow');
  };
  const tiers = (flags & flag.WORKLOAD_TIERS) !== 0;
  const admin = tiers ? ask(POLICY_TIER_ADMIN) : undefined;
  if (admin === 'allow' || admin === 'deny') return admin;
  const normal = ask(POLICY_TIER_NORMAL);
  if (normal === 'allow' || normal === 'deny') return normal;
  const enforced = probe.egress ? flag.WORKLOAD_ENFORCE_EGRESS : flag.WORKLOAD_ENFORCE_INGRESS;
  if (normal === undefined && flags & enforced) return 'deny';
  return tiers && ask(POLICY_TIER_BASELINE) === 'deny' ? 'deny' : 'allow';
};

/** Who an address is: its entry in the ipcache, else the longest prefix that a policy names, else the world. */
export const peerOf = (
  state: Pick<MemoryState, 'ipcache' | 'cidrs'>,
  ip: string,
): { identity: number; twin?: number } => {
  const address = parseIp(ip);
  const { bits128 } = cidrOfAddress(address);
  const managed = state.ipcache.get(prefixText(address, bits128))?.identity;
  let best = -1;
  let cidr: number | undefined;
  for (const [text, identity] of state.cidrs) {
    const prefix = parseCidr(text);
    if (!cidrContainsIp(prefix, address) || prefix.bits <= best) continue;
    best = prefix.bits;
    cidr = identity;
  }
  const { IDENTITY_SCOPE_IPBLOCK, IDENTITY_WORLD_IPV4 } = weir_identity;
  const twin = cidr === undefined ? undefined : (IDENTITY_SCOPE_IPBLOCK | (cidr & 0xffffff)) >>> 0;
  return { identity: managed ?? cidr ?? IDENTITY_WORLD_IPV4, ...(managed && twin ? { twin } : {}) };
};

/** Enough probes to tell policies over few identities and ports apart. */
export const PROBES: readonly Probe[] = [true, false].flatMap((egress) =>
  [2, 300, 301, 302].flatMap((identity) =>
    [6, 17].flatMap((protocol) => [79, 80, 81, 443, 8080].map((port) => ({ egress, identity, protocol, port }))),
  ),
);
