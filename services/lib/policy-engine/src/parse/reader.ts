// SPDX-License-Identifier: Apache-2.0
/**
 * Strict reading of located trees. Every object names its fields; others are refused by name, with the one that was probably
 * meant, and fields that exist but that this build does not enforce are refused as "not supported yet": a policy must never be
 * accepted and then half enforced. `null` counts as absent, as it does in Kubernetes, but where a shape says that it widens.
 */
import type { Issues, Warnings } from './issues.ts';
import { joinPath, type Located, type LocatedMap } from './located.ts';

export interface Context {
  readonly issues: Issues;
  readonly warnings: Warnings;
}

export interface Shape {
  readonly fields: readonly string[];
  /** Field -> why it is refused. */
  readonly unsupported?: Readonly<Record<string, string>>;
  /** Field -> what its absence means. `null` is refused there: a list that somebody forgot to fill must not open anything. */
  readonly widens?: Readonly<Record<string, string>>;
}

export const NOT_YET = 'is not supported yet';

/** A field that is present: its value, where it stands and what it is called in full. */
export interface Field {
  readonly node: Located;
  readonly keyAt: number;
  readonly path: string;
}

export interface Fields {
  readonly path: string;
  readonly at: number;
  get(name: string): Field | undefined;
}

const describe = (node: Located): string => {
  if (node.kind === 'map') return 'an object';
  if (node.kind === 'list') return 'a list';
  if (node.value === null) return 'empty';
  return typeof node.value === 'string' ? 'text' : `a ${typeof node.value}`;
};

export const scalarOf = (node: Located): unknown => (node.kind === 'scalar' ? node.value : undefined);

const wrongType = (context: Context, field: Field, wanted: string, fix: string): undefined => {
  context.issues.add(field.path, field.node.at, `must be ${wanted}, not ${describe(field.node)}`, {
    value: scalarOf(field.node),
    fix,
  });
  return undefined;
};

/** Edit distance, cut short: enough to tell a slip of the pen from another word. */
const near = (a: string, b: string): boolean => {
  if (Math.abs(a.length - b.length) > 2) return false;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return (row[b.length] as number) <= 2;
};

const guess = (name: string, candidates: readonly string[]): string | undefined => {
  const lower = name.toLowerCase();
  const mirrored = lower.startsWith('from') ? `to${lower.slice(4)}` : lower.replace(/^to/, 'from');
  return (
    candidates.find((candidate) => [lower, mirrored].includes(candidate.toLowerCase())) ??
    (name.length <= 40 ? candidates.find((candidate) => near(candidate.toLowerCase(), lower)) : undefined)
  );
};

const checkKeys = (context: Context, map: LocatedMap, path: string, shape: Shape): void => {
  for (const [name, { keyAt, value }] of map.entries) {
    const field = joinPath(path, name);
    const absent = shape.widens && Object.hasOwn(shape.widens, name) ? shape.widens[name] : undefined;
    if (absent !== undefined && value.kind === 'scalar' && value.value === null) {
      context.issues.add(field, keyAt, `${name} is empty (null), which would mean ${absent}`, {
        value: null,
        fix: `remove ${name} if that is meant, or write what belongs there`,
      });
      continue;
    }
    if (shape.fields.includes(name)) continue;
    const why = shape.unsupported && Object.hasOwn(shape.unsupported, name) ? shape.unsupported[name] : undefined;
    if (why !== undefined) {
      if (value.kind === 'scalar' && value.value === null) continue;
      context.issues.add(field, keyAt, `${name} ${why}`, { value: scalarOf(value), fix: `remove ${name}` });
      continue;
    }
    const meant = guess(name, shape.fields);
    context.issues.add(field, keyAt, `unknown field ${JSON.stringify(name)}`, {
      value: scalarOf(value),
      fix: meant ? `did you mean ${JSON.stringify(meant)}?` : `use one of ${shape.fields.join(', ')}`,
    });
  }
};

/** An object with exactly these fields. */
export const readObject = (context: Context, field: Field, shape: Shape): Fields | undefined => {
  const { node, path } = field;
  if (node.kind !== 'map') return wrongType(context, field, 'an object', `write the fields ${shape.fields.join(', ')}`);
  checkKeys(context, node, path, shape);
  return {
    path,
    at: node.at,
    get(name) {
      const entry = node.entries.get(name);
      if (!entry || (entry.value.kind === 'scalar' && entry.value.value === null)) return undefined;
      return { node: entry.value, keyAt: entry.keyAt, path: joinPath(path, name) };
    },
  };
};

/** Elements of a list; an empty element (`-` alone) is refused, because it would silently mean "everything". */
export const readList = (context: Context, field: Field): Field[] | undefined => {
  const { node, path } = field;
  if (node.kind !== 'list') return wrongType(context, field, 'a list', 'write a list, each element after "- "');
  const fields: Field[] = [];
  for (const [index, item] of node.items.entries()) {
    const element: Field = { node: item, keyAt: item.at, path: `${path}[${index}]` };
    if (item.kind === 'scalar' && item.value === null) {
      context.issues.add(element.path, item.at, 'is empty', {
        value: null,
        fix: 'write {} if it is meant to be empty, or remove it',
      });
    } else fields.push(element);
  }
  return fields;
};

export const readString = (context: Context, field: Field): string | undefined => {
  const value = scalarOf(field.node);
  if (typeof value === 'string') return value;
  const fix = typeof value === 'number' || typeof value === 'boolean' ? `put it in quotes: "${value}"` : 'write text';
  return wrongType(context, field, 'text', fix);
};

export const readBoolean = (context: Context, field: Field): boolean | undefined => {
  const value = scalarOf(field.node);
  return typeof value === 'boolean' ? value : wrongType(context, field, 'true or false', 'write true or false');
};

export const readInteger = (context: Context, field: Field, least: number, most: number): number | undefined => {
  const value = scalarOf(field.node);
  if (typeof value !== 'number') {
    return wrongType(context, field, 'a number', `write a whole number from ${least} to ${most}`);
  }
  if (!Number.isInteger(value)) {
    context.issues.add(field.path, field.node.at, `${value} is not a whole number`, {
      value,
      fix: `use ${least} to ${most}`,
    });
    return undefined;
  }
  if (value >= least && value <= most) return value;
  context.issues.add(field.path, field.node.at, `${value} is out of range`, { value, fix: `use ${least} to ${most}` });
  return undefined;
};

export const readOneOf = <T extends string>(context: Context, field: Field, allowed: readonly T[]): T | undefined => {
  const value = readString(context, field);
  if (value === undefined) return undefined;
  if ((allowed as readonly string[]).includes(value)) return value as T;
  const meant = guess(value, allowed);
  context.issues.add(field.path, field.node.at, `${JSON.stringify(value)} is not one of ${allowed.join(', ')}`, {
    value,
    fix: meant ? `write ${meant}` : `use one of ${allowed.join(', ')}`,
  });
  return undefined;
};

export const missing = (context: Context, parent: Fields, name: string, fix: string): undefined => {
  context.issues.add(joinPath(parent.path, name), parent.at, `${name} is required`, { fix });
  return undefined;
};

/** `apiVersion` must be the one of the kind. */
export const refuseVersion = (context: Context, root: Fields, kind: string, version: string): void => {
  const field = root.get('apiVersion');
  if (!field) {
    missing(context, root, 'apiVersion', `write apiVersion: ${version}`);
    return;
  }
  const value = scalarOf(field.node);
  if (value === version) return;
  const message = `apiVersion ${JSON.stringify(value)} has no kind ${kind}`;
  context.issues.add(field.path, field.node.at, message, { value, fix: `write ${version}` });
};
