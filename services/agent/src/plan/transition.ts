// SPDX-License-Identifier: Apache-2.0
/**
 * How one workload gets from the policy it has to the one it should have. Pure.
 *
 * The datapath reads two things per packet that are written separately: the workload's value (flags, revision) and
 * its policy table. Between the two writes a packet must be judged as before or as after, never by a third policy.
 *
 *   begin   value: flags | new enforce, ipblock and tiers flags, odd revision
 *   swap    table: old -> new, one pointer
 *   commit  value: final flags, even revision
 *
 * - begin changes no verdict: a direction that was not enforced has a catch-all in its old table (@weir/bpf/policy-table),
 *   and the old table has no ipblock entries or other tiers that a flag could make visible. The odd revision says "a change is under
 *   way" to an agent that starts after a kill: whatever was judged meanwhile is judged again, even if it finds the new
 *   table already in place.
 * - swap is the change, atomic. The new table also has its catch-alls, so flags that are still too wide do not matter.
 * - commit changes no verdict of a new connection. Its revision makes conntrack judge every known connection again:
 *   it must come after the swap (or what was judged by the old table would pass for new), and after changes of ipcache
 *   and cidrs (or what was judged by an old identity would).
 * - closing (not ready, lockdown) is one write of the value, first of all. Opening is commit, last of all.
 */
import { weir_workload_flags as flag } from '@weir/bpf';
import { type PolicyTable, samePolicyTable } from '@weir/bpf/policy-table';
import type { WorkloadPolicy } from './model.ts';

/** The fields of struct workload that policy decides. */
export interface PolicyState {
  readonly flags: number;
  readonly revision: number;
  readonly identity: number;
  readonly defaultRuleIngress: number;
  readonly defaultRuleEgress: number;
}

export interface Transition {
  readonly close?: PolicyState;
  readonly begin?: PolicyState;
  readonly swap?: PolicyTable;
  readonly commit?: PolicyState;
}

const { WORKLOAD_READY, WORKLOAD_LOCKDOWN } = flag;
/** Deny everything, whatever the table holds. */
export const LOCKDOWN_FLAGS =
  WORKLOAD_READY | WORKLOAD_LOCKDOWN | flag.WORKLOAD_ENFORCE_INGRESS | flag.WORKLOAD_ENFORCE_EGRESS;
const WIDENING =
  flag.WORKLOAD_ENFORCE_INGRESS | flag.WORKLOAD_ENFORCE_EGRESS | flag.WORKLOAD_IPBLOCK | flag.WORKLOAD_TIERS;

/** Of tables that have what would be: a table without is not asked for it. */
const VIEWS = flag.WORKLOAD_AUDITED | flag.WORKLOAD_PENDING;

/** Even: everything judged under it was judged by one table and one view of the addresses. */
export const nextRevision = (revision: number): number => ((revision | 1) + 1) >>> 0;
const underWay = (revision: number): number => (revision | 1) >>> 0;
const interrupted = (revision: number): boolean => (revision & 1) === 1;

const same = (a: PolicyState, b: PolicyState): boolean =>
  a.flags === b.flags &&
  a.revision === b.revision &&
  a.identity === b.identity &&
  a.defaultRuleIngress === b.defaultRuleIngress &&
  a.defaultRuleEgress === b.defaultRuleEgress;

const closing = (actual: PolicyState, identity: number): Transition => {
  if (!(actual.flags & WORKLOAD_READY)) return {};
  return {
    close: { ...actual, identity, flags: actual.flags & ~WORKLOAD_READY, revision: nextRevision(actual.revision) },
  };
};

const lockingDown = (actual: PolicyState, policy: WorkloadPolicy, identity: number): Transition => {
  const close = { ...actual, identity, flags: policy.flags };
  if (same(close, actual)) return {};
  return { close: { ...close, revision: nextRevision(actual.revision) } };
};

export interface TransitionInput {
  readonly actual: PolicyState;
  /** Undefined: there is none yet. */
  readonly actualTable: PolicyTable | undefined;
  readonly policy: WorkloadPolicy | undefined;
  readonly identity: number;
  /** Identities of known addresses change: connections must be judged again although the table may be the same. */
  readonly rejudge: boolean;
}

export const planTransition = ({ actual, actualTable, policy, identity, rejudge }: TransitionInput): Transition => {
  if (!policy) return closing(actual, identity);
  if (policy.flags & WORKLOAD_LOCKDOWN) return lockingDown(actual, policy, identity);

  const swap = actualTable === undefined || !samePolicyTable(actualTable, policy.table);
  const goal: PolicyState = {
    flags: policy.flags,
    revision: actual.revision,
    identity,
    defaultRuleIngress: policy.defaultRuleIngress,
    defaultRuleEgress: policy.defaultRuleEgress,
  };
  const judgedAgain = swap || rejudge || goal.flags !== actual.flags || goal.identity !== actual.identity;
  const commits = judgedAgain || interrupted(actual.revision);
  const commit = commits ? { ...goal, revision: nextRevision(actual.revision) } : goal;
  const begins = (swap || rejudge) && (actual.flags & WORKLOAD_READY) !== 0;
  return {
    ...(begins ? { begin: beginning(actual, policy) } : {}),
    ...(swap ? { swap: policy.table } : {}),
    ...(same(commit, actual) ? {} : { commit }),
  };
};

const beginning = (actual: PolicyState, policy: WorkloadPolicy): PolicyState => {
  const flags = (actual.flags & ~(VIEWS & ~policy.flags)) | (policy.flags & WIDENING);
  const newly = flags & ~actual.flags;
  return {
    ...actual,
    flags,
    revision: underWay(actual.revision),
    // Rule ids for directions enforced from now on; the others keep theirs until the swap.
    ...(newly & flag.WORKLOAD_ENFORCE_INGRESS ? { defaultRuleIngress: policy.defaultRuleIngress } : {}),
    ...(newly & flag.WORKLOAD_ENFORCE_EGRESS ? { defaultRuleEgress: policy.defaultRuleEgress } : {}),
  };
};
