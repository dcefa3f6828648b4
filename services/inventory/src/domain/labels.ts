// SPDX-License-Identifier: Apache-2.0
/**
 * Labels of workloads and namespaces, and the security labels made of them. A user never sets a label in a
 * reserved prefix: policies trust those to say where a workload is, not what somebody claims (S17).
 */
import { createHash } from 'node:crypto';
import { type FieldIssue, weirError } from '@weir/errors';

export type Labels = Readonly<Record<string, string>>;

const NAME = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;
const DNS_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Limits of Kubernetes' label syntax, which policies are written in. */
const MAX_NAME = 63;
const MAX_PREFIX = 253;
const MAX_VALUE = 63;
/** Enough for any workload seen; a bound on what one identity may cost every agent. */
const MAX_LABELS = 64;

const RESERVED_PREFIXES = ['io.cilium.', 'io.kubernetes.pod.', 'io.weir.'];
export const NAMESPACE_LABEL = 'io.kubernetes.pod.namespace';
export const NAMESPACE_LABELS_PREFIX = 'io.cilium.k8s.namespace.labels.';
export const METADATA_NAME = 'kubernetes.io/metadata.name';

const keyProblem = (key: string): string | undefined => {
  if (key.includes(':')) return 'a label key has no source prefix (such as k8s: or reserved:)';
  if (RESERVED_PREFIXES.some((prefix) => key.startsWith(prefix))) return 'this prefix is reserved for Weir itself';
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  if (prefix !== undefined && (prefix.length > MAX_PREFIX || !DNS_NAME.test(prefix))) {
    return 'what stands before the slash must be a DNS name';
  }
  if (name.length > MAX_NAME || !NAME.test(name)) {
    return `a key is at most ${MAX_NAME} letters, digits, - _ . and begins and ends with a letter or digit`;
  }
  return undefined;
};

/** A namespace may repeat the label that says its name, not contradict it. */
const nameIssue = (labels: Labels, field: string, namespace: string): FieldIssue[] => {
  const given = labels[METADATA_NAME];
  if (given === undefined || given === namespace) return [];
  const fix = `leave it out, or give ${namespace}`;
  return [
    { path: `${field}.${METADATA_NAME}`, message: 'this is always the name of the namespace', value: given, fix },
  ];
};

/** Throws INVALID_ARGUMENT that lists every wrong label. `namespace`: they are that namespace's. */
export const checkLabels = (labels: Labels, field: string, namespace?: string): void => {
  const issues: FieldIssue[] = namespace === undefined ? [] : nameIssue(labels, field, namespace);
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) {
    issues.push({ path: field, message: `${entries.length} labels are too many`, fix: `use at most ${MAX_LABELS}` });
  }
  for (const [key, value] of entries) {
    const problem = keyProblem(key);
    if (problem) issues.push({ path: `${field}.${key}`, message: problem, value: key, fix: 'choose another key' });
    if (value !== '' && (value.length > MAX_VALUE || !NAME.test(value))) {
      issues.push({
        path: `${field}.${key}`,
        message: `a value is at most ${MAX_VALUE} letters, digits, - _ . and begins and ends with a letter or digit`,
        value,
        fix: 'shorten it or replace other characters',
      });
    }
  }
  const [first] = issues;
  if (first) throw weirError('INVALID_ARGUMENT', `${first.path}: ${first.message}`, { field, fix: first.fix, issues });
};

/** The set an identity stands for: sorted, with sources, as policies select them. */
export const securityLabels = (workload: Labels, namespace: string, namespaceLabels: Labels): string[] => {
  const all: Record<string, string> = { ...workload, [NAMESPACE_LABEL]: namespace };
  for (const [key, value] of Object.entries({ ...namespaceLabels, [METADATA_NAME]: namespace })) {
    all[`${NAMESPACE_LABELS_PREFIX}${key}`] = value;
  }
  return Object.entries(all)
    .map(([key, value]) => `k8s:${key}=${value}`)
    .sort();
};

/** Key of a set of labels, which is sorted. No label holds a newline. */
export const labelsHash = (labels: readonly string[]): Buffer =>
  createHash('sha256')
    .update(labels.map((label) => `${label}\n`).join(''))
    .digest();
