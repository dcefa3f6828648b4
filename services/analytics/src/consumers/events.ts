// SPDX-License-Identifier: Apache-2.0
/**
 * The way in of each kind of event: messages of its durable consumer are gathered into batches of 16,000 events or 100 ms and
 * stored, each batch in one transaction, a few at a time. Replicas share the consumer.
 *
 * Nothing is lost and memory is bounded: a message is acknowledged after its commit and never before; while Postgres
 * is away nothing is pulled; what can never be stored is set aside with its reason before the bus may forget it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { type Bus, type EventKind, ensureStreams, eventMessageId, STREAM } from '@weir/bus';
import { isWeirError } from '@weir/errors';
import { counter, histogram, logger } from '@weir/telemetry';
import type pg from 'pg';
import { readBatchHead } from '../domain/flow-reader.ts';
import { PoisonError, poison } from '../domain/wire.ts';
import { saveDeadLetter } from '../store/dead-letters.ts';
import type { EventMessage, EventStore, StoredBatch } from '../store/ingest.ts';
import { CONSUMERS, SUBJECTS } from './kinds.ts';
import { Pull, type Pulled } from './pull.ts';
import { publishWatermarks } from './watermarks.ts';

export interface EventConsumerOptions {
  readonly kind: EventKind;
  readonly bus: Bus;
  /** As given to connectBus. */
  readonly inboxPrefix: string;
  readonly pool: pg.Pool;
  readonly store: EventStore;
  /** Transactions at once: one is transcoded while Postgres works on another. */
  readonly parallel?: number;
  readonly maxRows?: number;
  readonly maxWaitMs?: number;
  /** For tests: called after each commit, before its messages are acknowledged. */
  readonly onCommitted?: () => void;
}

export interface EventConsumer {
  /** Messages taken from the bus and not yet settled. */
  pending(): number;
  stop(): Promise<void>;
}

interface Received extends EventMessage {
  readonly msg: Pulled;
}

const PARALLEL = 2;
const MAX_ROWS = 16_000;
const MAX_WAIT_MS = 100;
/** Taken from the bus ahead of their turn. In bytes, because a hostile host sends the largest messages it may. */
const PREFETCH_BYTES = 32 * 1024 * 1024;
/** Five times what 16,000 flows take. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** Longer than a batch waits and its transaction may take; then the bus gives the message to another replica. */
const ACK_WAIT_MS = 30_000;
const MAX_ACK_PENDING = 10_000;
/** Of an id that is wrong, in the reason. */
const ID_SHOWN = 200;
/** Failures that are not Postgres' absence, of one message by itself. */
const MAX_DELIVERIES = 5;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;

const log = logger('analytics.events');

const METRICS = {
  flow: {
    stored: 'weir_analytics_flows_stored_total',
    duplicate: 'weir_analytics_flows_duplicate_total',
    retimed: 'weir_analytics_flows_retimed_total',
  },
  process: {
    stored: 'weir_analytics_process_events_stored_total',
    duplicate: 'weir_analytics_process_events_duplicate_total',
    retimed: 'weir_analytics_process_events_retimed_total',
  },
} as const;

const consumerConfig = (kind: EventKind) => ({
  durable_name: CONSUMERS[kind],
  filter_subject: SUBJECTS[kind].wildcard,
  ack_policy: AckPolicy.Explicit,
  deliver_policy: DeliverPolicy.All,
  ack_wait: nanos(ACK_WAIT_MS),
  max_ack_pending: MAX_ACK_PENDING,
  max_deliver: -1,
});

const ensureConsumer = async ({ jsm }: Bus, kind: EventKind): Promise<void> => {
  await jsm.consumers.add(STREAM.EVENTS, consumerConfig(kind));
};

const messageId = (msg: Pulled): string => msg.headers?.get('Nats-Msg-Id') ?? '';

/**
 * Throws PoisonError. The host is what the broker authenticated. The id must be that of the batch: what another stream
 * delivered, or the broker answered to a host's subject (any client can make it do that), has no such id.
 */
const open = (kind: EventKind, msg: Pulled): Received => {
  const host = SUBJECTS[kind].parse(msg.subject)?.host ?? poison(`${msg.subject} names no host`);
  const head = readBatchHead(msg.data);
  const id = messageId(msg);
  const wanted = eventMessageId(host, BigInt(head.boot), BigInt(head.firstSeq), kind);
  if (id !== wanted) poison(`its id is ${JSON.stringify(id.slice(0, ID_SHOWN))}, that of its batch ${wanted}`);
  return { msg, host, data: msg.data, head };
};

/** How many events a message holds that cannot be stored, when that much of it can be read. */
const eventsOf = (kind: EventKind, msg: Pulled): { events?: { boot: number; count: number } } => {
  try {
    const { boot, count } = open(kind, msg).head;
    return { events: { boot, count } };
  } catch (error) {
    if (error instanceof PoisonError) return {};
    throw error;
  }
};

const isUnavailable = (error: unknown): boolean => isWeirError(error) && error.code === 'UNAVAILABLE';

class Ingest {
  readonly #options: EventConsumerOptions;
  readonly #maxRows: number;
  readonly #maxWaitMs: number;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #batch: Received[] = [];
  #rows = 0;
  #timer: NodeJS.Timeout | undefined;
  #pull: Pull | undefined;
  #bytes = 0;
  #unsettled = 0;
  /** Set while Postgres is away; resolves when it answers again. */
  #outage: Promise<void> | undefined;

  constructor(options: EventConsumerOptions) {
    this.#options = options;
    this.#maxRows = options.maxRows ?? MAX_ROWS;
    this.#maxWaitMs = options.maxWaitMs ?? MAX_WAIT_MS;
  }

  get pending(): number {
    return this.#unsettled;
  }

  async run(): Promise<void> {
    const { bus, inboxPrefix } = this.#options;
    const { signal } = this.#stopping;
    await this.#ensureConsumer();
    if (signal.aborted) return;
    this.#pull = new Pull({
      nc: bus.nc,
      inboxPrefix,
      stream: STREAM.EVENTS,
      consumer: CONSUMERS[this.#options.kind],
      maxBytes: PREFETCH_BYTES,
      onGone: () => this.#ensureConsumer(),
    });
    for await (const msg of this.#pull) await this.#take(msg);
  }

  /** Asks until it is there: the broker may have lost it, or not be up yet. */
  async #ensureConsumer(): Promise<void> {
    const { signal } = this.#stopping;
    for (let waitMs = RETRY_MIN_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        await ensureStreams(this.#options.bus.jsm);
        await ensureConsumer(this.#options.bus, this.#options.kind);
        return;
      } catch (error) {
        log.warn({ error }, 'the consumer of events could not be made yet');
        await sleep(waitMs, undefined, { signal }).catch(() => {});
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#pull?.stop();
    clearTimeout(this.#timer);
    // What was gathered and not begun goes back to the bus at once.
    for (const { msg } of this.#batch) msg.nak();
    this.#batch = [];
    await Promise.all(this.#running);
  }

  async #take(msg: Pulled): Promise<void> {
    this.#unsettled += 1;
    try {
      const received = open(this.#options.kind, msg);
      this.#batch.push(received);
      this.#rows += received.head.count;
      this.#bytes += received.data.length;
    } catch (error) {
      if (!(error instanceof PoisonError)) throw error;
      await this.#freeSlot();
      this.#start(this.#setAside(msg, error.message));
      return;
    }
    this.#timer ??= setTimeout(() => this.#flushIfIdle(), this.#maxWaitMs);
    if (this.#rows >= this.#maxRows || this.#bytes >= BATCH_BYTES) await this.#flush();
    else if (this.#outage !== undefined) await this.#freeSlot();
  }

  /** The time is up: store what there is, unless all hands are busy; then it may as well grow. */
  #flushIfIdle(): void {
    this.#timer = undefined;
    if (this.#running.size < (this.#options.parallel ?? PARALLEL) && this.#outage === undefined) void this.#flush();
    else if (this.#batch.length > 0) this.#timer = setTimeout(() => this.#flushIfIdle(), this.#maxWaitMs / 10);
  }

  async #freeSlot(): Promise<void> {
    while (this.#outage !== undefined) await this.#outage;
    while (this.#running.size >= (this.#options.parallel ?? PARALLEL)) await Promise.race(this.#running);
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#batch;
    this.#batch = [];
    this.#rows = 0;
    this.#bytes = 0;
    if (batch.length === 0) return;
    if (this.#running.size >= (this.#options.parallel ?? PARALLEL) || this.#outage !== undefined)
      await this.#freeSlot();
    if (this.#stopping.signal.aborted) for (const { msg } of batch) msg.nak();
    else this.#start(this.#storeAll(batch));
  }

  #start(work: Promise<void>): void {
    const running: Promise<void> = work.finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #storeAll(batch: readonly Received[]): Promise<void> {
    const startedAt = performance.now();
    try {
      const stored = await this.#options.store.store(batch);
      this.#options.onCommitted?.();
      this.#settle(batch, stored);
      histogram('weir_analytics_store_duration_seconds').record((performance.now() - startedAt) / 1_000);
    } catch (error) {
      if (error instanceof PoisonError) await this.#storeReadable(batch);
      else if (isUnavailable(error)) this.#giveBack(batch, error);
      else await this.#divide(batch, error);
    }
  }

  #settle(batch: readonly Received[], stored: StoredBatch): void {
    for (const { msg } of batch) msg.ack();
    this.#unsettled -= batch.length;
    const { bus, kind } = this.#options;
    const names = METRICS[kind];
    counter(names.stored).add(stored.rows);
    if (stored.duplicates > 0) counter(names.duplicate).add(stored.duplicates);
    if (stored.retimed > 0) counter(names.retimed).add(stored.retimed);
    publishWatermarks(bus, kind, stored.settled);
  }

  /** At least one cannot be read: find all of those at once, so that many cost no more than one. */
  async #storeReadable(batch: readonly Received[]): Promise<void> {
    const readable: Received[] = [];
    for (const received of batch) {
      try {
        this.#options.store.validate(received.data);
        readable.push(received);
      } catch (error) {
        await this.#setAside(received.msg, error instanceof Error ? error.message : String(error));
      }
    }
    if (readable.length === batch.length) await this.#divide(batch, new Error('it could not be transcoded'));
    else if (readable.length > 0) await this.#storeAll(readable);
  }

  /** Postgres refuses something in it: halve until it is alone. */
  async #divide(batch: readonly Received[], error: unknown): Promise<void> {
    const [only] = batch;
    if (batch.length === 1 && only !== undefined) {
      const deliveries = only.msg.deliveries;
      log.error({ error, host: only.host, deliveries }, 'a message could not be stored');
      if (deliveries < MAX_DELIVERIES) {
        this.#unsettled -= 1;
        only.msg.nak(RETRY_MIN_MS * 2 ** deliveries);
      } else await this.#setAside(only.msg, error instanceof Error ? error.message : String(error));
      return;
    }
    const half = batch.length >> 1;
    await this.#storeAll(batch.slice(0, half));
    await this.#storeAll(batch.slice(half));
  }

  async #setAside(msg: Pulled, reason: string): Promise<void> {
    try {
      await saveDeadLetter(this.#options.pool, {
        kind: this.#options.kind,
        host: SUBJECTS[this.#options.kind].parse(msg.subject)?.host ?? null,
        subject: msg.subject,
        streamSeq: msg.streamSeq,
        messageId: messageId(msg),
        deliveries: msg.deliveries,
        reason,
        payload: msg.data,
        ...eventsOf(this.#options.kind, msg),
      });
    } catch (error) {
      this.#giveBack([{ msg }], error);
      return;
    }
    msg.term();
    this.#unsettled -= 1;
    counter('weir_analytics_dead_letters_total').add(1);
    log.warn({ subject: msg.subject, reason }, 'a message was set aside');
  }

  #giveBack(batch: readonly { readonly msg: Pulled }[], error: unknown): void {
    this.#unsettled -= batch.length;
    for (const { msg } of batch) msg.nak(Math.round(RETRY_MIN_MS * (1 + Math.random())));
    if (isUnavailable(error)) this.#outage ??= this.#waitForDatabase(error);
    else log.error({ error }, 'messages were given back to the bus');
  }

  async #waitForDatabase(error: unknown): Promise<void> {
    log.warn({ error }, 'Postgres is away; no events are taken from the bus until it is back');
    const { signal } = this.#stopping;
    for (let waitMs = RETRY_MIN_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS / 5)) {
      await sleep(waitMs, undefined, { signal }).catch(() => {});
      try {
        await this.#options.pool.query('select 1');
        break;
      } catch {
        // Still away.
      }
    }
    this.#outage = undefined;
    log.info('Postgres is back');
  }
}

export const consumeEvents = (options: EventConsumerOptions): EventConsumer => {
  const ingest = new Ingest(options);
  const running = ingest.run();
  return {
    pending: () => ingest.pending,
    stop: async () => {
      await ingest.stop();
      await running;
    },
  };
};
