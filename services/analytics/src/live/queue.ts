// SPDX-License-Identifier: Apache-2.0
/**
 * What waits for one reader of a live stream. Bounded: a reader that is too slow loses events, is told how many, and
 * holds up nobody else.
 */
import { counter } from '@weir/telemetry';

export interface Lost {
  /** Events that were not kept for the reader; 0: an unknown number. */
  readonly lost: number;
  readonly source: 'STREAM_QUEUE' | 'NOT_YET_STORED' | 'EXPIRED';
}

/** A second of a busy fleet, a megabyte or so. */
const QUEUE_MAX = 2_000;

export class EventQueue<T extends object> {
  readonly #items: T[] = [];
  #head = 0;
  #lost = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  push(event: T): void {
    if (this.#items.length - this.#head >= QUEUE_MAX) {
      this.#lost += 1;
      return;
    }
    this.#items.push(event);
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The next event, or what was lost behind the last one; undefined at the end. */
  async next(): Promise<T | Lost | undefined> {
    for (;;) {
      const item = this.#items[this.#head];
      if (item !== undefined) {
        this.#head += 1;
        if (this.#head > QUEUE_MAX / 2) {
          this.#items.splice(0, this.#head);
          this.#head = 0;
        }
        return item;
      }
      if (this.#lost > 0) {
        const lost = this.#lost;
        this.#lost = 0;
        counter('weir_analytics_stream_lost_total').add(lost);
        return { lost, source: 'STREAM_QUEUE' };
      }
      if (this.#ended) return undefined;
      await new Promise<void>((done) => {
        this.#wake = done;
      });
      this.#wake = undefined;
    }
  }
}
