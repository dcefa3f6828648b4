// SPDX-License-Identifier: Apache-2.0
/**
 * Reading case files: what is missing or of the wrong type ends the reading with its path; a field that nobody knows is
 * noted and left alone (others may keep remarks there), unless it looks like a slip of the pen.
 */
import { nearest, weirError } from '@weir/errors';

export interface Value {
  readonly value: unknown;
  /** `cases[0].steps[1].expect[0].rows`. */
  readonly path: string;
  /** Takes what is odd but harmless. */
  readonly note: (path: string, text: string) => void;
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};

export const wrong = ({ value, path }: Pick<Value, 'value' | 'path'>, message: string, fix: string): never => {
  throw weirError('INVALID_ARGUMENT', `${path}: ${message}`, { field: path, value: shown(value), fix });
};

const child = (of: Value, key: string | number): Value => {
  const plain = typeof key === 'string' && /^[A-Za-z_$][\w$]*$/.test(key);
  const step = typeof key === 'number' ? `[${key}]` : plain ? `.${key}` : `[${JSON.stringify(key)}]`;
  return { ...of, value: (of.value as never)[key], path: of.path === '' ? step.replace(/^\./, '') : of.path + step };
};

export interface Fields {
  readonly self: Value;
  get(name: string): Value | undefined;
  need(name: string): Value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Remarks that need no note. */
const REMARKS = ['description', 'comment', 'note', 'notes', 'why', 'source', '$schema', 'id'];

export const object = (of: Value, known: readonly string[]): Fields => {
  if (!isObject(of.value)) wrong(of, `must be an object, not ${shown(of.value)}`, 'write {...}');
  const written = of.value as Record<string, unknown>;
  for (const name of Object.keys(written)) {
    if (known.includes(name) || REMARKS.includes(name)) continue;
    const meant = nearest(name, known);
    const { path } = child(of, name);
    if (meant !== undefined && written[meant] === undefined)
      wrong(child(of, name), 'is no field here', `write ${meant}`);
    of.note(path, 'is no field of the format and does nothing');
  }
  const get = (name: string): Value | undefined =>
    written[name] === undefined || written[name] === null ? undefined : child(of, name);
  return {
    self: of,
    get,
    need: (name) => get(name) ?? wrong({ value: undefined, path: child(of, name).path }, 'is missing', `add ${name}`),
  };
};

/** Every entry of an object whose keys are names. */
export const entries = (of: Value): [string, Value][] => {
  if (!isObject(of.value)) wrong(of, `must be an object, not ${shown(of.value)}`, 'write {"name": ...}');
  return Object.keys(of.value as object).map((key) => [key, child(of, key)]);
};

export const list = (of: Value): Value[] => {
  if (!Array.isArray(of.value)) wrong(of, `must be a list, not ${shown(of.value)}`, 'write [...]');
  return (of.value as unknown[]).map((_, at) => child(of, at));
};

export const text = (of: Value): string =>
  typeof of.value === 'string' ? of.value : wrong(of, `must be text, not ${shown(of.value)}`, 'write it in quotes');

export const integer = (of: Value, least: number, most: number): number =>
  Number.isInteger(of.value) && (of.value as number) >= least && (of.value as number) <= most
    ? (of.value as number)
    : wrong(of, `must be a whole number from ${least} to ${most}, not ${shown(of.value)}`, 'correct the number');

export const oneOf = <T extends string>(of: Value, known: readonly T[]): T =>
  known.includes(of.value as T)
    ? (of.value as T)
    : wrong(of, `must be one of ${known.join(', ')}, not ${shown(of.value)}`, 'use one of these');

export const json = (of: Value): Readonly<Record<string, unknown>> =>
  isObject(of.value) ? of.value : wrong(of, `must be an object, not ${shown(of.value)}`, 'write the whole document');

export const labels = (of: Value): Record<string, string> =>
  Object.fromEntries(entries(of).map(([key, value]) => [key, text(value)]));
