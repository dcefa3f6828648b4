// SPDX-License-Identifier: Apache-2.0
/** An entry of a workload's policy as a test writes it. */
import {
  policy_entry,
  policy_key,
  weir_policy_section as SECTION,
  weir_policy_verdict as VERDICT,
  weir_policy_bits,
} from '../../gen/index.ts';

const TIERS = {
  Admin: SECTION.POLICY_TIER_ADMIN,
  Normal: SECTION.POLICY_TIER_NORMAL,
  Baseline: SECTION.POLICY_TIER_BASELINE,
  Default: SECTION.POLICY_TIER_DEFAULT,
} as const;

const VIEWS = {
  enforced: 0,
  audited: SECTION.POLICY_VIEW_AUDITED,
  pending: SECTION.POLICY_VIEW_PENDING,
} as const;

export interface Rule {
  readonly egress?: boolean;
  /** 0 = any */
  readonly identity?: number;
  readonly protocol?: number;
  readonly port?: number;
  /** Bits of the port that matter; 16 unless told, 0 without a port. */
  readonly portBits?: number;
  readonly deny?: boolean;
  /** How a deny is answered; in silence unless told. */
  readonly response?: 'RESET' | 'ICMP';
  /** Leaves it to the next tier. */
  readonly pass?: boolean;
  /** Default: the default deny of a view. */
  readonly tier?: 'Admin' | 'Baseline' | 'Default';
  /** Of what would be, instead of what is enforced. */
  readonly view?: 'audited' | 'pending';
  /** Within its tier the highest decides. */
  readonly rank?: number;
  readonly id: number;
}

export const policyKey = (rule: Rule): Buffer => {
  const { egress = false, identity = 0, protocol = 0, port = 0 } = rule;
  const portBits = rule.portBits ?? (rule.port === undefined ? 0 : 16);
  return policy_key.encode({
    prefixlen: weir_policy_bits.POLICY_STATIC_BITS + (protocol ? 8 + portBits : 0),
    identity,
    section: (egress ? SECTION.POLICY_EGRESS : 0) | TIERS[rule.tier ?? 'Normal'] | VIEWS[rule.view ?? 'enforced'],
    protocol,
    port_hi: port >> 8,
    port_lo: port & 0xff,
  });
};

const portBitsOf = ({ portBits, port }: Rule): number => portBits ?? (port === undefined ? 0 : 16);

const denial = ({ response }: Rule): number => (response ? VERDICT[`POLICY_DENY_${response}`] : VERDICT.POLICY_DENY);

export const policyEntry = (rule: Rule): Buffer =>
  policy_entry.encode({
    rule_id: rule.id,
    verdict: rule.pass ? VERDICT.POLICY_PASS : rule.deny ? denial(rule) : VERDICT.POLICY_ALLOW,
    rank: rule.rank ?? 0,
    prefix_bits: rule.protocol ? 8 + portBitsOf(rule) : 0,
    packets: 0n,
    bytes: 0n,
  });
