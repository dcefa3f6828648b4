// SPDX-License-Identifier: Apache-2.0
/** /v1/egress-gateways, /v1/prefilters, /v1/l2-announcements and /v1/bgp-instances: the same four operations. */
import { etag, type HttpApp, mapPage, named, pageOf, pageQuery, ref } from '@weir/http';
import { type TObject, Type } from 'typebox';
import { BgpInstancePutSchema } from '../domain/bgp-instances.ts';
import { EgressGatewayPutSchema } from '../domain/egress-gateways.ts';
import { L2AnnouncementPutSchema } from '../domain/l2-announcements.ts';
import { PrefilterPutSchema } from '../domain/prefilters.ts';
import type { Operations } from '../operations/context.ts';
import { BGP_INSTANCES, EGRESS_GATEWAYS, L2_ANNOUNCEMENTS, PREFILTERS } from '../operations/kinds.ts';
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
export const BgpInstanceSchema = shownWith('BgpInstance', BgpInstancePutSchema);
export const L2AnnouncementSchema = shownWith('L2Announcement', L2AnnouncementPutSchema);

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
  routesOf(app, operations, BGP_INSTANCES, BgpInstanceSchema, 'Set what hosts tell routers by BGP, as a whole');
  routesOf(app, operations, PREFILTERS, PrefilterSchema, 'Set sources whose packets the uplinks drop, as a whole');
  routesOf(
    app,
    operations,
    L2_ANNOUNCEMENTS,
    L2AnnouncementSchema,
    'Set which addresses of services hosts answer for on their networks, as a whole',
  );
};
