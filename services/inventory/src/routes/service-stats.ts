// SPDX-License-Identifier: Apache-2.0
/** /v1/service-stats: what clients asked of services, by frontend and backend. */
import { type HttpApp, mapPage, named, nullable, pageOf, pageQuery, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { pageOfServiceStats } from '../operations/service-stats.ts';
import { PAST_BACKENDS, type ServiceStatRow } from '../store/service-counts.ts';
import { paged } from './parts.ts';

const Count = (description: string) => Type.Integer({ minimum: 0, description });

export const ServiceStatSchema = named(
  'ServiceStat',
  Type.Object({
    service: Type.String({ description: 'namespace.name' }),
    frontend: Type.Object({
      number: Type.Integer(),
      type: Type.String(),
      address: nullable(Type.String({ description: 'null: a node port' })),
      port: Type.Integer(),
      protocol: Type.String(),
    }),
    backend: nullable(
      Type.Object(
        { number: Type.Integer(), address: Type.String(), port: Type.Integer() },
        { description: 'null: nobody served, or with past: all backends that are gone' },
      ),
    ),
    past: Type.Boolean({ description: 'Of all backends that are gone' }),
    host: nullable(Type.String({ description: 'null: all hosts together' })),
    hosts: Count('So many hosts are in it'),
    connections: Count('Begun by sockets on hosts, or by packets of clients outside'),
    packets: Count('Of clients outside, and datagrams of sockets without connection'),
    bytes: Count('Of those packets of clients outside, as IP has them'),
    flow_hits: Count('Packets whose slot of the Maglev table has changed hands: remembered'),
    flow_misses: Count('And not remembered'),
    no_backend: Count('Refused: nobody serves'),
    denied: Count('Refused: the source ranges do not have the client'),
    open: Count('Connections that the backend has, through all services where the fewest decide'),
    reported_at: Type.String({ format: 'date-time' }),
  }),
);
export const SERVICE_STAT_SCHEMAS = [ServiceStatSchema];

export const serviceStatView = (row: ServiceStatRow): Static<typeof ServiceStatSchema> => {
  const backend = Number(row.backend);
  return {
    service: row.service_id,
    frontend: {
      ...{ number: row.frontend, type: row.type, address: row.address },
      ...{ port: row.port, protocol: row.protocol },
    },
    backend:
      row.backend_address === null || row.backend_port === null
        ? null
        : { number: backend, address: row.backend_address, port: row.backend_port },
    past: backend === PAST_BACKENDS,
    host: row.host_id || null,
    hosts: row.hosts,
    connections: Number(row.connections),
    packets: Number(row.packets),
    bytes: Number(row.bytes),
    flow_hits: Number(row.flow_hits),
    flow_misses: Number(row.flow_misses),
    no_backend: Number(row.no_backend),
    denied: Number(row.denied),
    open: Number(row.open),
    reported_at: row.reported_at.toISOString(),
  };
};

const query = Type.Object(
  {
    ...pageQuery,
    service: Type.Optional(Type.String({ minLength: 1, maxLength: 127, description: 'namespace.name; only this one' })),
    host: Type.Optional(Type.String({ minLength: 1, maxLength: 63, description: 'Only what this host has counted' })),
    by_host: Type.Optional(Type.Boolean({ description: 'A row for each host instead of one for all' })),
  },
  { additionalProperties: false },
);

export const serviceStatRoutes = (app: HttpApp, operations: Operations): void => {
  app.get(
    '/v1/service-stats',
    {
      schema: {
        tags: ['services'],
        summary: 'List what clients asked of services, by frontend and backend, since each host counts',
        querystring: query,
        response: { 200: pageOf(ref(ServiceStatSchema)) },
      },
    },
    async ({ query: { limit, cursor, service, host, by_host: byHost = false } }) =>
      mapPage(
        await pageOfServiceStats(operations, { service, host, byHost }, paged({ limit, cursor })),
        serviceStatView,
      ),
  );
};
