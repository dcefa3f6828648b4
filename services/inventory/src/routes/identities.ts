// SPDX-License-Identifier: Apache-2.0
/** /v1/identities: the reserved ones, then those that were given out. */
import { decodeCursor, type HttpApp, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { findIdentity, pageOfIdentities } from '../operations/identities.ts';
import { IdentitySchema } from './views.ts';

export const identityRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['identities'];

  app.get(
    '/v1/identities',
    {
      schema: {
        tags,
        summary: 'List identities',
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(IdentitySchema)) },
      },
    },
    async ({ query }) =>
      pageOfIdentities(operations, decodeCursor(Type.Integer(), query.cursor) ?? -1, query.limit ?? 100),
  );

  app.get(
    '/v1/identities/:identity',
    {
      schema: {
        tags,
        summary: 'Show an identity',
        params: Type.Object({ identity: Type.Integer({ minimum: 0 }) }, { additionalProperties: false }),
        response: { 200: ref(IdentitySchema) },
      },
    },
    async ({ params }) => findIdentity(operations, params.identity),
  );
};
