// SPDX-License-Identifier: Apache-2.0
/**
 * Label selectors: requirements that all must hold. Kubernetes' meaning: `NotIn` and `DoesNotExist` also hold where the key
 * is absent. `text` is canonical (order and spelling do not matter), so it serves as the key of the selector cache.
 */
import { ANY_SOURCE, type Label, type LabelSet, labelSet } from './labels.ts';

export type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';

export interface Requirement {
  /** 'any' looks at labels of every source. */
  readonly source: string;
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

export interface Selector {
  readonly requirements: readonly Requirement[];
  readonly text: string;
}

const requirementText = ({ source, key, operator, values }: Requirement): string => {
  const name = `${source}:${key}`;
  switch (operator) {
    case 'Exists':
      return name;
    case 'DoesNotExist':
      return `!${name}`;
    case 'In':
      return `${name} in (${[...values].sort().join(',')})`;
    case 'NotIn':
      return `${name} notin (${[...values].sort().join(',')})`;
  }
};

export const createSelector = (requirements: readonly Requirement[]): Selector => ({
  requirements,
  text: [...new Set(requirements.map(requirementText))].sort().join(' & '),
});

/** `key: value` of matchLabels. `k8s:app` names the source; a bare key takes every source. */
export const splitKey = (text: string, defaultSource: string): { source: string; key: string } => {
  const colon = text.indexOf(':');
  return colon < 0
    ? { source: defaultSource, key: text }
    : { source: text.slice(0, colon) || defaultSource, key: text.slice(colon + 1) };
};

/** Does a label of the right source exist, with one of the values when they are asked for? No allocation: this is the hot loop. */
const finds = (
  labels: readonly Label[] | undefined,
  source: string,
  values: readonly string[] | undefined,
): boolean => {
  if (!labels) return false;
  for (const label of labels) {
    if (source !== ANY_SOURCE && label.source !== source) continue;
    if (!values || values.includes(label.value)) return true;
  }
  return false;
};

const holds = ({ key, source, operator, values }: Requirement, set: LabelSet): boolean => {
  const labels = set.byKey.get(key);
  switch (operator) {
    case 'Exists':
      return finds(labels, source, undefined);
    case 'DoesNotExist':
      return !finds(labels, source, undefined);
    case 'In':
      return finds(labels, source, values);
    case 'NotIn':
      return !finds(labels, source, values);
  }
};

export const matchesSet = (selector: Selector, set: LabelSet): boolean => {
  for (const requirement of selector.requirements) if (!holds(requirement, set)) return false;
  return true;
};

export const matches = (selector: Selector, labels: readonly string[]): boolean =>
  matchesSet(selector, labelSet(labels));

export const requireLabel = (source: string, key: string, value: string): Requirement => ({
  source,
  key,
  operator: 'In',
  values: [value],
});

export const requireKey = (source: string, key: string): Requirement => ({
  source,
  key,
  operator: 'Exists',
  values: [],
});
