// SPDX-License-Identifier: Apache-2.0
/** Ring buffer -> spool -> bus, and the watermark that frees the spool. Of one kind of event. */
import { type Bus, type EventKind, eventMessageId, eventSubject, publishEvents, subjects } from '@weir/bus';
import { FIRST_SEQ } from '../boot.ts';
import type { EventSource, EventSourceOptions } from '../platform.ts';
import { Publisher } from './publisher.ts';
import { Spool, type SpoolStats } from './spool.ts';

export interface EventPumpOptions {
  readonly host: string;
  readonly boot: bigint;
  readonly spoolDir: string;
  readonly spoolMaxBytes: number;
  readonly kind: EventKind;
  readonly source: (options: EventSourceOptions) => EventSource;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

/** At the end of the agent: what can still be sent in this time is; the rest stays in the spool. */
const LAST_SEND_MS = 1_000;

export class EventPump {
  readonly #options: EventPumpOptions;
  readonly #spool: Spool;
  readonly #publisher: Publisher;
  readonly #source: EventSource;
  #bus: Bus | undefined;

  private constructor(options: EventPumpOptions, spool: Spool, onAppended: { call: () => void }) {
    this.#options = options;
    this.#spool = spool;
    this.#publisher = new Publisher({
      spool,
      publish: async (record) => {
        const bus = this.#bus;
        if (!bus) throw new Error('not connected to the bus');
        const { host, kind } = options;
        const id = eventMessageId(host, record.boot, record.firstSeq, kind);
        await publishEvents(bus.js, eventSubject(kind, host), record.bytes, id);
      },
      onFailure: (error) => options.onTrouble('events were not acknowledged by the bus; they are kept', error),
    });
    onAppended.call = () => this.#publisher.kick();
    this.#source = options.source({
      boot: options.boot,
      firstSeq: FIRST_SEQ,
      onBatch: (batch) => spool.append(batch),
      onTrouble: options.onTrouble,
    });
  }

  static async start(options: EventPumpOptions): Promise<EventPump> {
    const onAppended = { call: () => {} };
    const spool = await Spool.open({
      dir: options.spoolDir,
      boot: options.boot,
      maxBytes: options.spoolMaxBytes,
      onAppended: () => onAppended.call(),
      onTrouble: options.onTrouble,
    });
    return new EventPump(options, spool, onAppended);
  }

  /** Events may be published from now on, and watermarks are read. */
  connect(bus: Bus): void {
    this.#bus = bus;
    bus.nc.subscribe(subjects.wm.build({ host: this.#options.host }), {
      callback: (error, message) => {
        if (error) this.#options.onTrouble('watermarks cannot be read', error);
        else this.#onWatermark(message.data);
      },
    });
    this.#publisher.resume();
  }

  #onWatermark(data: Uint8Array): void {
    try {
      const { boot, seq, kind } = subjects.wm.decode(data);
      if (kind === this.#options.kind) void this.#spool.committed(boot, seq);
    } catch (error) {
      this.#options.onTrouble('a watermark could not be read', error);
    }
  }

  /** The connection to the bus is gone: nothing is tried until it is back. */
  disconnected(): void {
    this.#publisher.pause();
  }

  /** It is back, perhaps without what it acknowledged. */
  reconnected(): void {
    this.#spool.resendUncommitted();
    this.#publisher.resume();
  }

  /** To be called every few seconds: what was acknowledged long ago and never committed is sent again. */
  tick(): void {
    if (this.#spool.resendOverdue() > 0) this.#publisher.kick();
  }

  get nextSeq(): bigint {
    return this.#source.nextSeq;
  }

  stats(): SpoolStats {
    return this.#spool.stats();
  }

  async stop(): Promise<void> {
    await this.#source.stop();
    await this.#spool.flushed();
    const deadline = performance.now() + LAST_SEND_MS;
    while (this.#bus && this.#spool.hasUnsent && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await this.#publisher.stop();
    await this.#spool.close();
  }
}
