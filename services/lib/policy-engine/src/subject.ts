// SPDX-License-Identifier: Apache-2.0
/**
 * Whom a policy is for. Hosts have the label `reserved:host` beside their own, which nobody may give to a workload: what selects
 * hosts never selects a workload by the same labels, and the other way round.
 */
import { labelSet } from './labels.ts';
import type { PolicySpec } from './model.ts';
import { matchesSet } from './selector.ts';

export const HOST_LABEL = 'reserved:host';

/** As policies look at a host: its own labels, which have no source in inventory, as Kubernetes' of a node. */
export const hostLabels = (labels: Readonly<Record<string, string>>): readonly string[] => [
  HOST_LABEL,
  ...Object.entries(labels).map(([key, value]) => `k8s:${key}=${value}`),
];

export const isSubject = ({ subject, onHosts = false }: PolicySpec, labels: readonly string[]): boolean => {
  const set = labelSet(labels);
  const isHost = set.byKey.get('host')?.some(({ source }) => source === 'reserved') ?? false;
  return isHost === onHosts && matchesSet(subject, set);
};
