// SPDX-License-Identifier: Apache-2.0
/**
 * The labels by which workloads are named in a suggested policy: those that all replicas share and the next one will have too.
 * Left out is what orchestrators give to a single replica or a single roll-out, by its key or by the look of its value.
 */
import { NAMESPACE_LABEL, NAMESPACE_LABELS_PREFIX, parseLabel } from '@weir/policy-engine';

const OF_A_REPLICA: readonly RegExp[] = [
  /^pod-template-(hash|generation)$/,
  /^controller-revision-hash$/,
  /(^|\/)(controller-uid|job-name|job-completion-index|pod-name|pod-index)$/,
  /^com\.docker\.compose\.(container-number|config-hash|image|version)$/,
  /^com\.hashicorp\.nomad\.(alloc_id|node_id|node_name)$/,
  /(^|[./_-])(uuid|uid|instance-id|container-id|alloc-id|hostname)$/,
];
const UUID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
/** Letters and digits mixed, as hashes are; a version or a word is not. */
const HASH = /^(?=.*\d)(?=.*[a-f])[0-9a-f]{8,64}$/i;
/** `name-7d9c5b8f6d-x2x4z`: what a ReplicaSet calls its pods. */
const POD_NAME = /-[0-9a-z]{8,10}-[0-9bcdfghjklmnpqrstvwxz]{5}$/;
/** As the parser takes them. */
const VALUE = /^(|[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)$/;
const KEY = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;

export interface StableLabels {
  readonly namespace: string;
  /** As in matchLabels; sorted by key. */
  readonly labels: Readonly<Record<string, string>>;
  /** Equal for workloads that are named alike. */
  readonly key: string;
}

const isOfAReplica = (key: string, value: string): boolean =>
  OF_A_REPLICA.some((pattern) => pattern.test(key)) || UUID.test(value) || HASH.test(value) || POD_NAME.test(value);

/** Undefined: there is no namespace or no label to name it by. */
export const stableLabels = (labels: readonly string[]): StableLabels | undefined => {
  let namespace: string | undefined;
  const own: (readonly [string, string])[] = [];
  const replicas: (readonly [string, string])[] = [];
  for (const { source, key, value } of labels.map(parseLabel)) {
    if (source === 'k8s' && key === NAMESPACE_LABEL) namespace = value;
    else if (!key.startsWith(NAMESPACE_LABELS_PREFIX) && KEY.test(key) && VALUE.test(value)) {
      const name = source === 'k8s' || source === 'any' ? key : `${source}:${key}`;
      (isOfAReplica(key, value) ? replicas : own).push([name, value]);
    }
  }
  // Nothing else tells it apart: better this replica alone than its whole namespace.
  const chosen = own.length > 0 ? own : replicas;
  if (namespace === undefined || chosen.length === 0) return undefined;
  const sorted = chosen.sort(([a], [b]) => (a < b ? -1 : 1));
  return { namespace, labels: Object.fromEntries(sorted), key: JSON.stringify([namespace, sorted]) };
};
