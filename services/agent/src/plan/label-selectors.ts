// SPDX-License-Identifier: Apache-2.0
/** Selectors of configuration documents, in the form that all of the project's selectors have. */
import { type LabelSelector, type LabelTerm, selectorMatches } from '@weir/net';
import type { LabelSelector as SelectorDocument } from '@weir/proto/weir/bus/v1/config_pb.js';

const OPERATORS: Readonly<Record<string, (values: readonly string[]) => Omit<LabelTerm, 'key'>>> = {
  In: (values) => ({ not: false, values }),
  NotIn: (values) => ({ not: true, values }),
  Exists: () => ({ not: false }),
  DoesNotExist: () => ({ not: true }),
};

/** What is wrong with it; empty when all is well. */
export const selectorIssues = (field: string, selector: SelectorDocument | undefined): string[] =>
  (selector?.matchExpressions ?? [])
    .filter(({ operator }) => !(operator in OPERATORS))
    .map(
      ({ key, operator }) =>
        `${field}: operator "${operator}" of ${key} is none of ${Object.keys(OPERATORS).join(', ')}`,
    );

const compiled = new WeakMap<SelectorDocument, LabelSelector>();

/** `labels` as key=value, with their source where they have one. A selector that is not given selects everything. */
export const isSelected = (selector: SelectorDocument | undefined, labels: readonly string[]): boolean => {
  if (!selector) return true;
  let known = compiled.get(selector);
  if (!known) {
    const terms = [
      ...Object.entries(selector.matchLabels).map(([key, value]): LabelTerm => ({ key, not: false, values: [value] })),
      ...selector.matchExpressions.map(
        ({ key, operator, values }): LabelTerm => ({
          key,
          ...(OPERATORS[operator]?.(values) ?? { not: false, values: [] }),
        }),
      ),
    ];
    known = { text: '', terms };
    compiled.set(selector, known);
  }
  return selectorMatches(known, labels);
};

export const labelTexts = (labels: Readonly<Record<string, string>>): string[] =>
  Object.entries(labels).map(([key, value]) => `${key}=${value}`);
