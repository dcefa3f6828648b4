// SPDX-License-Identifier: Apache-2.0
import { weirError } from '@weir/errors';
import { type HttpApp, ref } from '@weir/http';
import { formatTimeUs, protocolName } from '@weir/net';
import type pg from 'pg';
import { Type } from 'typebox';
import { resolveFilter } from '../domain/conditions.ts';
import type { Directory } from '../domain/directory.ts';
import { parseFilter } from '../domain/filter.ts';
import { VERDICTS } from '../domain/names.ts';
import { readServiceMap } from '../store/service-map.ts';
import { range, ServiceMapSchema } from './schemas.ts';

export interface ServiceMapDeps {
  readonly pool: pg.Pool;
  readonly directory: Directory;
}

const MapQuery = Type.Object(
  {
    ...range,
    namespace: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 253 }), { maxItems: 100, description: 'Of either end' }),
    ),
  },
  { additionalProperties: false },
);

const HOUR_US = 3_600_000_000;

export const serviceMapRoutes = (app: HttpApp, { pool, directory }: ServiceMapDeps): void => {
  app.get(
    '/v1/service-map',
    {
      schema: {
        operationId: 'getServiceMap',
        tags: ['service map'],
        summary: 'Who talked to whom, from sums per minute; the last hour by default',
        querystring: MapQuery,
        response: { 200: ref(ServiceMapSchema) },
      },
    },
    async ({ query }) => {
      const nowMs = Date.now();
      const filter = parseFilter(
        {
          since: query.since === undefined ? undefined : [query.since],
          until: query.until === undefined ? undefined : [query.until],
          namespace: query.namespace,
        },
        nowMs,
      );
      const untilUs = filter.untilUs ?? nowMs * 1000;
      const sinceUs = filter.sinceUs ?? untilUs - HOUR_US;
      if (sinceUs >= untilUs) {
        throw weirError('INVALID_ARGUMENT', 'since is not before until', {
          field: 'since',
          value: query.since,
          fix: 'give a since that is earlier than until, which is now by default',
        });
      }
      const [condition] = resolveFilter(filter, directory);
      const { edges, truncated } = await readServiceMap(pool, {
        sinceUs,
        untilUs,
        ...(condition?.kind === 'identity' ? { identities: condition.values } : {}),
      });
      const identities = new Set(edges.flatMap(({ source, destination }) => [source, destination]));
      const workloads = directory.workloadsByIdentity(untilUs / 1000);
      return {
        since: formatTimeUs(sinceUs),
        until: formatTimeUs(untilUs),
        truncated,
        nodes: [...identities]
          .sort((a, b) => a - b)
          .map((identity) => {
            const spans = workloads.get(identity) ?? [];
            return {
              identity,
              labels: [...directory.labels(identity, untilUs / 1000)],
              namespace: spans[0]?.namespace ?? null,
              workloads: [...new Set(spans.map(({ namespace, name }) => `${namespace}/${name}`))].sort(),
            };
          }),
        edges: edges.map((edge) => ({
          source: edge.source,
          destination: edge.destination,
          protocol: protocolName(edge.protocol),
          port: edge.port,
          verdict: VERDICTS.name(edge.verdict),
          connections: edge.connections,
          packets: edge.packets,
          bytes: edge.bytes,
          reply_packets: edge.replyPackets,
          reply_bytes: edge.replyBytes,
          last_seen: edge.lastSeen.toISOString(),
        })),
      };
    },
  );
};
