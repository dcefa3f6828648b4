// SPDX-License-Identifier: Apache-2.0
/** Events of processes, numbered and put into batches for the spool. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { SpoolBatch } from '../events/segment.ts';
import type { EventSource, EventSourceOptions } from '../platform.ts';

/** As the ring buffer's reader does with flows. */
const EVENTS_MAX = 1_000;
const BYTES_MAX = 256 << 10;
const WAIT_MS = 50;

// Fields of weir.process.v1.ProcessBatch.
const BATCH = { BOOT: 1, FIRST_SEQ: 2, EVENTS: 3 } as const;

/** Takes encoded weir.process.v1.ProcessEvents. */
export class ProcessEvents implements EventSource {
  readonly #options: EventSourceOptions;
  #nextSeq: bigint;
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  /** That which is being put together: settles when it is in the spool, or counted. */
  #sent = Promise.withResolvers<void>();
  #stopped = false;

  constructor(options: EventSourceOptions) {
    this.#options = options;
    this.#nextSeq = options.firstSeq;
  }

  get nextSeq(): bigint {
    return this.#nextSeq;
  }

  /** Settles when they are on disk, or counted as lost. */
  async add(events: readonly Uint8Array[]): Promise<void> {
    const sent: Promise<void>[] = [];
    for (const event of events) {
      this.#waiting.push(event);
      this.#bytes += event.length;
      this.#nextSeq += 1n;
      sent.push(this.#sent.promise);
      if (this.#waiting.length >= EVENTS_MAX || this.#bytes >= BYTES_MAX) this.#flush();
    }
    if (this.#waiting.length > 0) {
      if (this.#stopped) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), WAIT_MS);
    }
    await Promise.all(new Set(sent));
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const events = this.#waiting;
    if (events.length === 0) return;
    const { promise, resolve, reject } = this.#sent;
    this.#waiting = [];
    this.#bytes = 0;
    this.#sent = Promise.withResolvers<void>();
    promise.catch(() => {}); // told to who waits for it
    this.#options.onBatch(this.#batch(events)).then(resolve, reject);
  }

  #batch(events: readonly Uint8Array[]): SpoolBatch {
    const firstSeq = this.#nextSeq - BigInt(events.length);
    const writer = new BinaryWriter();
    writer.tag(BATCH.BOOT, WireType.Varint).uint64(this.#options.boot);
    writer.tag(BATCH.FIRST_SEQ, WireType.Varint).uint64(firstSeq);
    for (const event of events) writer.tag(BATCH.EVENTS, WireType.LengthDelimited).bytes(event);
    return { firstSeq, count: events.length, bytes: writer.finish() };
  }

  stop(): Promise<void> {
    this.#stopped = true;
    const { promise } = this.#sent;
    if (this.#waiting.length === 0) return Promise.resolve();
    this.#flush();
    return promise;
  }
}
