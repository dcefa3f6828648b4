// SPDX-License-Identifier: Apache-2.0
/**
 * What an operation works with. Operations are what the doors (REST, gRPC) call: each is one transaction that
 * changes rows and queues the documents that tell the fleet of it.
 */
import type { StoredLease } from '@weir/bus';
import type { ChangeFeed } from '@weir/bus/publishing';
import type { Database } from '@weir/db';
import { weirError } from '@weir/errors';
import type { Tables } from '../store/tables.ts';

export interface Operations {
  readonly db: Database<Tables>;
  readonly changes: Pick<ChangeFeed, 'follow'>;
  /** Where hosts reach the control plane. */
  readonly controlAddresses: () => Promise<readonly string[]>;
  /** Into the agent of a host; what it refuses is thrown as it says it. */
  readonly callAgent: (host: string, verb: string, body: Uint8Array, timeoutMs: number) => Promise<Uint8Array>;
  /** Of a service; undefined: no host ever had it. */
  readonly readLease: (service: string) => Promise<StoredLease | undefined>;
}

export const notFound = (what: string, id: string): Error =>
  weirError('NOT_FOUND', `there is no ${what} ${JSON.stringify(id)}`, {
    field: 'id',
    value: id,
    fix: `list what exists with GET /v1/${what === 'identity' ? 'identities' : `${what}s`}`,
  });
