// SPDX-License-Identifier: Apache-2.0
/** What REST and gRPC both do with flows, so that both doors answer alike. */
import type { Bus } from '@weir/bus';
import { weirError } from '@weir/errors';
import { Cursors, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX } from '@weir/http';
import { durationMs } from '@weir/net';
import { Type } from 'typebox';
import { resolveFilter } from './domain/conditions.ts';
import type { Directory } from './domain/directory.ts';
import { type FilterParams, type FlowFilter, parseFilter } from './domain/filter.ts';
import type { StoredFlow } from './domain/flow-view.ts';
import { type FollowEvent, follow } from './live/follow.ts';
import type { LiveFlows } from './live/hub.ts';
import { Position } from './live/position.ts';
import type { FlowKey, FlowPages } from './store/flow-pages.ts';

export interface FlowApiDeps {
  readonly bus: Pick<Bus, 'jsm'>;
  readonly live: LiveFlows;
  readonly pages: FlowPages;
  readonly directory: Directory;
}

export interface ListRequest {
  readonly params: FilterParams;
  /** A number of flows, or how far back, such as 5m. */
  readonly last?: string;
  readonly limit?: number;
  readonly cursor?: string;
  /** How the request names its cursor. */
  readonly cursorField?: string;
}

export interface StreamRequest {
  readonly params: FilterParams;
  readonly last?: string;
  /** Id of the last event that the reader has. */
  readonly after?: string;
}

const safe = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** Place of the last event, and the beginning of the range: `5m` must not creep on from page to page. */
export const FlowKeySchema = Type.Object(
  {
    t: safe,
    h: Type.Integer({ minimum: 0, maximum: 0x7fff_ffff }),
    b: safe,
    s: safe,
    f: Type.Optional(safe),
  },
  { additionalProperties: false },
);

const FLOWS = new Cursors('flows', FlowKeySchema);

const badLast = (value: string): never => {
  throw weirError('INVALID_ARGUMENT', `last ${JSON.stringify(value)} is neither a number of events nor a duration`, {
    field: 'last',
    value,
    fix: `write a number from 1 to ${PAGE_LIMIT_MAX}, or how far back, such as 5m`,
  });
};

/** `last=20` is a number of events, `last=5m` a time. */
export const readLast = (
  last: string | undefined,
  nowMs: number,
): { readonly count?: number; readonly sinceUs?: number } => {
  if (last === undefined) return {};
  const ago = durationMs(last);
  if (ago !== undefined) return { sinceUs: Math.max(0, nowMs - ago) * 1000 };
  const count = /^\d{1,4}$/.test(last) ? Number(last) : 0;
  return count >= 1 && count <= PAGE_LIMIT_MAX ? { count } : badLast(last);
};

export const newest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);

export const listFlows = async (
  { pages, directory }: FlowApiDeps,
  { params, last, limit, cursor, cursorField }: ListRequest,
): Promise<{ readonly flows: readonly StoredFlow[]; readonly next: string | null }> => {
  const nowMs = Date.now();
  const filter = parseFilter(params, nowMs);
  const { count, sinceUs } = readLast(last, nowMs);
  const scope = { ...params, last };
  const place = FLOWS.decode(cursor, scope, cursorField);
  const fromUs = place?.f ?? newest(filter.sinceUs, sinceUs);
  const after: FlowKey | undefined = place && { timeUs: place.t, hostId: place.h, boot: place.b, seq: place.s };
  const page = await pages.page({
    conditions: resolveFilter(filter, directory),
    sinceUs: fromUs,
    untilUs: filter.untilUs,
    limit: Math.min(limit ?? count ?? PAGE_LIMIT_DEFAULT, count ?? PAGE_LIMIT_MAX),
    after,
  });
  const { next } = page;
  return {
    flows: page.flows,
    next: next
      ? FLOWS.encode(
          {
            t: next.timeUs,
            h: next.hostId,
            b: next.boot,
            s: next.seq,
            ...(fromUs === undefined ? {} : { f: fromUs }),
          },
          scope,
        )
      : null,
  };
};

/** Rejects when the request is not valid or the bus is away; else the stream is open. */
export const streamFlows = (
  deps: FlowApiDeps,
  { params, last, after }: StreamRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<FollowEvent<StoredFlow>>> => {
  const nowMs = Date.now();
  const filter: FlowFilter = parseFilter(params, nowMs);
  const { count, sinceUs } = readLast(last, nowMs);
  const { pages, directory, live, bus } = deps;
  return follow(
    bus,
    {
      kind: 'flow',
      open: () => live.open(filter),
      page: async (page) => {
        const conditions = resolveFilter(filter, directory);
        const { flows, next } = await pages.page({ ...page, conditions, untilUs: filter.untilUs });
        return { items: flows, ...(next ? { next } : {}) };
      },
      keptFromUs: () => pages.keptFromUs(),
    },
    {
      sinceUs: newest(filter.sinceUs, sinceUs),
      ...(count === undefined ? {} : { last: count }),
      ...(after === undefined || after === '' ? {} : { from: Position.parse(after) }),
    },
    signal,
  );
};
