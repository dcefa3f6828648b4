// SPDX-License-Identifier: Apache-2.0
/** /v1/identities: the reserved ones, then those that were given out. */
import { type HttpApp, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { findIdentity } from '../operations/identities.ts';
import { pageOfIdentities } from '../operations/pages.ts';
import { paged } from './parts.ts';
import { IdentitySchema } from './views.ts';

export const identityRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['identities'];

  app.get(
    '/v1/identities',
    {
      schema: {
        tags,
        summary: 'List identities',
        querystring: Type.Object(
          {
            ...pageQuery,
            label: Type.Optional(
              Type.Array(Type.String({ minLength: 1, maxLength: 400 }), {
                maxItems: 64,
                description: 'key=value, or with its source, such as reserved:host; all of them',
                examples: [['app=web']],
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(ref(IdentitySchema)) },
      },
    },
    async ({ query }) => pageOfIdentities(operations, query.label ?? [], paged(query)),
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
