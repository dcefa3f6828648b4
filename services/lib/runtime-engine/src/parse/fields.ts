// SPDX-License-Identifier: Apache-2.0
/** Small readings that all parts of a spec use. */
import {
  type Context,
  type Field,
  type Fields,
  missing,
  readBoolean,
  readInteger,
  readList,
  readOneOf,
  readString,
} from '@weir/policy-engine/reading';

export const UINT32_MAX = 0xffff_ffff;
export const INT32_MIN = -0x8000_0000;
export const INT32_MAX = 0x7fff_ffff;

/** Elements of a list that may be absent; too many of them are refused. */
export const items = (context: Context, parent: Fields, name: string, most: number): Field[] => {
  const field = parent.get(name);
  const list = field ? (readList(context, field) ?? []) : [];
  if (field && list.length > most) {
    context.issues.add(field.path, field.node.at, `${name} has ${list.length} elements`, {
      value: list.length,
      fix: `use ${most} at most`,
    });
    return [];
  }
  return list;
};

export const text = (context: Context, parent: Fields, name: string): string | undefined => {
  const field = parent.get(name);
  return field && readString(context, field);
};

/** Text that must be there and not be empty. */
export const needed = (context: Context, parent: Fields, name: string, fix: string): string | undefined => {
  const field = parent.get(name);
  if (!field) return missing(context, parent, name, fix);
  const value = readString(context, field);
  if (value === '') context.issues.add(field.path, field.node.at, `${name} is empty`, { value, fix });
  return value === '' ? undefined : value;
};

export const flag = (context: Context, parent: Fields, name: string, otherwise = false): boolean => {
  const field = parent.get(name);
  return (field && readBoolean(context, field)) ?? otherwise;
};

export const whole = (
  context: Context,
  parent: Fields,
  name: string,
  least = 0,
  most = UINT32_MAX,
): number | undefined => {
  const field = parent.get(name);
  return field && readInteger(context, field, least, most);
};

export const oneOf = <T extends string>(
  context: Context,
  parent: Fields,
  name: string,
  allowed: readonly T[],
): T | undefined => {
  const field = parent.get(name);
  return field && readOneOf(context, field, allowed);
};

export const neededOneOf = <T extends string>(
  context: Context,
  parent: Fields,
  name: string,
  allowed: readonly T[],
): T | undefined =>
  parent.get(name)
    ? oneOf(context, parent, name, allowed)
    : missing(context, parent, name, `use one of ${allowed.join(', ')}`);

/** At least one of `values`; nothing would select nothing, and nobody means that. */
export const neededValues = (context: Context, parent: Fields, most: number): Field[] => {
  const field = parent.get('values');
  const values = field
    ? items(context, parent, 'values', most)
    : missing(context, parent, 'values', 'list one at least');
  if (field && field.node.kind === 'list' && field.node.items.length === 0) {
    context.issues.add(field.path, field.node.at, 'values is empty', { fix: 'list one at least' });
  }
  return values ?? [];
};

export const refuse = (context: Context, field: Field, message: string, value: unknown, fix: string): undefined => {
  context.issues.add(field.path, field.node.at, message, { value, fix });
  return undefined;
};

/** Adds the field only when it has a value. */
export const given = <K extends string, V>(name: K, value: V | undefined): { readonly [P in K]?: V } =>
  (value === undefined ? {} : { [name]: value }) as { readonly [P in K]?: V };
