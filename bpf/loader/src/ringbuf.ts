// SPDX-License-Identifier: Apache-2.0
/**
 * Events from a BPF ring buffer. A native thread reads and encodes; JavaScript gets whole batches. Back-pressure
 * reaches the kernel: while `maxQueued` batches are unfinished here (their onBatch has not returned, or its promise
 * has not settled) nothing is taken out of the ring, and the programs count what finds no room. In user space nothing
 * is ever dropped.
 */
import { attempt } from './errors.ts';
import type { BpfMap } from './map.ts';
import { native } from './native.ts';

/** A weir.flow.v1.FlowBatch, encoded. */
export interface FlowBatchBytes {
  readonly kind: 'flow';
  readonly bytes: Buffer;
  /** Of the first flow; the batch after this one begins at firstSeq + count. */
  readonly firstSeq: bigint;
  readonly count: number;
  /** struct owner of each process that its flows name. */
  readonly owners: Buffer;
}

export interface FlowRingOptions {
  /** Written into each batch: start of the agent, Unix milliseconds. */
  readonly boot: bigint;
  readonly firstSeq: bigint;
  /** Flows in a batch at most; 1000 unless told: that makes publishing cheap. */
  readonly batchMax?: number;
  /** How long an event waits for company at most; 50 unless told. */
  readonly flushMs?: number;
  /**
   * Added to connection_ns. It is part of a connection's identity, so unlike that of time_ns it must not follow the
   * clock: measured once at the start, or given by who kept the one of an earlier run.
   */
  readonly connectionOffsetNs?: bigint;
}

export interface RingOptions {
  readonly map: BpfMap;
  readonly flow: FlowRingOptions;
  /** How often the ring is read when the kernel does not ask for it; 20 unless told. */
  readonly pollMs?: number;
  /** 64 unless told. */
  readonly maxQueued?: number;
  readonly onBatch: (batch: FlowBatchBytes) => unknown;
  /** Events of other kinds, one after the other; each begins with struct event_header, which has its size. */
  readonly onEvents?: (raw: Buffer, count: number) => unknown;
  /** What onBatch or onEvents threw; without it such an error is an uncaught exception. */
  readonly onError?: (error: unknown) => void;
}

export interface RingStats {
  /** Flow events taken out of the ring. */
  readonly events: bigint;
  /** Events of other kinds. */
  readonly others: bigint;
  /** Records that are no event of this ABI version; never expected. */
  readonly malformed: bigint;
  readonly batches: bigint;
  /** Always 0: what cannot be handed on stays in the ring, and the kernel side counts what is lost. */
  readonly lostQueue: bigint;
  /** Reads that ended early because JavaScript was behind. */
  readonly stalls: bigint;
  /** Batches that JavaScript has not finished. */
  readonly queued: number;
}

export interface Ring {
  stats(): RingStats;
  /** Sequence number of the first flow of the next batch. */
  readonly nextSeq: bigint;
  readonly connectionOffsetNs: bigint;
  /** Hands on what is in the ring now; settles when the last batch is finished. */
  stop(): Promise<void>;
}

/** CLOCK_REALTIME - CLOCK_MONOTONIC now: makes Unix times of the kernel's. */
export const clockOffsetNs = (): bigint => native().clockOffset();

export const ringBuffer = (options: RingOptions): Ring => {
  const { map, flow, onBatch, onEvents } = options;
  const connectionOffsetNs = flow.connectionOffsetNs ?? clockOffsetNs();
  const unfinished = new Set<Promise<void>>();
  const fail =
    options.onError ??
    ((error: unknown) => {
      process.nextTick(() => {
        throw error;
      });
    });

  const receive = (isFlows: boolean, bytes: Buffer, count: number, firstSeq: bigint, owners: Buffer): void => {
    const work = (async () => {
      try {
        if (isFlows) await onBatch({ kind: 'flow', bytes, firstSeq, count, owners });
        else await onEvents?.(bytes, count);
      } catch (error) {
        fail(error);
      } finally {
        native().ringDone(handle);
      }
    })();
    unfinished.add(work);
    void work.finally(() => unfinished.delete(work));
  };

  const handle = attempt(`ring buffer '${map.name}'`, () =>
    native().ringOpen(
      map.handle,
      {
        batchMax: flow.batchMax ?? 1000,
        flushMs: flow.flushMs ?? 50,
        pollMs: options.pollMs ?? 20,
        maxQueued: options.maxQueued ?? 64,
        wantsOthers: onEvents !== undefined,
        boot: flow.boot,
        firstSeq: flow.firstSeq,
        connectionOffset: BigInt.asUintN(64, connectionOffsetNs),
      },
      receive,
    ),
  );

  return {
    stats: () => {
      const { nextSeq: _, ...stats } = native().ringStats(handle);
      return { ...stats, lostQueue: 0n };
    },
    get nextSeq() {
      return native().ringStats(handle).nextSeq;
    },
    connectionOffsetNs,
    stop: async () => {
      await native().backgroundStop(handle);
      while (unfinished.size > 0) await Promise.all(unfinished);
    },
  };
};

export interface EncodeOptions {
  readonly boot: bigint;
  readonly firstSeq: bigint;
  /** Added to time_ns. */
  readonly offsetNs: bigint;
  /** Added to connection_ns; offsetNs unless told. */
  readonly connectionOffsetNs?: bigint;
}

/** Whole `struct flow_event`s, one after the other, to a FlowBatch: what the ring's thread does. */
export const encodeFlows = (raw: Uint8Array, options: EncodeOptions): Buffer =>
  attempt('flow events', () =>
    native().encodeFlows(
      raw,
      options.boot,
      options.firstSeq,
      BigInt.asUintN(64, options.offsetNs),
      BigInt.asUintN(64, options.connectionOffsetNs ?? options.offsetNs),
    ),
  );
