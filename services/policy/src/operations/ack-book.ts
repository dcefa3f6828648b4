// SPDX-License-Identifier: Apache-2.0
/**
 * What each host said last, for everybody who waits for hosts. A thousand hosts acknowledge a revision in many small
 * batches and each wakes all who wait: those share a reading of the table instead of making one each. A reading is
 * shared only by who asked before it began, so that nobody is told less than was stored when he asked.
 */
import type { HostAck } from '../domain/realisation.ts';

export type Acks = ReadonlyMap<string, HostAck>;

export class AckBook {
  readonly #read: () => Promise<Acks>;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<Acks> | undefined;

  constructor(read: () => Promise<Acks>) {
    this.#read = read;
  }

  /** As stored now, or later. */
  acks(): Promise<Acks> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const reading = this.#read();
      this.#running = reading.catch(() => {});
      return reading;
    });
    return this.#next;
  }
}
