// SPDX-License-Identifier: Apache-2.0
/** What an operation works with. Operations are what the doors (REST, gRPC) call. */
import { EventEmitter, once } from 'node:events';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ChangeFeed } from '@weir/bus/publishing';
import type { Database } from '@weir/db';
import { weirError } from '@weir/errors';
import type {
  BatchGetRuleHitsResponse,
  StreamFlowGroupsRequestSchema,
  StreamFlowGroupsResponse,
} from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import type { Fleet } from '../domain/fleet.ts';
import type { Parser } from '../parsing/parser.ts';
import type { Tables } from '../store/tables.ts';
import type { AckBook } from './ack-book.ts';

/** Wakes those who wait for hosts: what this process has stored; other replicas' news are polled. */
export class Acknowledged {
  readonly #events = new EventEmitter().setMaxListeners(0);

  notify(): void {
    this.#events.emit('stored');
  }

  async next(signal: AbortSignal): Promise<void> {
    await once(this.#events, 'stored', { signal }).catch(() => {});
  }
}

export interface Operations {
  readonly db: Database<Tables>;
  readonly fleet: Fleet;
  readonly parser: Parser;
  readonly acknowledged: Acknowledged;
  readonly ackBook: AckBook;
  readonly changes: Pick<ChangeFeed, 'follow'>;
  /** What analytics has stored; ends there too when `signal` aborts. */
  readonly flowGroups: (
    request: MessageInitShape<typeof StreamFlowGroupsRequestSchema>,
    signal: AbortSignal,
  ) => AsyncIterable<StreamFlowGroupsResponse>;
  /** How often rules decided; of 1000 at most. */
  readonly ruleHits: (ids: readonly number[]) => Promise<BatchGetRuleHitsResponse>;
  /** Resolves once the fleet is known; rejects with UNAVAILABLE when that takes too long. */
  readonly fleetKnown: () => Promise<void>;
}

export const notFound = (what: string, id: string, fix: string): Error =>
  weirError('NOT_FOUND', `there is no ${what} ${JSON.stringify(id)}`, { field: 'id', value: id, fix });

export const policyNotFound = (key: string): Error =>
  notFound('policy', key, 'list what exists with GET /v1/policies; cluster-wide ones have - as namespace');
