// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.PoolService: pools and reservations */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { checked } from '@weir/http';
import { PoolService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
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
import { ReservationPutSchema } from '../routes/pools.ts';
import type { PoolWithUse } from '../store/pools.ts';
import { compact, conditionsOf, matchOf, pageOfRequest } from './requests.ts';

const poolMessage = (row: PoolWithUse) => ({
  name: row.name,
  cidrs: row.cidrs,
  blockBits4: row.block_bits4,
  blockBits6: row.block_bits6,
  blocks: row.blocks,
  addresses: row.addresses,
  createdAt: timestampFromDate(row.created_at),
  revision: row.revision,
});
const reservationMessage = (row: ReservationRow) => ({
  address: row.address,
  workload: row.workload,
  createdAt: timestampFromDate(row.created_at),
  revision: row.revision,
});

export const poolService = (operations: Operations): Registered =>
  implement(PoolService, {
    putPool: async ({ name, cidrs, blockBits4, blockBits6, ...conditions }) => {
      const given = compact({ cidrs, block_bits4: blockBits4 || undefined, block_bits6: blockBits6 || undefined });
      const spec = checked(PoolPutSchema, given) as PoolSpec;
      return { pool: poolMessage(await putPool(operations, name, spec, conditionsOf(conditions))) };
    },
    getPool: async ({ name }) => ({ pool: poolMessage(await findPool(operations, name)) }),
    listPools: async (request) => {
      const { items, next_cursor } = await pageOfPools(operations, pageOfRequest(request));
      return { pools: items.map(poolMessage), nextCursor: next_cursor ?? '' };
    },
    deletePool: async ({ name, ifRevision }) => {
      await deletePool(operations, name, matchOf(ifRevision));
      return {};
    },
    putReservation: async ({ address, workload, ...conditions }) => {
      const input = checked(ReservationPutSchema, { workload });
      const row = await putReservation(operations, address, input.workload, conditionsOf(conditions));
      return { reservation: reservationMessage(row) };
    },
    getReservation: async ({ address }) => ({
      reservation: reservationMessage(await findReservation(operations, address)),
    }),
    listReservations: async (request) => {
      const { items, next_cursor } = await pageOfReservations(operations, pageOfRequest(request));
      return { reservations: items.map(reservationMessage), nextCursor: next_cursor ?? '' };
    },
    deleteReservation: async ({ address, ifRevision }) => {
      await deleteReservation(operations, address, matchOf(ifRevision));
      return {};
    },
  });
