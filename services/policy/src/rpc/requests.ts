// SPDX-License-Identifier: Apache-2.0
/** gRPC requests as the shapes that REST takes: the empty value of protobuf is what REST leaves out. */
import { checked, PAGE_LIMIT_DEFAULT, PageQuery } from '@weir/http';
import type { PageRequest } from '../operations/policies.ts';

/** If-Match of a request that names the revision it was made for. */
export const matchOf = (revision: bigint | undefined): string | undefined =>
  revision === undefined ? undefined : `"${revision}"`;

/** Without the texts that are empty. */
export const givenOf = <T extends Readonly<Record<string, string>>>(texts: T): Partial<T> =>
  Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== '')) as Partial<T>;

export const pageOfRequest = (request: { readonly limit: number; readonly cursor: string }): PageRequest => {
  const asked = { ...(request.limit === 0 ? {} : { limit: request.limit }), ...givenOf({ cursor: request.cursor }) };
  const { limit = PAGE_LIMIT_DEFAULT, cursor } = checked(PageQuery, asked);
  return { limit, cursor };
};
