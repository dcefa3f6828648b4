// SPDX-License-Identifier: Apache-2.0
/** /v1/services: services with their frontends and backends. */
import {
  etag,
  type HttpApp,
  idempotencyHeader,
  mapPage,
  named,
  nullable,
  onceOf,
  pageOf,
  pageQuery,
  ref,
} from '@weir/http';
import { type Static, Type } from 'typebox';
import { effectiveWeight, healthOf } from '../domain/backend-health.ts';
import { serviceConditions } from '../domain/conditions.ts';
import { BackendPatchSchema, ServiceCreateSchema, ServicePutSchema } from '../domain/services.ts';
import type { Operations } from '../operations/context.ts';
import {
  createService,
  deleteService,
  findService,
  pageOfServices,
  patchBackend,
  putService,
} from '../operations/services.ts';
import type { WholeService } from '../store/services.ts';
import { Conditions, Id, IfMatch, labelFilter, NoContent, paged } from './parts.ts';

export const ConditionSchema = named(
  'Condition',
  Type.Object({ type: Type.String(), status: Type.Boolean(), reason: Type.String(), message: Type.String() }),
);

export const ServiceSchema = named(
  'Service',
  Type.Object({
    id: Type.String({ description: 'namespace.name' }),
    name: Type.String(),
    namespace: Type.String(),
    number: Type.Integer({ description: 'Fleet-wide, never used again: flows carry it' }),
    spec: ref(ServicePutSchema),
    frontends: Type.Array(
      Type.Object({
        number: Type.Integer(),
        type: Type.String(),
        address: nullable(Type.String({ description: 'null: a node port, or no address was free' })),
        port: Type.Integer(),
        protocol: Type.String(),
        scope: Type.String(),
        port_name: Type.String(),
        pool: nullable(Type.String({ description: 'Of the address; null: of none' })),
      }),
      { description: 'With the addresses and ports that they got' },
    ),
    backends: Type.Array(
      Type.Object({
        number: Type.Integer({ description: 'The same for one address, port and protocol in all services' }),
        address: Type.String(),
        port: Type.Integer(),
        protocol: Type.String(),
        port_name: Type.String(),
        weight: Type.Integer(),
        state: Type.String(),
        reason: Type.String({ description: 'Why it has that state; empty: nothing was said' }),
        workload: nullable(Type.String({ description: 'null: given, not selected' })),
        host: nullable(Type.String()),
        zone: Type.String(),
        since: Type.String({ format: 'date-time', description: 'It has had this state since then' }),
        effective_weight: Type.Integer({
          description: 'What Maglev goes by: less than weight while a backend that came back starts slowly',
        }),
        health: nullable(
          Type.String({ description: 'healthy, unhealthy or unknown; null: the service has no health check' }),
        ),
        prober: nullable(Type.String({ description: 'Host that asks it; null: nobody does' })),
      }),
    ),
    conditions: Type.Array(ref(ConditionSchema)),
    created_at: Type.String({ format: 'date-time' }),
    revision: Type.Integer({ description: 'Of its configuration document' }),
  }),
);
export const SERVICE_SCHEMAS = [
  ServiceSchema,
  ServicePutSchema,
  ServiceCreateSchema,
  BackendPatchSchema,
  ConditionSchema,
];

export const serviceView = (whole: WholeService): Static<typeof ServiceSchema> => {
  const { row, frontends, backends } = whole;
  return {
    id: row.id,
    name: row.name,
    namespace: row.namespace,
    number: Number(row.number),
    spec: row.spec as Static<typeof ServicePutSchema>,
    frontends: frontends.map(({ number, type, address, port, protocol, scope, port_name, pool }) => ({
      number: Number(number),
      type,
      address,
      port,
      protocol,
      scope,
      port_name,
      pool,
    })),
    backends: backends.map(({ number, address, port, protocol, port_name, weight, state, reason, ...more }) => ({
      number: Number(number),
      address,
      port,
      protocol,
      port_name,
      weight,
      state,
      reason,
      workload: more.workload_id,
      host: more.host_id,
      zone: more.zone,
      since: more.since.toISOString(),
      effective_weight: effectiveWeight({ weight, share: more.share }),
      health: healthOf(more),
      prober: more.prober || null,
    })),
    conditions: serviceConditions(whole),
    created_at: row.created_at.toISOString(),
    revision: Number(row.revision),
  };
};

const OneBackend = Type.Object(
  { ...Id.properties, number: Type.Integer({ minimum: 1, maximum: 0xffff_ffff }) },
  { additionalProperties: false },
);

export const serviceRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['services'];
  const path = '/v1/services';
  const shown = (whole: WholeService) => ({ tag: etag(whole.row.revision), body: serviceView(whole) });

  app.get(
    path,
    {
      schema: {
        tags,
        summary: 'List services',
        querystring: Type.Object(
          {
            ...pageQuery,
            namespace: Type.Optional(Type.String()),
            label: Type.Optional(Type.Array(Type.String(), { description: 'key=value; all of them' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(ref(ServiceSchema)) },
      },
    },
    async ({ query }) => {
      const { namespace, label } = query;
      const filter = {
        ...(namespace === undefined ? {} : { namespace }),
        ...(label === undefined ? {} : { labels: labelFilter(label) }),
      };
      return mapPage(await pageOfServices(operations, filter, paged(query)), serviceView);
    },
  );

  app.post(
    path,
    {
      schema: {
        tags,
        summary: 'Create a service; it gets addresses of pools where it names none',
        headers: Type.Object(idempotencyHeader),
        body: ref(ServiceCreateSchema),
        response: { 201: ref(ServiceSchema) },
      },
    },
    async ({ body, headers }, reply) => {
      const input = { ...body, namespace: body.namespace ?? 'default' };
      const { tag, body: answer } = shown(await createService(operations, input, onceOf(headers, reply)));
      return reply.status(201).header('etag', tag).header('location', `${path}/${answer.id}`).send(answer);
    },
  );

  app.get(
    `${path}/:id`,
    { schema: { tags, summary: 'Show a service', params: Id, response: { 200: ref(ServiceSchema) } } },
    async ({ params }, reply) => {
      const { tag, body } = shown(await findService(operations, params.id));
      return reply.header('etag', tag).send(body);
    },
  );

  app.put(
    `${path}/:id`,
    {
      schema: {
        tags,
        summary: 'Set a service as a whole; backends that stay keep state and weight unless they are given',
        params: Id,
        querystring: Type.Object(
          { dry_run: Type.Optional(Type.Boolean({ description: 'Check and show what would become of it' })) },
          { additionalProperties: false },
        ),
        headers: Conditions,
        body: ref(ServicePutSchema),
        response: { 200: ref(ServiceSchema) },
      },
    },
    async ({ params, body, headers, query }, reply) => {
      const conditions = { ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] };
      const whole = await putService(operations, params.id, body, conditions, query.dry_run);
      const { tag, body: answer } = shown(whole);
      return reply.header('etag', tag).send(answer);
    },
  );

  app.delete(
    `${path}/:id`,
    { schema: { tags, summary: 'Remove a service', params: Id, headers: IfMatch, response: NoContent } },
    async ({ params, headers }, reply) => {
      await deleteService(operations, params.id, headers['if-match']);
      return reply.status(204).send(null);
    },
  );

  app.patch(
    `${path}/:id/backends/:number`,
    {
      schema: {
        tags,
        summary: 'Change the state or weight of one backend',
        params: OneBackend,
        headers: IfMatch,
        body: ref(BackendPatchSchema),
        response: { 200: ref(ServiceSchema) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const { id, number } = params;
      const { tag, body: answer } = shown(await patchBackend(operations, id, number, body, headers['if-match']));
      return reply.header('etag', tag).send(answer);
    },
  );
};
