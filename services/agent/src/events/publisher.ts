// SPDX-License-Identifier: Apache-2.0
/**
 * Moves records from the spool to the bus, in order, several in flight. A failed publish stops the flow until none is
 * in flight, then all that was not acknowledged goes again: a consumer never sees a batch for the first time behind
 * a later one, unless the broker itself lost it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SpoolRecord } from './segment.ts';
import type { Spool } from './spool.ts';

export interface PublisherOptions {
  readonly spool: Spool;
  /** Resolves when the bus acknowledged. */
  readonly publish: (record: SpoolRecord) => Promise<void>;
  readonly window?: number;
  readonly retryMinMs?: number;
  readonly retryMaxMs?: number;
  readonly onFailure?: (error: unknown) => void;
}

const WINDOW = 16;
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;

export class Publisher {
  readonly #options: Required<PublisherOptions>;
  readonly #stopping = new AbortController();
  readonly #inFlight = new Set<Promise<void>>();
  #wake: () => void = () => {};
  #woken = false;
  #failed = false;
  #paused = true;
  #waitMs: number;
  readonly #running: Promise<void>;

  constructor(options: PublisherOptions) {
    this.#options = {
      window: WINDOW,
      retryMinMs: RETRY_MIN_MS,
      retryMaxMs: RETRY_MAX_MS,
      onFailure: () => {},
      ...options,
    };
    this.#waitMs = this.#options.retryMinMs;
    this.#running = this.#run();
  }

  /** There is something new to send. */
  kick(): void {
    this.#woken = true;
    this.#wake();
  }

  /** While the bus is away nothing is tried: what was never sent can be counted as lost for certain. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#waitMs = this.#options.retryMinMs;
    this.kick();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.kick();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (this.#failed) await this.#recover();
      const record = this.#paused || this.#failed ? undefined : await this.#options.spool.next();
      if (record) {
        this.#send(record);
        if (this.#inFlight.size >= this.#options.window) await Promise.race(this.#inFlight);
        continue;
      }
      if (!this.#failed) await this.#idle();
    }
    await Promise.all(this.#inFlight);
  }

  #send(record: SpoolRecord): void {
    const sending = this.#options
      .publish(record)
      .then(async () => {
        this.#waitMs = this.#options.retryMinMs;
        await this.#options.spool.acked(record);
      })
      .catch((error: unknown) => {
        if (!this.#failed) this.#options.onFailure(error);
        this.#failed = true;
        this.#wake();
      })
      .finally(() => this.#inFlight.delete(sending));
    this.#inFlight.add(sending);
  }

  async #recover(): Promise<void> {
    await Promise.all(this.#inFlight);
    this.#options.spool.rewind();
    this.#failed = false;
    const waitMs = this.#waitMs * (0.5 + Math.random());
    this.#waitMs = Math.min(this.#waitMs * 2, this.#options.retryMaxMs);
    await sleep(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }

  async #idle(): Promise<void> {
    if (this.#woken) {
      this.#woken = false;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#woken || this.#failed || this.#stopping.signal.aborted) resolve();
    });
    this.#wake = () => {};
    this.#woken = false;
  }
}
