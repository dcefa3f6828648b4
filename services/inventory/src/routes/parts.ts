// SPDX-License-Identifier: Apache-2.0
/** Parts of schemas that several routes have. */
import { PAGE_LIMIT_DEFAULT } from '@weir/http';
import { Type } from 'typebox';
import type { PageRequest } from '../operations/pages.ts';

export const Id = Type.Object({ id: Type.String({ minLength: 1, maxLength: 253 }) }, { additionalProperties: false });

export const Name = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 63 }) },
  { additionalProperties: false },
);

export const IfMatch = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'ETag of what was read; 412 when it has changed since' })),
});

/** Of a PUT, which creates or changes. */
export const Conditions = Type.Object({
  ...IfMatch.properties,
  'if-none-match': Type.Optional(Type.String({ description: '* creates only; 412 when it exists' })),
});

export const paged = (query: { readonly limit?: number; readonly cursor?: string }): PageRequest => ({
  limit: query.limit ?? PAGE_LIMIT_DEFAULT,
  cursor: query.cursor,
});

export const NoContent = { 204: Type.Null({ description: 'Done' }) };
