// SPDX-License-Identifier: Apache-2.0
/** /v1/egress-gateways and /v1/prefilters: the same four operations. */
import { etag, type HttpApp, mapPage, named, pageOf, pageQuery, ref } from '@weir/http';
import { type TObject, Type } from 'typebox';
import { EgressGatewayPutSchema } from '../domain/egress-gateways.ts';
import { PrefilterPutSchema } from '../domain/prefilters.ts';
import type { Operations } from '../operations/context.ts';
import { EGRESS_GATEWAYS, PREFILTERS } from '../operations/kinds.ts';
import { deleteObject, findObject, type ObjectKind, pageOfObjects, putObject } from '../operations/objects.ts';
import type { FleetObject } from '../store/objects.ts';
import { Conditions, IfMatch, Name, NoContent, paged } from './parts.ts';

const shownWith = (name: string, put: TObject) =>
  named(
    name,
    Type.Object({
      name: Type.String(),
      ...put.properties,
      created_at: Type.String({ format: 'date-time' }),
      revision: Type.Integer({ description: 'Of its configuration document' }),
    }),
  );

export const EgressGatewaySchema = shownWith('EgressGateway', EgressGatewayPutSchema);
export const PrefilterSchema = shownWith('Prefilter', PrefilterPutSchema);

export const objectView = <Spec extends object>({ name, spec, created_at, revision }: FleetObject<Spec>) => ({
  name,
  ...spec,
  created_at: created_at.toISOString(),
  revision: Number(revision),
});

const routesOf = <Spec extends object>(
  app: HttpApp,
  operations: Operations,
  kind: ObjectKind<Spec>,
  shown: TObject,
  what: string,
): void => {
  const path = `/v1/${kind.noun}s`;
  const tags = [`${kind.noun}s`];
  const words = kind.noun.replace('-', ' ');

  app.get(
    path,
    {
      schema: {
        tags,
        summary: `List ${words}s`,
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(shown)) },
      },
    },
    async ({ query }) => mapPage(await pageOfObjects(operations, kind, paged(query)), objectView),
  );

  app.get(
    `${path}/:name`,
    { schema: { tags, summary: `Show one of the ${words}s`, params: Name, response: { 200: ref(shown) } } },
    async ({ params }, reply) => {
      const row = await findObject(operations, kind, params.name);
      return reply.header('etag', etag(row.revision)).send(objectView(row));
    },
  );

  app.put(
    `${path}/:name`,
    {
      schema: {
        tags,
        summary: what,
        params: Name,
        headers: Conditions,
        body: ref(kind.schema),
        response: { 200: ref(shown) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const conditions = { ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] };
      const row = await putObject(operations, kind, params.name, body as Spec, conditions);
      return reply.header('etag', etag(row.revision)).send(objectView(row));
    },
  );

  app.delete(
    `${path}/:name`,
    { schema: { tags, summary: `Remove one of the ${words}s`, params: Name, headers: IfMatch, response: NoContent } },
    async ({ params, headers }, reply) => {
      await deleteObject(operations, kind, params.name, headers['if-match']);
      return reply.status(204).send(null);
    },
  );
};

export const objectRoutes = (app: HttpApp, operations: Operations): void => {
  routesOf(
    app,
    operations,
    EGRESS_GATEWAYS,
    EgressGatewaySchema,
    'Set by which hosts workloads leave the fleet, as a whole',
  );
  routesOf(app, operations, PREFILTERS, PrefilterSchema, 'Set sources whose packets the uplinks drop, as a whole');
};
