// SPDX-License-Identifier: Apache-2.0
/** What REST and gRPC both do with events of processes, so that both doors answer alike. */
import type { Bus } from '@weir/bus';
import { Cursors, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX } from '@weir/http';
import { type ProcessFilterParams, parseExecId, parseProcessFilter } from './domain/process-filter.ts';
import type { StoredProcessEvent } from './domain/process-view.ts';
import { FlowKeySchema, newest, readLast } from './flow-api.ts';
import { type FollowEvent, follow } from './live/follow.ts';
import { Position } from './live/position.ts';
import type { LiveProcesses } from './live/processes.ts';
import type { ProcessPages, ProcessTree } from './store/process-pages.ts';

export interface ProcessApiDeps {
  readonly bus: Pick<Bus, 'jsm'>;
  readonly liveProcesses: LiveProcesses;
  readonly processPages: ProcessPages;
}

export interface ListProcessesRequest {
  readonly params: ProcessFilterParams;
  /** A number of events, or how far back, such as 5m. */
  readonly last?: string;
  readonly limit?: number;
  readonly cursor?: string;
  readonly cursorField?: string;
}

const EVENTS = new Cursors('process events', FlowKeySchema);

export const listProcessEvents = async (
  { processPages }: ProcessApiDeps,
  { params, last, limit, cursor, cursorField }: ListProcessesRequest,
): Promise<{ readonly events: readonly StoredProcessEvent[]; readonly next: string | null }> => {
  const nowMs = Date.now();
  const filter = parseProcessFilter(params, nowMs);
  const { count, sinceUs } = readLast(last, nowMs);
  const scope = { ...params, last };
  const place = EVENTS.decode(cursor, scope, cursorField);
  const fromUs = place?.f ?? newest(filter.sinceUs, sinceUs);
  const { items, next } = await processPages.page({
    filter,
    sinceUs: fromUs,
    limit: Math.min(limit ?? count ?? PAGE_LIMIT_DEFAULT, count ?? PAGE_LIMIT_MAX),
    ...(place ? { after: { timeUs: place.t, hostId: place.h, boot: place.b, seq: place.s } } : {}),
  });
  if (!next) return { events: items, next: null };
  const key = { t: next.timeUs, h: next.hostId, b: next.boot, s: next.seq };
  return { events: items, next: EVENTS.encode({ ...key, ...(fromUs === undefined ? {} : { f: fromUs }) }, scope) };
};

/** Rejects when the request is not valid or the bus is away; else the stream is open. */
export const streamProcessEvents = (
  { bus, liveProcesses, processPages }: ProcessApiDeps,
  { params, last, after }: { readonly params: ProcessFilterParams; readonly last?: string; readonly after?: string },
  signal: AbortSignal,
): Promise<AsyncGenerator<FollowEvent<StoredProcessEvent>>> => {
  const nowMs = Date.now();
  const filter = parseProcessFilter(params, nowMs);
  const { count, sinceUs } = readLast(last, nowMs);
  return follow(
    bus,
    {
      kind: 'process',
      open: () => liveProcesses.open(filter),
      page: (request) => processPages.page({ filter, ...request }),
      keptFromUs: () => processPages.keptFromUs(),
    },
    {
      sinceUs: newest(filter.sinceUs, sinceUs),
      ...(count === undefined ? {} : { last: count }),
      ...(after === undefined || after === '' ? {} : { from: Position.parse(after) }),
    },
    signal,
  );
};

export const processTree = ({ processPages }: ProcessApiDeps, execId: string): Promise<ProcessTree> =>
  processPages.tree(parseExecId('exec_id', execId), execId);
