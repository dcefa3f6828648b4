// SPDX-License-Identifier: Apache-2.0
/**
 * Cursor pages. A cursor is the sort key of the last item, with the list and the filter that it belongs to, as
 * base64url JSON: opaque to users, checked like any other input when it comes back. What is added or removed between
 * two pages moves nothing.
 */
import { createHash } from 'node:crypto';
import { weirError } from '@weir/errors';
import { type Static, type TSchema, Type } from 'typebox';
import { Check } from 'typebox/schema';
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

/** The same page as a door shows it. */
export const mapPage = <Row, Item>(page: Page<Row>, toItem: (row: Row) => Item): Page<Item> => ({
  items: page.items.map((row) => toItem(row)),
  next_cursor: page.next_cursor,
});

export const pageOf = <S extends TSchema>(item: S) =>
  Type.Object({
    items: Type.Array(item),
    next_cursor: nullable(Type.String({ description: 'Give it as cursor for the next page; null on the last one' })),
  });

/** Enough that nobody's cursor passes for another list's by chance; it is no secret. */
const SCOPE_CHARS = 8;

export type CursorFilter = Readonly<Record<string, unknown>>;

const scopeOf = (list: string, filter: CursorFilter): string => {
  const given = Object.entries(filter).filter(([, value]) => value !== undefined);
  given.sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([list, given]))
    .digest('base64url')
    .slice(0, SCOPE_CHARS);
};

const text = (value: unknown): string =>
  JSON.stringify(value, (_name, part) => (typeof part === 'bigint' ? part.toString() : part));

/** Cursors of one list: those of other lists, or of the same list with another filter, are refused by name. */
export class Cursors<S extends TSchema> {
  readonly #list: string;
  readonly #schema: S;

  /** `schema` is that of the sort key. */
  constructor(list: string, schema: S) {
    this.#list = list;
    this.#schema = schema;
  }

  encode(key: Static<S>, filter: CursorFilter = {}): string {
    return Buffer.from(text([scopeOf(this.#list, filter), key])).toString('base64url');
  }

  /** The key that a user sent back; undefined without a cursor. `field` is how the request names it. */
  decode(cursor: string | undefined, filter: CursorFilter = {}, field = 'cursor'): Static<S> | undefined {
    if (cursor === undefined) return undefined;
    let found: unknown;
    try {
      found = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    } catch {}
    const [scope, key] = Array.isArray(found) && found.length === 2 ? (found as [unknown, unknown]) : [];
    const ours = typeof scope === 'string' && Check(this.#schema, key);
    if (ours && scope === scopeOf(this.#list, filter)) return key;
    const whose = ours
      ? `is of another list than ${this.#list}, or was given out for another filter`
      : 'is not one that this API gave out';
    throw weirError('MALFORMED', `${field} ${whose}`, {
      field,
      value: cursor.slice(0, 100),
      fix: `repeat the request of the page before with its next one as ${field}, or leave ${field} out to start again`,
    });
  }

  /** Makes a page out of `limit + 1` rows: the extra one only tells that there are more. */
  page<Row, Item>(
    rows: readonly Row[],
    limit: number,
    toItem: (row: Row) => Item,
    keyOf: (row: Row) => Static<S>,
    filter: CursorFilter = {},
  ): Page<Item> {
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    return {
      items: shown.map(toItem),
      next_cursor: rows.length > limit && last !== undefined ? this.encode(keyOf(last), filter) : null,
    };
  }
}
