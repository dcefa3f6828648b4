// SPDX-License-Identifier: Apache-2.0
/** /v1/l2-leases: which host answers for which service, since when. */
import { type HttpApp, mapPage, named, nullable, pageOf, pageQuery, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import type { Operations } from '../operations/context.ts';
import { findL2Lease, type L2Lease, pageOfL2Leases } from '../operations/l2-leases.ts';
import { Id, paged } from './parts.ts';

const Time = nullable(Type.String({ format: 'date-time' }));

export const L2LeaseSchema = named(
  'L2Lease',
  Type.Object({
    service: Type.String({ description: 'namespace.name' }),
    host: nullable(Type.String()),
    state: Type.Union([Type.Literal('held'), Type.Literal('expired'), Type.Literal('none')], {
      description: 'expired: not renewed in time, and nobody else took it; none: no host answers',
    }),
    announcement: nullable(Type.String()),
    addresses: Type.Array(Type.String()),
    interfaces: Type.Array(Type.String()),
    since: Time,
    renewed_at: Time,
    transitions: Type.Integer({ description: 'How often it went to another host' }),
  }),
);

const NONE = {
  ...{ host: null, state: 'none' as const, announcement: null, addresses: [], interfaces: [] },
  ...{ since: null, renewed_at: null, transitions: 0 },
};

export const leaseView = ({ service, stored }: L2Lease, nowMs = Date.now()): Static<typeof L2LeaseSchema> => {
  if (!stored) return { service, ...NONE };
  const { lease, timeMs } = stored;
  return {
    service,
    host: lease.holder,
    // By the broker's clock: those of hosts may be wrong.
    state: nowMs - timeMs > lease.durationMs ? 'expired' : 'held',
    announcement: lease.announcement,
    addresses: [...lease.addresses],
    interfaces: [...lease.interfaces],
    since: new Date(Number(lease.acquiredMs)).toISOString(),
    renewed_at: new Date(timeMs).toISOString(),
    transitions: Number(lease.transitions),
  };
};

export const l2LeaseRoutes = (app: HttpApp, operations: Operations): void => {
  app.get(
    '/v1/l2-leases',
    {
      schema: {
        tags: ['l2-announcements'],
        summary: 'List which host answers for which service; limit counts the services looked at',
        querystring: Type.Object(pageQuery, { additionalProperties: false }),
        response: { 200: pageOf(ref(L2LeaseSchema)) },
      },
    },
    async ({ query }) => mapPage(await pageOfL2Leases(operations, paged(query)), (lease) => leaseView(lease)),
  );

  app.get(
    '/v1/l2-leases/:id',
    {
      schema: {
        tags: ['l2-announcements'],
        summary: 'Show which host answers for a service (namespace.name)',
        params: Id,
        response: { 200: ref(L2LeaseSchema) },
      },
    },
    async ({ params }) => leaseView(await findL2Lease(operations, params.id)),
  );
};
