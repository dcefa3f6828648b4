// SPDX-License-Identifier: Apache-2.0
/**
 * A stream of flows: first what is stored (from a time, the last few, or from where the reader left off), then what
 * passes on the bus, without a gap and without a flow twice between the two. The live queue is opened first; then
 * everything published before that is waited for to be stored, read, and left out of what the queue holds.
 */
import type { Bus } from '@weir/bus';
import { resolveFilter } from '../domain/conditions.ts';
import type { Directory } from '../domain/directory.ts';
import type { FlowFilter } from '../domain/filter.ts';
import type { StoredFlow } from '../domain/flow-view.ts';
import type { FlowKey, FlowPage, FlowPages } from '../store/flow-pages.ts';
import { storeCaughtUp } from './caught-up.ts';
import type { LiveFlows } from './hub.ts';
import { OVERLAP_US, Position } from './position.ts';
import type { Lost } from './queue.ts';

export interface FollowDeps {
  readonly bus: Pick<Bus, 'jsm'>;
  readonly live: LiveFlows;
  readonly pages: FlowPages;
  readonly directory: Directory;
}

export interface FollowRequest {
  readonly filter: FlowFilter;
  /** Begin behind what the reader has. */
  readonly from?: Position;
  /** Begin with so many stored flows. */
  readonly last?: number;
}

/** `id`: where the reader is when it has this one. */
export type FollowEvent = { readonly flow: StoredFlow; readonly id: string } | Lost;

type KeyedFlow = FlowPage['flows'][number];

const PAGE = 500;

/** Stored flows from `sinceUs` on, or behind one of them, oldest first. */
async function* storedSince(
  deps: FollowDeps,
  filter: FlowFilter,
  sinceUs: number,
  behind: FlowKey | undefined,
  signal: AbortSignal,
): AsyncGenerator<KeyedFlow> {
  let after = behind;
  do {
    const page = await deps.pages.page({
      conditions: resolveFilter(filter, deps.directory),
      sinceUs,
      untilUs: filter.untilUs,
      limit: PAGE,
      order: 'oldest',
      ...(after ? { after } : {}),
    });
    yield* page.flows;
    after = page.next;
  } while (after !== undefined && !signal.aborted);
}

const lastStored = async (deps: FollowDeps, filter: FlowFilter, count: number): Promise<readonly KeyedFlow[]> => {
  const { flows } = await deps.pages.page({
    conditions: resolveFilter(filter, deps.directory),
    sinceUs: filter.sinceUs,
    untilUs: filter.untilUs,
    limit: count,
  });
  return [...flows].reverse();
};

/** Flows that were given from the store and may pass on the bus too: those of the last seconds. */
class Replayed {
  readonly #keys = new Set<string>();
  readonly #fromUs = Date.now() * 1000 - OVERLAP_US;

  static #key({ host, boot, seq }: StoredFlow): string {
    return `${host}:${boot}:${seq}`;
  }

  add(flow: StoredFlow): void {
    if (flow.timeUs >= this.#fromUs) this.#keys.add(Replayed.#key(flow));
  }

  has(flow: StoredFlow): boolean {
    return this.#keys.size > 0 && this.#keys.has(Replayed.#key(flow));
  }

  /** No message is on its way for that long. */
  forgetWhenOld(): void {
    if (this.#keys.size > 0 && Date.now() * 1000 > this.#fromUs + 3 * OVERLAP_US) this.#keys.clear();
  }
}

/** `position` ends as that of a reader who has all that was yielded. */
async function* replay(
  deps: FollowDeps,
  request: FollowRequest,
  position: Position,
  replayed: Replayed,
  signal: AbortSignal,
): AsyncGenerator<FollowEvent> {
  const { filter, from, last } = request;
  const sinceUs = from ? Math.max(from.sinceUs, filter.sinceUs ?? 0) : filter.sinceUs;
  if (sinceUs === undefined && last === undefined) return;
  if (!(await storeCaughtUp(deps.bus, 'flow', signal))) yield { lost: 0, source: 'NOT_YET_STORED' };
  // Every flow that the reader had was stored: its partition is gone only when retention took it, and what followed.
  if (from !== undefined && from.timeUs < ((await deps.pages.keptFromUs()) ?? Number.POSITIVE_INFINITY)) {
    yield { lost: 0, source: 'EXPIRED' };
  }
  const stored =
    from === undefined && last !== undefined
      ? await lastStored(deps, filter, last)
      : storedSince(deps, filter, sinceUs ?? 0, from?.stored, signal);
  const before = from ?? new Position();
  for await (const flow of stored) {
    if (before.covers(flow)) continue;
    replayed.add(flow);
    position.advance(flow);
    yield { flow, id: before.at(flow.key).toString() };
  }
}

async function* events(
  deps: FollowDeps,
  request: FollowRequest,
  stream: Awaited<ReturnType<LiveFlows['open']>>,
  signal: AbortSignal,
): AsyncGenerator<FollowEvent> {
  try {
    const position = request.from?.copy() ?? new Position(Date.now() * 1000);
    const replayed = new Replayed();
    yield* replay(deps, request, position, replayed, signal);
    while (!signal.aborted) {
      const item = await stream.queue.next();
      if (item === undefined) return;
      if ('lost' in item) yield item;
      else if (!replayed.has(item)) {
        position.advance(item);
        yield { flow: item, id: position.toString() };
      }
      replayed.forgetWhenOld();
    }
  } finally {
    stream.close();
  }
}

/** Resolves when the stream is open; it ends when `signal` is aborted. */
export const followFlows = async (
  deps: FollowDeps,
  request: FollowRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<FollowEvent>> => {
  const stream = await deps.live.open(request.filter);
  if (signal.aborted) stream.close();
  signal.addEventListener('abort', () => stream.close(), { once: true });
  return events(deps, request, stream, signal);
};
