// SPDX-License-Identifier: Apache-2.0
/**
 * Flows as they pass on the bus, for the streams that are open: one core subscription for all of them, there only
 * while somebody listens. Each message is read once; an object is made only for a flow that somebody wants.
 */
import type { Msg, Subscription } from '@nats-io/nats-core';
import { type Bus, subjects } from '@weir/bus';
import { weirError } from '@weir/errors';
import { formatIp } from '@weir/net';
import { logger, observe } from '@weir/telemetry';
import { resolveFilter } from '../domain/conditions.ts';
import { packDetail } from '../domain/detail.ts';
import type { Directory } from '../domain/directory.ts';
import type { FlowFilter } from '../domain/filter.ts';
import { FlowReader, readBatchHead } from '../domain/flow-reader.ts';
import { microsOf } from '../domain/flow-rows.ts';
import type { StoredFlow } from '../domain/flow-view.ts';
import { compileConditions, type FlowTest } from '../domain/match.ts';
import { EventQueue } from './queue.ts';

/** Enough for every operator of a fleet; each one costs memory and time for all. */
const STREAMS_MAX = 200;

const log = logger('analytics.live');

interface Listener {
  readonly filter: FlowFilter;
  readonly queue: EventQueue<StoredFlow>;
  test: FlowTest;
  version: number;
}

const storedFlow = (flow: FlowReader, host: string, boot: number, seq: number, timeUs: number): StoredFlow => {
  const { message, sourceAt, destinationAt, addressBytes, xlatedAt, xlatedBytes } = flow;
  const { owner } = flow;
  const wide = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low);
  return {
    timeUs,
    host,
    boot,
    seq,
    connectionNs: wide(flow.connectionHigh, flow.connectionLow),
    packets: wide(flow.packetsHigh, flow.packetsLow),
    bytes: wide(flow.bytesHigh, flow.bytesLow),
    sourceIdentity: flow.sourceIdentity,
    destinationIdentity: flow.destinationIdentity,
    ruleId: flow.ruleId,
    workloadId: flow.workloadId,
    sourcePort: flow.sourcePort,
    destinationPort: flow.destinationPort,
    detail: packDetail(flow),
    protocol: flow.protocol,
    verdict: flow.verdict,
    dropReason: flow.dropReason,
    sourceIp: formatIp(message.subarray(sourceAt, sourceAt + addressBytes)),
    destinationIp: formatIp(message.subarray(destinationAt, destinationAt + addressBytes)),
    sourceXlated: xlatedBytes === 0 ? null : formatIp(message.subarray(xlatedAt, xlatedAt + xlatedBytes)),
    frontend: flow.frontend,
    pendingVerdict: flow.pendingVerdict,
    pendingRuleId: flow.pendingRuleId,
    ...(owner ? { owner } : {}),
  };
};

export class LiveFlows {
  readonly #bus: Pick<Bus, 'nc'>;
  readonly #directory: Directory;
  readonly #listeners = new Set<Listener>();
  readonly #reader = new FlowReader();
  readonly #unobserve: () => void;
  #subscription: Subscription | undefined;

  constructor(bus: Pick<Bus, 'nc'>, directory: Directory) {
    this.#bus = bus;
    this.#directory = directory;
    this.#unobserve = observe('weir_analytics_streams', (result) => result(this.#listeners.size));
  }

  /** From the moment that this resolves, every flow published is in the queue, or counted as lost by it. */
  async open(filter: FlowFilter): Promise<{ readonly queue: EventQueue<StoredFlow>; close(): void }> {
    if (this.#listeners.size >= STREAMS_MAX) {
      throw weirError('RATE_LIMITED', `there are ${STREAMS_MAX} live streams already`, {
        fix: 'close a stream or try again later',
        retryAfterS: 5,
      });
    }
    const listener: Listener = { filter, queue: new EventQueue(), test: () => false, version: -1 };
    this.#listeners.add(listener);
    const close = (): void => {
      listener.queue.end();
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#subscription?.unsubscribe();
      this.#subscription = undefined;
    };
    this.#subscription ??= this.#bus.nc.subscribe(subjects.evtFlow.wildcard, {
      callback: (error, msg) => {
        if (error) log.warn({ error }, 'flows cannot be read from the bus');
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
    return { queue: listener.queue, close };
  }

  close(): void {
    for (const { queue } of this.#listeners) queue.end();
    this.#listeners.clear();
    this.#subscription?.unsubscribe();
    this.#unobserve();
  }

  #test(listener: Listener): FlowTest {
    // A new workload may be among those that the filter names.
    if (listener.version !== this.#directory.version) {
      listener.version = this.#directory.version;
      listener.test = compileConditions(resolveFilter(listener.filter, this.#directory));
    }
    return listener.test;
  }

  #receive(msg: Msg): void {
    const host = subjects.evtFlow.parse(msg.subject)?.host;
    if (host === undefined) return;
    const reader = this.#reader;
    try {
      const { boot, firstSeq } = readBatchHead(msg.data);
      const listeners = [...this.#listeners].map((listener) => ({ ...listener, test: this.#test(listener) }));
      reader.open(msg.data);
      for (let seq = firstSeq; reader.next(); seq += 1) {
        seq += reader.skipped;
        const timeUs = microsOf(reader.timeHigh, reader.timeLow);
        let flow: StoredFlow | undefined;
        for (const { queue, test, filter } of listeners) {
          if (filter.untilUs !== undefined && timeUs >= filter.untilUs) continue;
          if (!test(reader, host, timeUs / 1000)) continue;
          flow ??= storedFlow(reader, host, boot, seq, timeUs);
          queue.push(flow);
        }
      }
    } catch (error) {
      // The consumer sets such a message aside and says so.
      log.debug({ error, subject: msg.subject }, 'a message could not be read');
    }
  }
}
