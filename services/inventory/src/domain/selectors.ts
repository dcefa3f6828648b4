// SPDX-License-Identifier: Apache-2.0
/** Selectors of hosts and workloads by their labels, as Kubernetes has them (weir.bus.v1.LabelSelector). */
import { type Static, Type } from 'typebox';
import type { Issues } from './refused.ts';

const closed = { additionalProperties: false };
const EXPRESSIONS_MAX = 64;

const parts = {
  match_labels: Type.Optional(Type.Record(Type.String(), Type.String(), { maxProperties: EXPRESSIONS_MAX })),
  match_expressions: Type.Optional(
    Type.Array(
      Type.Object(
        {
          key: Type.String({ description: 'With its source where it has one: app, k8s:app' }),
          operator: Type.Union([
            Type.Literal('In'),
            Type.Literal('NotIn'),
            Type.Literal('Exists'),
            Type.Literal('DoesNotExist'),
          ]),
          values: Type.Optional(Type.Array(Type.String(), { maxItems: EXPRESSIONS_MAX })),
        },
        closed,
      ),
      { maxItems: EXPRESSIONS_MAX },
    ),
  ),
};

export const LabelSelectorSchema = Type.Object(parts, {
  ...closed,
  description: 'All that is given must hold; {} selects everything',
});
export type LabelSelector = Static<typeof LabelSelectorSchema>;

export const WorkloadSelectorSchema = Type.Object(
  { ...parts, hosts: Type.Optional(LabelSelectorSchema) },
  { ...closed, description: 'All that is given must hold; hosts: only workloads on hosts that it selects' },
);
export type WorkloadSelector = Static<typeof WorkloadSelectorSchema>;

const KEY = /^(?:[a-z][a-z0-9-]*:)?[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,315}[A-Za-z0-9])?$/;
const VALUE = /^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
const KEY_FIX = 'write it such as app, k8s:app or topology.kubernetes.io/zone';
const VALUE_FIX = 'use at most 63 letters, digits, - _ . beginning and ending with a letter or digit';

export const checkSelector = (path: string, selector: LabelSelector, issues: Issues): void => {
  for (const [key, value] of Object.entries(selector.match_labels ?? {})) {
    if (!KEY.test(key)) issues.add(`${path}.match_labels.${key}`, key, 'is not a label key', KEY_FIX);
    if (!VALUE.test(value)) issues.add(`${path}.match_labels.${key}`, value, 'is not a label value', VALUE_FIX);
  }
  for (const [i, { key, operator, values = [] }] of (selector.match_expressions ?? []).entries()) {
    const at = `${path}.match_expressions[${i}]`;
    if (!KEY.test(key)) issues.add(`${at}.key`, key, 'is not a label key', KEY_FIX);
    const listed = operator === 'In' || operator === 'NotIn';
    if (listed && values.length === 0)
      issues.add(`${at}.values`, values, `are needed for ${operator}`, 'name one at least');
    if (!listed && values.length > 0)
      issues.add(`${at}.values`, values[0], `mean nothing for ${operator}`, 'leave them out');
    for (const [j, value] of values.entries()) {
      if (!VALUE.test(value)) issues.add(`${at}.values[${j}]`, value, 'is not a label value', VALUE_FIX);
    }
  }
};

export const checkWorkloadSelector = (path: string, { hosts, ...labels }: WorkloadSelector, issues: Issues): void => {
  checkSelector(path, labels, issues);
  if (hosts !== undefined) checkSelector(`${path}.hosts`, hosts, issues);
};

/** Labels of workloads and services are written without a source, selectors may have it. */
const bare = (key: string): string => key.replace(/^(?:k8s|any):/, '');

/** What is given as equal. */
export const equalLabels = ({ match_labels = {} }: LabelSelector): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(match_labels).map(([key, value]) => [bare(key), value]));

/** Does it select somebody with these (own, not security) labels? */
export const selects = (selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector.match_labels ?? {}).every(([key, value]) => labels[bare(key)] === value) &&
  (selector.match_expressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[bare(key)];
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    const listed = value !== undefined && values.includes(value);
    return operator === 'In' ? listed : !listed;
  });
