// SPDX-License-Identifier: Apache-2.0
/** Which hosts and workloads a policy is for. */
import { createSelector, matches } from '@weir/policy-engine/reading';
import type { RuntimePolicy, Scope, WorkloadFilter } from './model.ts';

/** `labels` as key=value; undefined: not known, and then the host is one of them, because leaving it out would open it. */
export const hostsMatch = ({ nodes }: Scope, labels: readonly string[] | undefined): boolean =>
  nodes === undefined || labels === undefined || matches(createSelector(nodes), labels);

/** `labels` with their source: k8s:app=web. */
export const matchesWorkload = ({ pods, containers }: WorkloadFilter, labels: readonly string[]): boolean =>
  [pods, containers].every((requirements) => !requirements || matches(createSelector(requirements), labels));

/** A policy of a namespace is for workloads of that. */
export const isForWorkload = (
  { kind, namespace = 'default', scope }: RuntimePolicy,
  workload: { readonly labels: readonly string[]; readonly namespace: string },
): boolean =>
  scope.workloads &&
  (kind === 'TracingPolicy' || workload.namespace === namespace) &&
  matchesWorkload(scope, workload.labels);
