// SPDX-License-Identifier: Apache-2.0
/** Parts of schemas that several routes have. */
import { weirError } from '@weir/errors';
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

/** `key=value`, several of them: all must be there. */
export const labelFilter = (labels: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    labels.map((label) => {
      const equals = label.indexOf('=');
      if (equals > 0) return [label.slice(0, equals), label.slice(equals + 1)];
      throw weirError('INVALID_ARGUMENT', `label ${JSON.stringify(label)} is not key=value`, {
        field: 'label',
        value: label,
        fix: 'write it as app=web',
      });
    }),
  );
