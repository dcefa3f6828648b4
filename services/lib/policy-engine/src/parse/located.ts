// SPDX-License-Identifier: Apache-2.0
/**
 * A document as a tree that remembers where each part stands, whatever it was written in (YAML, JSON text, a plain object
 * from the bus). Parts may be shared (YAML aliases), so each knows how many nodes and levels it stands for; both are
 * bounded before anything walks the tree.
 */
import type { Issues } from './issues.ts';

/** Offset into the text, -1 when there is no text. */
export type Offset = number;

interface Part {
  readonly at: Offset;
  /** Including all below, aliases counted as often as they are used. */
  readonly nodes: number;
  readonly depth: number;
}

export interface LocatedMap extends Part {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, { readonly keyAt: Offset; readonly value: Located }>;
}

export interface LocatedList extends Part {
  readonly kind: 'list';
  readonly items: readonly Located[];
}

export interface LocatedScalar extends Part {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
}

export type Located = LocatedMap | LocatedList | LocatedScalar;

/** Deeper than any policy by far. */
export const MAX_DEPTH = 64;
/** Of one document, and of all together; aliases count as often as they are used. */
export const MAX_NODES = 100_000;
export const MAX_TEXT_NODES = 1_000_000;

export const joinPath = (path: string, key: string): string => {
  const part = /^[A-Za-z0-9_-]+$/.test(key) ? key : `[${JSON.stringify(key)}]`;
  return part.startsWith('[') || path === '' ? `${path}${part}` : `${path}.${part}`;
};

export const scalar = (at: Offset, value: LocatedScalar['value']): LocatedScalar => ({
  kind: 'scalar',
  at,
  nodes: 1,
  depth: 1,
  value,
});

export const list = (at: Offset, items: readonly Located[]): LocatedList => {
  let nodes = 1;
  let depth = 0;
  for (const item of items) {
    nodes += item.nodes;
    depth = Math.max(depth, item.depth);
  }
  return { kind: 'list', at, items, nodes, depth: depth + 1 };
};

/** Collects the entries of one map; refuses `__proto__` and keys given twice. */
export const mapBuilder = (at: Offset, path: string, issues: Issues) => {
  const entries = new Map<string, { keyAt: Offset; value: Located }>();
  let nodes = 1;
  let depth = 0;
  return {
    add(key: string, keyAt: Offset, value: Located): void {
      const field = joinPath(path, key);
      if (key === '__proto__') {
        issues.add(field, keyAt, 'the key "__proto__" is not allowed', { fix: 'remove it' });
        return;
      }
      const first = entries.get(key);
      if (first) {
        const where = issues.locate(first.keyAt);
        issues.add(field, keyAt, `the key ${JSON.stringify(key)} is given twice`, {
          fix: where ? `remove one of them; the first stands on line ${where.line}` : 'remove one of them',
        });
        return;
      }
      entries.set(key, { keyAt, value });
      nodes += 1 + value.nodes;
      depth = Math.max(depth, value.depth);
    },
    done: (): LocatedMap => ({ kind: 'map', at, entries, nodes, depth: depth + 1 }),
  };
};

/** Numbers that JavaScript would silently change are refused wherever they stand. */
export const checkNumber = (value: number, source: string, at: Offset, path: string, issues: Issues): void => {
  if (Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return;
  const shown = source.length > 40 ? `${source.slice(0, 40)}…` : source;
  issues.add(path, at, Number.isNaN(value) ? 'is not a number (NaN)' : `the number ${shown} is too large`, {
    value: shown,
    fix: `use a number from -${Number.MAX_SAFE_INTEGER} to ${Number.MAX_SAFE_INTEGER}`,
  });
};

/** Plain JSON of a part. Call only on what is within MAX_NODES. */
export const toPlain = (part: Located): unknown => {
  switch (part.kind) {
    case 'scalar':
      return part.value;
    case 'list':
      return part.items.map(toPlain);
    case 'map': {
      const plain: Record<string, unknown> = {};
      for (const [key, { value }] of part.entries) plain[key] = toPlain(value);
      return plain;
    }
  }
};

/** A plain object (from the bus or a request body) as a tree without positions. */
export const fromPlain = (value: unknown, path: string, issues: Issues, depth = 1): Located => {
  if (depth > MAX_DEPTH) {
    issues.add(path, -1, `is nested deeper than ${MAX_DEPTH} levels`, { fix: 'flatten the document' });
    return scalar(-1, null);
  }
  if (value === null || value === undefined) return scalar(-1, null);
  if (typeof value === 'string' || typeof value === 'boolean') return scalar(-1, value);
  if (typeof value === 'number') {
    checkNumber(value, String(value), -1, path, issues);
    return scalar(-1, value);
  }
  if (Array.isArray(value)) {
    return list(
      -1,
      value.map((item, index) => fromPlain(item, `${path}[${index}]`, issues, depth + 1)),
    );
  }
  if (typeof value === 'object') {
    const builder = mapBuilder(-1, path, issues);
    for (const [key, item] of Object.entries(value)) {
      if (item !== undefined) builder.add(key, -1, fromPlain(item, joinPath(path, key), issues, depth + 1));
    }
    return builder.done();
  }
  issues.add(path, -1, `a ${typeof value} is no JSON value`, {
    fix: 'use text, numbers, true, false, lists and objects',
  });
  return scalar(-1, null);
};
