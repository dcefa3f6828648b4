// SPDX-License-Identifier: Apache-2.0
/**
 * Cursor pages. A cursor is the sort key of the last item, as base64url JSON: opaque to users, checked like any other
 * input when it comes back.
 */
import { weirError } from '@weir/errors';
import { type Static, type TSchema, Type } from 'typebox';
import { Value } from 'typebox/value';
import { nullable } from './schemas.ts';

export const PAGE_LIMIT_DEFAULT = 100;
export const PAGE_LIMIT_MAX = 1_000;
const CURSOR_MAX_LENGTH = 1_024;

/** Spread into a query schema. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX, default: PAGE_LIMIT_DEFAULT, description: 'Items per page' }),
  ),
  cursor: Type.Optional(
    Type.String({
      maxLength: CURSOR_MAX_LENGTH,
      description: 'next_cursor of the page before; the first page has none',
    }),
  ),
};

export const PageQuery = Type.Object(pageQuery, { additionalProperties: false });

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export const pageOf = <S extends TSchema>(item: S) =>
  Type.Object({
    items: Type.Array(item),
    next_cursor: nullable(Type.String({ description: 'Give it as cursor for the next page; null on the last one' })),
  });

export const encodeCursor = (key: unknown): string =>
  Buffer.from(JSON.stringify(key, (_name, value) => (typeof value === 'bigint' ? value.toString() : value))).toString(
    'base64url',
  );

/** The key of a cursor that a user sent back; undefined without one. */
export const decodeCursor = <S extends TSchema>(schema: S, cursor: string | undefined): Static<S> | undefined => {
  if (cursor === undefined) return undefined;
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Value.Check(schema, key)) return key;
  } catch {}
  throw weirError('INVALID_ARGUMENT', 'cursor is not one that this API gave out', {
    field: 'cursor',
    value: cursor.slice(0, 100),
    fix: 'pass next_cursor of the page before unchanged, or leave cursor out to start again',
  });
};

/** Makes a page out of `limit + 1` rows: the extra one only tells that there are more. */
export const page = <Row, Item>(
  rows: readonly Row[],
  limit: number,
  toItem: (row: Row) => Item,
  keyOf: (row: Row) => unknown,
): Page<Item> => {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(toItem),
    next_cursor: rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null,
  };
};
