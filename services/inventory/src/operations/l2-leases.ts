// SPDX-License-Identifier: Apache-2.0
/** Who answers for which service: read from the leases on the bus when it is asked, since they change every few seconds and need no store. */
import type { StoredLease } from '@weir/bus';
import type { Page } from '@weir/http';
import type { Operations } from './context.ts';
import type { PageRequest } from './pages.ts';
import { findService, pageOfServices } from './services.ts';

export interface L2Lease {
  readonly service: string;
  /** Undefined: nobody answers. */
  readonly stored: StoredLease | undefined;
}

/** A page of services, of which those with a holder are shown. */
export const pageOfL2Leases = async (operations: Operations, request: PageRequest): Promise<Page<L2Lease>> => {
  const { items, next_cursor } = await pageOfServices(operations, {}, request);
  const leases = await Promise.all(
    items.map(async ({ row: { id } }) => ({ service: id, stored: await operations.readLease(id) })),
  );
  return {
    items: leases.flatMap(({ service, stored }) => (stored && stored.lease.holder !== '' ? [{ service, stored }] : [])),
    next_cursor,
  };
};

/** Of a service that exists. */
export const findL2Lease = async (operations: Operations, service: string): Promise<L2Lease> => {
  const { row } = await findService(operations, service);
  const stored = await operations.readLease(row.id);
  return { service: row.id, stored: stored?.lease.holder === '' ? undefined : stored };
};
