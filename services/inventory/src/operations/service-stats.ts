// SPDX-License-Identifier: Apache-2.0
/** What clients asked of services, as the hosts have counted it. */
import { Cursors, type Page } from '@weir/http';
import { Type } from 'typebox';
import {
  listServiceStats,
  type ServiceStatFilter,
  type ServiceStatPlace,
  type ServiceStatRow,
} from '../store/service-counts.ts';
import type { Operations } from './context.ts';
import type { PageRequest } from './pages.ts';
import { findService } from './services.ts';

const STATS = new Cursors(
  'service-stats',
  Type.Tuple([Type.String(), Type.Integer(), Type.String({ pattern: '^-?[0-9]{1,10}$' }), Type.String()]),
);
const FIRST: ServiceStatPlace = ['', 0, '-1', ''];

/** A service that does not exist is NOT_FOUND. */
export const pageOfServiceStats = async (
  operations: Operations,
  filter: ServiceStatFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<ServiceStatRow>> => {
  if (filter.service !== undefined) await findService(operations, filter.service);
  const scope = { ...filter };
  const rows = await listServiceStats(operations.db.kysely, filter, STATS.decode(cursor, scope) ?? FIRST, limit + 1);
  return STATS.page(
    rows,
    limit,
    (row) => row,
    ({ service_id, frontend, backend, host_id }) =>
      [service_id, frontend, backend, host_id] as [string, number, string, string],
    scope,
  );
};
