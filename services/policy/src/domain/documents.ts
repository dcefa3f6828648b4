// SPDX-License-Identifier: Apache-2.0
/** Documents as data: whether two mean the same, and how one reads. The order of keys has no meaning, that of lists has. */
import { stringify } from 'yaml';

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, part]) => [key, sorted(part)]));
};

/** Equal exactly for documents that mean the same. */
export const canonicalText = (document: unknown): string => JSON.stringify(sorted(document));

export const sameDocument = (a: unknown, b: unknown): boolean => canonicalText(a) === canonicalText(b);

/** For people and for diffs: keys in one order, so that only differences differ. */
export const documentText = (document: unknown): string =>
  stringify(sorted(document), { lineWidth: 0, aliasDuplicateObjects: false });
