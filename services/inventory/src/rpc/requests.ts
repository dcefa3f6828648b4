// SPDX-License-Identifier: Apache-2.0
/** gRPC requests as the shapes that REST takes: the empty value of protobuf is what REST leaves out. */
import { checked, PAGE_LIMIT_DEFAULT, PageQuery } from '@weir/http';
import type { Static } from 'typebox';
import type { PageRequest } from '../operations/pages.ts';

export const given = (text: string): string | undefined => (text === '' ? undefined : text);

/** Without the keys that are undefined: schemas refuse unknown fields, and an optional one that is there has a value. */
export const compact = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

/** If-Match of a request that names the revision it was made for. */
export const matchOf = (revision: bigint | undefined): string | undefined =>
  revision === undefined ? undefined : `"${revision}"`;

/** Of a request that creates or changes. */
export const conditionsOf = (request: { ifRevision?: bigint | undefined; ifAbsent: boolean }) => ({
  ifMatch: matchOf(request.ifRevision),
  ifNoneMatch: request.ifAbsent ? '*' : undefined,
});

export const pageOfRequest = (request: { readonly limit: number; readonly cursor: string }): PageRequest => {
  const asked = compact({ limit: request.limit || undefined, cursor: given(request.cursor) });
  const { limit = PAGE_LIMIT_DEFAULT, cursor }: Static<typeof PageQuery> = checked(PageQuery, asked);
  return { limit, cursor };
};
