// SPDX-License-Identifier: Apache-2.0
/** /v1/health: how hosts reach one another. */
import { type HttpApp, mapPage, named, nullable, pageOf, pageQuery, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { isStale, type PathView, pageOfHostHealth, pageOfPaths } from '../operations/health.ts';
import type { ReportRow } from '../store/health.ts';
import { paged } from './parts.ts';

const time = () => Type.String({ format: 'date-time' });
const Status = Type.Union([Type.Literal('reachable'), Type.Literal('unreachable'), Type.Literal('unknown')], {
  description: 'unreachable: three probes in a row had no answer; unknown: the last report is too old',
});

export const PathSchema = named(
  'Path',
  Type.Object({
    from: Type.String(),
    to: Type.String(),
    address: Type.String(),
    kind: Type.String({ description: 'icmp, tcp' }),
    target: Type.String({
      description: 'host: its own address; endpoint: one that only the path of workloads reaches',
    }),
    status: Status,
    latency_us: nullable(Type.Integer({ description: 'Of the last answer' })),
    error: nullable(Type.String({ description: 'Null: the last probe was answered' })),
    failures: Type.Integer({ description: 'Probes since the last answer' }),
    probed_at: time(),
  }),
);

export const HostHealthSchema = named(
  'HostHealth',
  Type.Object({
    host: Type.String(),
    reported_at: time(),
    interval_s: Type.Integer({ description: 'Seconds between its rounds' }),
    stale: Type.Boolean({ description: 'Its last report is too old to say anything of now' }),
    hosts: Type.Integer({ description: 'Other hosts that it probed' }),
    unreachable_hosts: Type.Integer({ description: 'Of them, those of which no address answered' }),
    endpoints: Type.Integer({ description: 'Health endpoints of other hosts that it probed' }),
    unreachable_endpoints: Type.Integer({ description: 'Of them, those of which no address answered' }),
    probes_total: Type.Integer(),
    unreachable_probes: Type.Integer(),
  }),
);
export const HEALTH_SCHEMAS = [PathSchema, HostHealthSchema];

export const pathView = ({ from, status, probe }: PathView): Static<typeof PathSchema> => ({
  from,
  to: probe.host,
  address: probe.address,
  kind: probe.kind,
  target: probe.target,
  status,
  latency_us: probe.latency_us || null,
  error: probe.error || null,
  failures: probe.failures,
  probed_at: new Date(probe.probed_ms).toISOString(),
});

export const hostHealthView = (row: ReportRow, nowMs = Date.now()): Static<typeof HostHealthSchema> => ({
  host: row.host_id,
  reported_at: row.reported_at.toISOString(),
  interval_s: row.interval_s,
  stale: isStale(row, nowMs),
  hosts: row.hosts,
  unreachable_hosts: row.unreachable_hosts,
  endpoints: row.endpoints,
  unreachable_endpoints: row.unreachable_endpoints,
  probes_total: row.probes_total,
  unreachable_probes: row.unreachable_probes,
});

const host = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 63, description }));

export const healthRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['health'];

  app.get(
    '/v1/health',
    {
      schema: {
        tags,
        summary: 'List paths between hosts, as their agents probe them',
        querystring: Type.Object(
          { ...pageQuery, from: host('Probed by this host'), to: host('To this host'), status: Type.Optional(Status) },
          { additionalProperties: false },
        ),
        response: { 200: pageOf(ref(PathSchema)) },
      },
    },
    async ({ query }) => {
      const { limit: _limit, cursor: _cursor, ...filter } = query;
      return mapPage(await pageOfPaths(operations, filter, paged(query)), pathView);
    },
  );

  app.get(
    '/v1/health/hosts',
    {
      schema: {
        tags,
        summary: 'List what the last round of each host came to',
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(HostHealthSchema)) },
      },
    },
    async ({ query }) => mapPage(await pageOfHostHealth(operations, paged(query)), (row) => hostHealthView(row)),
  );
};
