// SPDX-License-Identifier: Apache-2.0
/** Events of processes as they pass on the bus, for the streams that are open; one core subscription for all of them. */
import type { Msg, Subscription } from '@nats-io/nats-core';
import { type Bus, subjects } from '@weir/bus';
import { weirError } from '@weir/errors';
import { logger } from '@weir/telemetry';
import { readBatchHead } from '../domain/flow-reader.ts';
import { compileProcessFilter, type ProcessFilter, type ProcessTest } from '../domain/process-filter.ts';
import { ProcessReader } from '../domain/process-reader.ts';
import { readProcessEvent, type StoredProcessEvent } from '../domain/process-view.ts';
import type { OpenQueue } from './follow.ts';
import { EventQueue } from './queue.ts';

/** As many as of flows. */
const STREAMS_MAX = 200;
const NS_PER_US = 1_000n;

const log = logger('analytics.live-processes');

interface Listener {
  readonly queue: EventQueue<StoredProcessEvent>;
  readonly test: ProcessTest;
  readonly untilUs: number;
}

export class LiveProcesses {
  readonly #bus: Pick<Bus, 'nc'>;
  readonly #listeners = new Set<Listener>();
  readonly #reader = new ProcessReader();
  #subscription: Subscription | undefined;

  constructor(bus: Pick<Bus, 'nc'>) {
    this.#bus = bus;
  }

  /** From the moment that this resolves, every event published is in the queue, or counted as lost by it. */
  async open(filter: ProcessFilter): Promise<OpenQueue<StoredProcessEvent>> {
    if (this.#listeners.size >= STREAMS_MAX) {
      throw weirError('RATE_LIMITED', `there are ${STREAMS_MAX} live streams of processes already`, {
        fix: 'close a stream or try again later',
        retryAfterS: 5,
      });
    }
    const queue = new EventQueue<StoredProcessEvent>();
    const untilUs = filter.untilUs ?? Number.POSITIVE_INFINITY;
    const listener: Listener = { queue, test: compileProcessFilter(filter), untilUs };
    this.#listeners.add(listener);
    const close = (): void => {
      queue.end();
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#subscription?.unsubscribe();
      this.#subscription = undefined;
    };
    this.#subscription ??= this.#bus.nc.subscribe(subjects.evtProcess.wildcard, {
      callback: (error, msg) => {
        if (error) log.warn({ error }, 'events of processes cannot be read from the bus');
        else this.#receive(msg);
      },
    });
    try {
      // A round trip: the broker has the subscription.
      await this.#bus.nc.flush();
    } catch (cause) {
      close();
      throw weirError('UNAVAILABLE', 'the bus is not reachable', { retryAfterS: 1, cause });
    }
    return { queue, close };
  }

  close(): void {
    for (const { queue } of this.#listeners) queue.end();
    this.#listeners.clear();
    this.#subscription?.unsubscribe();
  }

  #receive(msg: Msg): void {
    const host = subjects.evtProcess.parse(msg.subject)?.host;
    if (host === undefined) return;
    const reader = this.#reader;
    try {
      const { boot, firstSeq } = readBatchHead(msg.data);
      reader.open(msg.data);
      for (let seq = firstSeq; reader.next(); seq += 1) {
        seq += reader.skipped;
        const timeUs = Number(reader.timeNs / NS_PER_US);
        let event: StoredProcessEvent | undefined;
        for (const { queue, test, untilUs } of this.#listeners) {
          if (timeUs >= untilUs || !test(reader, host)) continue;
          event ??= { timeUs, host, boot, seq, event: readProcessEvent(host, reader.event) };
          queue.push(event);
        }
      }
    } catch (error) {
      // The consumer sets such a message aside and says so.
      log.debug({ error, subject: msg.subject }, 'a message could not be read');
    }
  }
}
