// SPDX-License-Identifier: Apache-2.0
/**
 * What does not fit is never enforced in part: the workload is denied everything, and says why.
 *
 * A full ipcache concerns only some workloads. An address without room in it is the world to the datapath, or the CIDR
 * prefix that it lies in. Who admits neither, and denies nothing to the address's identity in particular, then refuses
 * what it would have allowed and allows nothing more: it stays as it is. Everybody else is locked down.
 */
import { weir_identity } from '@weir/bpf';
import { buildPolicyTable } from '@weir/bpf/policy-table';
import { type PolicyEntry, scopeOf } from '@weir/policy-engine';
import type { DesiredWorkload, DocumentError, WorkloadPolicy } from './model.ts';
import { LOCKDOWN_FLAGS } from './transition.ts';

const { IDENTITY_WORLD, IDENTITY_WORLD_IPV4, IDENTITY_WORLD_IPV6, IDENTITY_SCOPE_CIDR, IDENTITY_UNKNOWN } =
  weir_identity;
const WORLD: ReadonlySet<number> = new Set([IDENTITY_WORLD, IDENTITY_WORLD_IPV4, IDENTITY_WORLD_IPV6]);

const EMPTY = buildPolicyTable([], { ingress: true, egress: true });
const NOBODY: WorkloadPolicy['depends'] = { admitsOutside: false, deniedIdentities: new Set() };

export const lockdown = (why: string, entries: number): WorkloadPolicy => ({
  table: EMPTY,
  flags: LOCKDOWN_FLAGS,
  defaultRuleIngress: 0,
  defaultRuleEgress: 0,
  entries,
  enabled: 'both',
  lockdown: why,
  unjudged: '',
  depends: NOBODY,
});

/** How the verdicts of a policy depend on knowing whose an address is. */
export const dependsOf = (entries: readonly PolicyEntry[]): WorkloadPolicy['depends'] => ({
  admitsOutside: entries.some(
    ({ verdict, identity }) =>
      verdict === 'allow' && (WORLD.has(identity) || scopeOf(identity) === IDENTITY_SCOPE_CIDR),
  ),
  deniedIdentities: new Set(
    // Who is passed on by a higher tier is not allowed by what it says of everybody.
    entries.flatMap(({ verdict, identity }) =>
      verdict !== 'allow' && identity !== IDENTITY_UNKNOWN ? [identity] : [],
    ),
  ),
});

/** The workload's policy while nobody knows the addresses of these identities. */
export const withoutAddressesOf = (policy: WorkloadPolicy, identities: ReadonlySet<number>): WorkloadPolicy => {
  const { admitsOutside, deniedIdentities } = policy.depends;
  const isWider = admitsOutside || [...identities].some((identity) => deniedIdentities.has(identity));
  if (identities.size === 0 || !isWider) return policy;
  return lockdown(
    'some addresses that its policy tells apart have no room in the ipcache of this host',
    policy.entries,
  );
};

/** Of a workload in lockdown, or with views that do not fit, as errors of its document. */
export const lockdownErrors = (
  { subject, revision }: Pick<DocumentError, 'subject' | 'revision'>,
  { id, policy }: Pick<DesiredWorkload, 'id' | 'policy'>,
): DocumentError[] => {
  if (policy?.unjudged) {
    const message = `workload ${id}: ${policy.unjudged}; its flows do not tell it, what is enforced is whole`;
    return [{ subject, revision, code: 'TOO_LARGE', message }];
  }
  if (!policy?.lockdown) return [];
  const message = `workload ${id} is in lockdown, everything to and from it is denied: ${policy.lockdown}`;
  return [{ subject, revision, code: 'TOO_LARGE', message }];
};
