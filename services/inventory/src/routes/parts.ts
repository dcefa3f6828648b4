// SPDX-License-Identifier: Apache-2.0
/** Parts of schemas that several routes have. */
import { Type } from 'typebox';

export const Id = Type.Object({ id: Type.String({ minLength: 1, maxLength: 253 }) }, { additionalProperties: false });

export const IfMatch = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'ETag of what was read; 412 when it has changed since' })),
});

export const NoContent = { 204: Type.Null({ description: 'Done' }) };
