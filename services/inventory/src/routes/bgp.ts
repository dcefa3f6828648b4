// SPDX-License-Identifier: Apache-2.0
/** /v1/bgp-peers and /v1/bgp-routes: what the hosts' BGP speakers say of their sessions. */
import { type HttpApp, mapPage, named, nullable, pageOf, pageQuery, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import { STALE_AFTER_MS } from '../domain/liveness.ts';
import { pageOfBgpPeers, pageOfBgpRoutes } from '../operations/bgp.ts';
import type { Operations } from '../operations/context.ts';
import type { BgpPeerOfHost, BgpRoute } from '../store/bgp.ts';
import { paged } from './parts.ts';

const Count = Type.Integer({ minimum: 0 });

export const BgpPeerSchema = named(
  'BgpPeerState',
  Type.Object({
    host: Type.String(),
    instance: Type.String(),
    peer: Type.String(),
    address: Type.String(),
    asn: Type.Integer(),
    local_asn: Type.Integer(),
    state: Type.String({
      description:
        'idle, connect, active, open-sent, open-confirm, established; down: the speaker does not run; unknown: the host is silent',
    }),
    since: Type.String({ format: 'date-time' }),
    error: nullable(Type.String({ description: 'Why the last session ended, or none comes about' })),
    families: Type.Array(Type.Object({ family: Type.String(), received: Count, advertised: Count })),
    reported_at: Type.String({ format: 'date-time' }),
  }),
);

export const BgpRouteSchema = named(
  'BgpRoute',
  Type.Object({
    host: Type.String(),
    instance: Type.String(),
    peer: Type.String(),
    address: Type.String({ description: 'Of the peer' }),
    prefix: Type.String(),
  }),
);
export const BGP_SCHEMAS = [BgpPeerSchema, BgpRouteSchema];

export const bgpPeerView = (
  { host_id, reported_at, peer: row }: BgpPeerOfHost,
  nowMs = Date.now(),
): Static<typeof BgpPeerSchema> => ({
  ...{ host: host_id, instance: row.instance, peer: row.peer, address: row.address },
  ...{ asn: row.asn, local_asn: row.local_asn },
  state: nowMs - reported_at.getTime() > STALE_AFTER_MS ? 'unknown' : row.state,
  since: new Date(row.since_ms).toISOString(),
  error: row.error || null,
  families: row.families.map(({ family, received, advertised }) => ({ family, received, advertised })),
  reported_at: reported_at.toISOString(),
});

export const bgpRouteView = ({
  host_id,
  instance,
  peer,
  address,
  prefix,
}: BgpRoute): Static<typeof BgpRouteSchema> => ({
  ...{ host: host_id, instance, peer, address, prefix },
});

const name = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 63, description }));
const query = Type.Object(
  { ...pageQuery, host: name('Of this host'), instance: name('Of this instance'), peer: name('Of this peer') },
  { additionalProperties: false },
);

export const bgpRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['bgp-instances'];
  app.get(
    '/v1/bgp-peers',
    {
      schema: {
        tags,
        summary: 'List the BGP sessions of the hosts',
        querystring: query,
        response: { 200: pageOf(ref(BgpPeerSchema)) },
      },
    },
    async ({ query: { limit, cursor, ...filter } }) =>
      mapPage(await pageOfBgpPeers(operations, filter, paged({ limit, cursor })), (row) => bgpPeerView(row)),
  );
  app.get(
    '/v1/bgp-routes',
    {
      schema: {
        tags,
        summary: 'List what hosts tell their BGP peers, at most 1,000 prefixes of a family each',
        querystring: query,
        response: { 200: pageOf(ref(BgpRouteSchema)) },
      },
    },
    async ({ query: { limit, cursor, ...filter } }) =>
      mapPage(await pageOfBgpRoutes(operations, filter, paged({ limit, cursor })), bgpRouteView),
  );
};
