// SPDX-License-Identifier: Apache-2.0
/**
 * Followers of the log of changes: what is behind their position, then what comes, without a gap between the two. All
 * followers of a process share one LISTEN, which is there while somebody follows; a timer covers what NOTIFY missed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Database } from '@weir/db';
import { weirError } from '@weir/errors';
import { observe } from '@weir/telemetry';
import type pg from 'pg';
import { CHANGES_KEPT, type Change, changesChannel } from './changes.ts';

/**
 * `ready` comes first: from here on nothing is missed. `reset`: what was missed is not known any more, so lists are to be read
 * again. Ids are places to go on behind.
 */
export type FeedEvent =
  | { readonly event: 'ready' | 'reset'; readonly id: string }
  | {
      readonly event: 'change';
      readonly id: string;
      readonly change: Omit<Change, 'revision'> & { readonly revision: bigint | null; readonly at: Date };
    };

export interface FollowChanges {
  /** Id of the last event that the follower has. */
  readonly after?: string;
  /** None: all. */
  readonly kinds?: readonly string[];
}

export interface ChangeFeedOptions {
  readonly db: Pick<Database<unknown>, 'pool' | 'schema'>;
  readonly onError: (error: unknown) => void;
  readonly pollMs?: number;
}

/** Enough for every operator of a fleet; each one asks the database for every change. */
const FOLLOWERS_MAX = 200;
const POLL_MS = 2_000;
const PAGE = 500;
const ID = /^(\d{1,15})\.(\d{1,15})$/;

const HEAD = 'select epoch, position from bus_publisher, change_head';
const SELECT = `select position, kind, key, what, revision, made_at from changes
  where position > $1 and ($2::text[] is null or kind = any ($2)) order by position limit ${PAGE}`;

interface Row {
  readonly position: bigint;
  readonly kind: string;
  readonly key: string;
  readonly what: Change['what'];
  readonly revision: bigint | null;
  readonly made_at: Date;
}

interface Place {
  readonly epoch: bigint;
  readonly position: bigint;
}

const idOf = ({ epoch, position }: Place): string => `${epoch}.${position}`;

const placeOf = (id: string): Place => {
  const [, epoch, position] = ID.exec(id) ?? [];
  if (epoch !== undefined && position !== undefined) return { epoch: BigInt(epoch), position: BigInt(position) };
  throw weirError('INVALID_ARGUMENT', 'Last-Event-ID is not one that this stream gave out', {
    field: 'Last-Event-ID',
    value: id.slice(0, 100),
    fix: 'send the id of the last event that you have, or leave it out to begin with what comes',
  });
};

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #closing = new AbortController();
  readonly #unobserve: () => void;
  readonly #wakers = new Set<() => void>();
  #followers = 0;
  /** Counts wakings: one that happens while a follower reads is not missed. */
  #woken = 0;
  #listening: Promise<void> | undefined;
  #unlisten = new AbortController();

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    this.#unobserve = observe('weir_change_streams', (result) => result(this.#followers));
  }

  /** Rejects when the request is not valid or the database is away; else the stream is open. Ends with the feed. */
  async follow({ after, kinds }: FollowChanges, signal: AbortSignal): Promise<AsyncGenerator<FeedEvent>> {
    if (this.#followers >= FOLLOWERS_MAX) {
      throw weirError('RATE_LIMITED', `there are ${FOLLOWERS_MAX} streams of changes already`, {
        fix: 'close a stream or try again later',
        retryAfterS: 5,
      });
    }
    const given = after === undefined || after === '' ? undefined : placeOf(after);
    const { rows } = await this.#options.db.pool.query<Place>(HEAD);
    const head = rows[0] as Place;
    const isKnown =
      given === undefined ||
      (given.epoch === head.epoch &&
        given.position <= head.position &&
        given.position >= head.position - BigInt(CHANGES_KEPT));
    const from = given !== undefined && isKnown ? given : head;
    const over = AbortSignal.any([signal, this.#closing.signal]);
    return this.#events(from, isKnown, kinds?.length ? kinds : undefined, over);
  }

  async #query(position: bigint, kinds: readonly string[] | undefined): Promise<Row[]> {
    return (await this.#options.db.pool.query<Row>(SELECT, [position.toString(), kinds ?? null])).rows;
  }

  async *#events(
    from: Place,
    isKnown: boolean,
    kinds: readonly string[] | undefined,
    over: AbortSignal,
  ): AsyncGenerator<FeedEvent> {
    this.#enter();
    try {
      yield { event: isKnown ? 'ready' : 'reset', id: idOf(from) };
      let { position } = from;
      while (!over.aborted) {
        const woken = this.#woken;
        const rows = await this.#query(position, kinds);
        for (const { position: at, kind, key, what, revision, made_at: madeAt } of rows) {
          position = at;
          const change = { kind, key, what, revision, at: madeAt };
          yield { event: 'change', id: idOf({ ...from, position }), change };
          if (over.aborted) return;
        }
        if (rows.length < PAGE && woken === this.#woken) await this.#next(over);
      }
    } finally {
      this.#leave();
    }
  }

  /** Until something was noted, or may have been. */
  #next(over: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      // Aborted while the rows were read: a listener would not be told any more.
      if (over.aborted) return resolve();
      const done = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(done);
        over.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, this.#options.pollMs ?? POLL_MS);
      this.#wakers.add(done);
      over.addEventListener('abort', done, { once: true });
    });
  }

  #wake = (): void => {
    this.#woken += 1;
    for (const waker of [...this.#wakers]) waker();
  };

  #enter(): void {
    this.#followers += 1;
    if (this.#listening !== undefined) return;
    this.#unlisten = new AbortController();
    this.#listening = this.#listen(this.#unlisten.signal);
  }

  #leave(): void {
    this.#followers -= 1;
    if (this.#followers > 0) return;
    this.#unlisten.abort();
    this.#listening = undefined;
  }

  async #listen(signal: AbortSignal): Promise<void> {
    const { db, onError, pollMs = POLL_MS } = this.#options;
    while (!signal.aborted) {
      let client: pg.PoolClient | undefined;
      try {
        client = await db.pool.connect();
        const ended = new AbortController();
        client.on('error', () => ended.abort());
        client.on('end', () => ended.abort());
        client.on('notification', this.#wake);
        await client.query(`listen "${changesChannel(db.schema)}"`);
        this.#wake();
        await sleep(2 ** 31 - 1, undefined, { signal: AbortSignal.any([signal, ended.signal]) }).catch(() => {});
      } catch (error) {
        if (!signal.aborted) onError(error);
        await sleep(pollMs, undefined, { signal }).catch(() => {});
      } finally {
        // Destroyed, not given back: with the session goes its LISTEN.
        client?.release(true);
      }
    }
  }

  /** Ends all streams. */
  close(): void {
    this.#closing.abort();
    this.#unobserve();
    this.#unlisten.abort();
  }
}

/** What the doors (@weir/http, @weir/rpc) need of a feed. */
export type ChangeSource = Pick<ChangeFeed, 'follow'>;
