// SPDX-License-Identifier: Apache-2.0
/** /v1/identities: the reserved ones, then those that were given out. */
import { decodeCursor, type HttpApp, page, pageOf, pageQuery, ref } from '@weir/http';
import { Type } from 'typebox';
import { FIRST_IDENTITY, RESERVED_IDENTITIES } from '../domain/reserved.ts';
import { notFound, type Operations } from '../operations/context.ts';
import { getIdentity, listIdentities } from '../store/identities.ts';
import { IdentitySchema } from './views.ts';

const reserved = RESERVED_IDENTITIES.map((identity) => ({ ...identity, labels: [...identity.labels], workloads: 0 }));

export const identityRoutes = (app: HttpApp, { db }: Operations): void => {
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
    async ({ query }) => {
      const limit = query.limit ?? 100;
      const after = decodeCursor(Type.Integer(), query.cursor) ?? 0;
      const fixed = reserved.filter(({ identity }) => identity > after);
      const given = await listIdentities(db.kysely, Math.max(after, FIRST_IDENTITY - 1), limit + 1);
      return page(
        [...fixed, ...given].slice(0, limit + 1),
        limit,
        (row) => row,
        (row) => row.identity,
      );
    },
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
    async ({ params }) => {
      const known = reserved.find(({ identity }) => identity === params.identity);
      const row = known ?? (await getIdentity(db.kysely, params.identity));
      if (!row) throw notFound('identity', String(params.identity));
      return row;
    },
  );
};
