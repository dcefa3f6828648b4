// SPDX-License-Identifier: Apache-2.0
/** /v1/pools and /v1/reservations */
import { etag, type HttpApp, mapPage, named, pageOf, pageQuery, ref } from '@weir/http';
import { type Static, Type } from 'typebox';
import { PoolPutSchema, type PoolSpec } from '../domain/pools.ts';
import type { Operations } from '../operations/context.ts';
import { deletePool, findPool, pageOfPools, putPool } from '../operations/pools.ts';
import {
  deleteReservation,
  findReservation,
  pageOfReservations,
  putReservation,
  type ReservationRow,
} from '../operations/reservations.ts';
import type { PoolWithUse } from '../store/pools.ts';
import { Conditions, IfMatch, Name, NoContent, paged } from './parts.ts';

const time = () => Type.String({ format: 'date-time' });

export const PoolSchema = named(
  'Pool',
  Type.Object({
    name: Type.String(),
    cidrs: Type.Array(Type.String()),
    block_bits4: Type.Integer(),
    block_bits6: Type.Integer(),
    blocks: Type.Integer({ description: 'Held by hosts' }),
    addresses: Type.Integer({ description: 'Of these blocks, that workloads have' }),
    created_at: time(),
    revision: Type.Integer(),
  }),
);
export const ReservationPutSchema = named(
  'ReservationPut',
  Type.Object(
    { workload: Type.String({ maxLength: 127, description: 'namespace.name' }) },
    { additionalProperties: false },
  ),
);
export const ReservationSchema = named(
  'Reservation',
  Type.Object({ address: Type.String(), workload: Type.String(), created_at: time(), revision: Type.Integer() }),
);
export const POOL_SCHEMAS = [PoolSchema, PoolPutSchema, ReservationSchema, ReservationPutSchema];

export const poolView = (row: PoolWithUse): Static<typeof PoolSchema> => ({
  name: row.name,
  cidrs: row.cidrs,
  block_bits4: row.block_bits4,
  block_bits6: row.block_bits6,
  blocks: row.blocks,
  addresses: row.addresses,
  created_at: row.created_at.toISOString(),
  revision: Number(row.revision),
});

export const reservationView = (row: ReservationRow): Static<typeof ReservationSchema> => ({
  address: row.address,
  workload: row.workload,
  created_at: row.created_at.toISOString(),
  revision: Number(row.revision),
});

const Address = Type.Object({ address: Type.String({ minLength: 1, maxLength: 64 }) }, { additionalProperties: false });
const query = Type.Object(pageQuery, { additionalProperties: false });

export const poolRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['pools'];

  app.get(
    '/v1/pools',
    { schema: { tags, summary: 'List address pools', querystring: query, response: { 200: pageOf(ref(PoolSchema)) } } },
    async (request) => mapPage(await pageOfPools(operations, paged(request.query)), poolView),
  );

  app.get(
    '/v1/pools/:name',
    { schema: { tags, summary: 'Show an address pool', params: Name, response: { 200: ref(PoolSchema) } } },
    async ({ params }, reply) => {
      const row = await findPool(operations, params.name);
      const shown = poolView(row);
      return reply.header('etag', etag(row.revision, shown)).send(shown);
    },
  );

  app.put(
    '/v1/pools/:name',
    {
      schema: {
        tags,
        summary: 'Set an address pool, as a whole; hosts get blocks of it as their workloads need them',
        params: Name,
        headers: Conditions,
        body: ref(PoolPutSchema),
        response: { 200: ref(PoolSchema) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const conditions = { ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] };
      const row = await putPool(operations, params.name, body as PoolSpec, conditions);
      const shown = poolView(row);
      return reply.header('etag', etag(row.revision, shown)).send(shown);
    },
  );

  app.delete(
    '/v1/pools/:name',
    {
      schema: { tags, summary: 'Remove a pool that nobody uses', params: Name, headers: IfMatch, response: NoContent },
    },
    async ({ params, headers }, reply) => {
      await deletePool(operations, params.name, headers['if-match']);
      return reply.status(204).send(null);
    },
  );
};

export const reservationRoutes = (app: HttpApp, operations: Operations): void => {
  const tags = ['reservations'];

  app.get(
    '/v1/reservations',
    {
      schema: {
        tags,
        summary: 'List reserved addresses',
        querystring: query,
        response: { 200: pageOf(ref(ReservationSchema)) },
      },
    },
    async (request) => mapPage(await pageOfReservations(operations, paged(request.query)), reservationView),
  );

  app.get(
    '/v1/reservations/:address',
    {
      schema: {
        tags,
        summary: 'Show for whom an address is kept',
        params: Address,
        response: { 200: ref(ReservationSchema) },
      },
    },
    async ({ params }, reply) => {
      const row = await findReservation(operations, params.address);
      return reply.header('etag', etag(row.revision)).send(reservationView(row));
    },
  );

  app.put(
    '/v1/reservations/:address',
    {
      schema: {
        tags,
        summary: 'Keep an address for a workload, whether it exists or not',
        params: Address,
        headers: Conditions,
        body: ref(ReservationPutSchema),
        response: { 200: ref(ReservationSchema) },
      },
    },
    async ({ params, body, headers }, reply) => {
      const conditions = { ifMatch: headers['if-match'], ifNoneMatch: headers['if-none-match'] };
      const row = await putReservation(operations, params.address, body.workload, conditions);
      return reply.header('etag', etag(row.revision)).send(reservationView(row));
    },
  );

  app.delete(
    '/v1/reservations/:address',
    {
      schema: { tags, summary: 'Give a reserved address free', params: Address, headers: IfMatch, response: NoContent },
    },
    async ({ params, headers }, reply) => {
      await deleteReservation(operations, params.address, headers['if-match']);
      return reply.status(204).send(null);
    },
  );
};
