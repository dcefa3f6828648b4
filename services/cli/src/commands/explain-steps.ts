// SPDX-License-Identifier: Apache-2.0
/**
 * The way to an explanation's verdict, at one end: what each policy that restricts it says by itself, those that deny first,
 * because a denying rule goes before an allowing one of the same tier, and an allowing one before the default.
 */
import type { ExplainedEnd, ExplainedRule, ExplainInput } from '@weir/policy-engine';
import { explain, withGroups } from '@weir/policy-engine';

export interface Step {
  readonly policy: string;
  readonly says: 'deny' | 'allow' | 'nothing';
  /** Of `nothing`: the default denial. */
  readonly rule?: ExplainedRule;
}

export type Direction = 'egress' | 'ingress';

const stepOf = (policy: string, { reason, verdict, rule }: ExplainedEnd): Step | undefined => {
  const by = rule ? { rule } : {};
  if (reason === 'rule') return { policy, says: verdict, ...by };
  return reason === 'default-deny' ? { policy, says: 'nothing', ...by } : undefined;
};

const ORDER = ['deny', 'allow', 'nothing'];

/** Policies that do not restrict an end are no steps of it. */
export const stepsOf = (input: ExplainInput): Readonly<Record<Direction, readonly Step[]>> => {
  const alone = withGroups(input.policies, input.directory).map((policy) => ({
    key: policy.doc.key,
    ...explain({ ...input, policies: [policy] }),
  }));
  const at = (direction: Direction): Step[] =>
    alone
      .flatMap((one) => stepOf(one.key, one[direction]) ?? [])
      .sort((a, b) => ORDER.indexOf(a.says) - ORDER.indexOf(b.says) || (a.policy < b.policy ? -1 : 1));
  return { egress: at('egress'), ingress: at('ingress') };
};
