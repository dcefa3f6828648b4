// SPDX-License-Identifier: Apache-2.0
/**
 * Security labels: `source:key=value`, such as `k8s:app=web` or `reserved:host`. A set may hold one key from several
 * sources; a selector that names no source looks at all of them.
 */

export interface Label {
  readonly source: string;
  readonly key: string;
  readonly value: string;
}

export interface LabelSet {
  /** Key -> labels with that key, one per source. */
  readonly byKey: ReadonlyMap<string, readonly Label[]>;
}

/** The source of a label that names none, and of a selector that takes every source. */
export const ANY_SOURCE = 'any';

export const parseLabel = (text: string): Label => {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  const value = equals < 0 ? '' : text.slice(equals + 1);
  const colon = name.indexOf(':');
  return colon < 0
    ? { source: ANY_SOURCE, key: name, value }
    : { source: name.slice(0, colon), key: name.slice(colon + 1), value };
};

const parsed = new WeakMap<readonly string[], LabelSet>();

/** Parsed once per array object: identities keep theirs, so a selector costs lookups only. */
export const labelSet = (labels: readonly string[]): LabelSet => {
  const known = parsed.get(labels);
  if (known) return known;
  const byKey = new Map<string, Label[]>();
  for (const text of labels) {
    const label = parseLabel(text);
    const same = byKey.get(label.key);
    if (same) same.push(label);
    else byKey.set(label.key, [label]);
  }
  const set: LabelSet = { byKey };
  parsed.set(labels, set);
  return set;
};
