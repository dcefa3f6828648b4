// SPDX-License-Identifier: Apache-2.0
/** /v1/lb-pools: pools of addresses that services get. */
import { etag, type HttpApp, mapPage, named, pageOf, pageQuery, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import { poolConditions, totalOf } from '../domain/conditions.ts';
import { LbPoolPutSchema } from '../domain/lb-pools.ts';
import type { Operations } from '../operations/context.ts';
import { deleteLbPool, findLbPool, pageOfLbPools, putLbPool } from '../operations/lb-pools.ts';
import type { LbPoolRow } from '../store/lb-pools.ts';
import { Conditions, IfMatch, Name, NoContent, paged } from './parts.ts';
import { ConditionSchema } from './services.ts';

export const LbPoolSchema = named(
  'LbPool',
  Type.Object({
    name: Type.String(),
    ...LbPoolPutSchema.properties,
    addresses_total: Type.Number({ description: 'That it has' }),
    addresses_used: Type.Integer({ description: 'That services have' }),
    conditions: Type.Array(ref(ConditionSchema)),
    created_at: Type.String({ format: 'date-time' }),
    revision: Type.Integer(),
  }),
);
export const LB_POOL_SCHEMAS = [LbPoolSchema, LbPoolPutSchema];

export const lbPoolView = (row: LbPoolRow): Static<typeof LbPoolSchema> => ({
  name: row.name,
  ...row.spec,
  addresses_total: Number(totalOf(row)),
  addresses_used: row.used,
  conditions: poolConditions(row),
  created_at: row.created_at.toISOString(),
  revision: Number(row.revision),
});

export const lbPoolRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['lb-pools'];
  const path = '/v1/lb-pools';

  app.get(
    path,
    {
      schema: {
        tags,
        summary: 'List pools of addresses for services',
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(LbPoolSchema)) },
      },
    },
    async ({ query }) => mapPage(await pageOfLbPools(operations, paged(query)), lbPoolView),
  );

  app.get(
    `${path}/:name`,
    { schema: { tags, summary: 'Show a pool for services', params: Name, response: { 200: ref(LbPoolSchema) } } },
    async ({ params }, reply) => {
      const row = await findLbPool(operations, params.name);
      return reply.header('etag', etag(row.revision)).send(lbPoolView(row));
    },
  );

  app.put(
    `${path}/:name`,
    {
      schema: {
        tags,
        summary: 'Set of which addresses services get theirs, as a whole',
        params: Name,
        headers: Conditions,
        body: ref(LbPoolPutSchema),
        response: { 200: ref(LbPoolSchema) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const conditions = { ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] };
      const row = await putLbPool(operations, params.name, body, conditions);
      return reply.header('etag', etag(row.revision)).send(lbPoolView(row));
    },
  );

  app.delete(
    `${path}/:name`,
    { schema: { tags, summary: 'Remove a pool for services', params: Name, headers: IfMatch, response: NoContent } },
    async ({ params, headers }, reply) => {
      await deleteLbPool(operations, params.name, headers['if-match']);
      return reply.status(204).send(null);
    },
  );
};
