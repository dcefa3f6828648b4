// SPDX-License-Identifier: Apache-2.0
/**
 * Who may talk to whom under a list of policies, from their hand-written meanings: both ends are asked, a deny wins
 * over every allow, and a direction that nobody restricted is open (EVAL-01, 04, POL-03).
 */
import type { L4, MatrixPolicy, Party } from './policies.ts';

export interface Expectation {
  readonly egress: boolean;
  readonly ingress: boolean;
  readonly allowed: boolean;
}

const judge = (
  policies: readonly MatrixPolicy[],
  workload: Party,
  peer: Party,
  l4: L4,
  direction: 'ingress' | 'egress',
): boolean => {
  const selected = policies.map((p) => p.meaning).filter((m) => m.selects(workload));
  const deny = direction === 'ingress' ? ('ingressDeny' as const) : ('egressDeny' as const);
  if (selected.some((m) => m[deny]?.some((rule) => rule(peer, l4)))) return false;
  if (selected.some((m) => m[direction]?.some((rule) => rule(peer, l4)))) return true;
  const restricted = selected.some((m) => m[direction] !== undefined || (m[deny] !== undefined && !m.noDefaultDeny));
  return !restricted;
};

export const expectation = (policies: readonly MatrixPolicy[], from: Party, to: Party, l4: L4): Expectation => {
  const egress = judge(policies, from, to, l4, 'egress');
  const ingress = judge(policies, to, from, l4, 'ingress');
  return { egress, ingress, allowed: egress && ingress };
};
