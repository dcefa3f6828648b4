// SPDX-License-Identifier: Apache-2.0
/**
 * A stream of events of one kind: first what is stored (from a time, the last few, or from where the reader left off), then what
 * passes on the bus, without a gap and without an event twice between the two. The live queue is opened first; then
 * everything published before that is waited for to be stored, read, and left out of what the queue holds.
 */
import type { Bus, EventKind } from '@weir/bus';
import type { FlowKey } from '../store/flow-pages.ts';
import { storeCaughtUp } from './caught-up.ts';
import { OVERLAP_US, Position } from './position.ts';
import type { EventQueue, Lost } from './queue.ts';

/** Where an event stands in time, and which it is of its host's. */
export interface Placed {
  readonly timeUs: number;
  readonly host: string;
  readonly boot: number;
  readonly seq: number;
}

type Keyed<T> = T & { readonly key: FlowKey };

export interface OpenQueue<T extends object> {
  readonly queue: EventQueue<T>;
  close(): void;
}

/** What is stored of a kind, and what passes. */
export interface EventSource<T extends Placed> {
  readonly kind: EventKind;
  /** From the moment that this resolves, every event published that is wanted is in the queue, or counted as lost by it. */
  open(): Promise<OpenQueue<T>>;
  page(request: {
    readonly sinceUs: number | undefined;
    readonly limit: number;
    readonly order: 'oldest' | 'newest';
    readonly after?: FlowKey;
  }): Promise<{ readonly items: readonly Keyed<T>[]; readonly next?: FlowKey }>;
  /** Undefined: nothing is stored. */
  keptFromUs(): Promise<number | undefined>;
}

export interface FollowRequest {
  /** Begin with what is stored from then on. */
  readonly sinceUs?: number;
  /** Begin behind what the reader has. */
  readonly from?: Position;
  /** Begin with so many stored events. */
  readonly last?: number;
}

/** `id`: where the reader is when it has this one. */
export type FollowEvent<T> = { readonly item: T; readonly id: string } | Lost;

const PAGE = 500;

/** Stored events from `sinceUs` on, or behind one of them, oldest first. */
async function* storedSince<T extends Placed>(
  source: EventSource<T>,
  sinceUs: number,
  behind: FlowKey | undefined,
  signal: AbortSignal,
): AsyncGenerator<Keyed<T>> {
  let after = behind;
  do {
    const page = await source.page({ sinceUs, limit: PAGE, order: 'oldest', ...(after ? { after } : {}) });
    yield* page.items;
    after = page.next;
  } while (after !== undefined && !signal.aborted);
}

/** Events that were given from the store and may pass on the bus too: those of the last seconds. */
class Replayed {
  readonly #keys = new Set<string>();
  readonly #fromUs = Date.now() * 1000 - OVERLAP_US;

  static #key({ host, boot, seq }: Placed): string {
    return `${host}:${boot}:${seq}`;
  }

  add(event: Placed): void {
    if (event.timeUs >= this.#fromUs) this.#keys.add(Replayed.#key(event));
  }

  has(event: Placed): boolean {
    return this.#keys.size > 0 && this.#keys.has(Replayed.#key(event));
  }

  /** No message is on its way for that long. */
  forgetWhenOld(): void {
    if (this.#keys.size > 0 && Date.now() * 1000 > this.#fromUs + 3 * OVERLAP_US) this.#keys.clear();
  }
}

/** `position` ends as that of a reader who has all that was yielded. */
async function* replay<T extends Placed>(
  bus: Pick<Bus, 'jsm'>,
  source: EventSource<T>,
  { from, last, sinceUs: since }: FollowRequest,
  position: Position,
  replayed: Replayed,
  signal: AbortSignal,
): AsyncGenerator<FollowEvent<T>> {
  const sinceUs = from ? Math.max(from.sinceUs, since ?? 0) : since;
  if (sinceUs === undefined && last === undefined) return;
  if (!(await storeCaughtUp(bus, source.kind, signal))) yield { lost: 0, source: 'NOT_YET_STORED' };
  // Every event that the reader had was stored: its partition is gone only when retention took it, and what followed.
  if (from !== undefined && from.timeUs < ((await source.keptFromUs()) ?? Number.POSITIVE_INFINITY)) {
    yield { lost: 0, source: 'EXPIRED' };
  }
  const stored =
    from === undefined && last !== undefined
      ? [...(await source.page({ sinceUs: since, limit: last, order: 'newest' })).items].reverse()
      : storedSince(source, sinceUs ?? 0, from?.stored, signal);
  const before = from ?? new Position();
  for await (const item of stored) {
    if (before.covers(item)) continue;
    replayed.add(item);
    position.advance(item);
    yield { item, id: before.at(item.key).toString() };
  }
}

async function* events<T extends Placed>(
  bus: Pick<Bus, 'jsm'>,
  source: EventSource<T>,
  request: FollowRequest,
  stream: OpenQueue<T>,
  signal: AbortSignal,
): AsyncGenerator<FollowEvent<T>> {
  try {
    const position = request.from?.copy() ?? new Position(Date.now() * 1000);
    const replayed = new Replayed();
    yield* replay(bus, source, request, position, replayed, signal);
    while (!signal.aborted) {
      const item = await stream.queue.next();
      if (item === undefined) return;
      if ('lost' in item) yield item;
      else if (!replayed.has(item)) {
        position.advance(item);
        yield { item, id: position.toString() };
      }
      replayed.forgetWhenOld();
    }
  } finally {
    stream.close();
  }
}

/** Resolves when the stream is open; it ends when `signal` is aborted. */
export const follow = async <T extends Placed>(
  bus: Pick<Bus, 'jsm'>,
  source: EventSource<T>,
  request: FollowRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<FollowEvent<T>>> => {
  const stream = await source.open();
  if (signal.aborted) stream.close();
  signal.addEventListener('abort', () => stream.close(), { once: true });
  return events(bus, source, request, stream, signal);
};
