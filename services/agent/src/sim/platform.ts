// SPDX-License-Identifier: Apache-2.0
/**
 * A simulated host: the agent on it speaks the real bus, plans and executes as on a real one, and touches nothing. For
 * tests and for fleets of thousands. Every network namespace exists here; flows are made up at a given rate.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { weir_limits, weir_verdict } from '@weir/bpf';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { serviceCapacity } from '../plan/service-room.ts';
import type { EventSource, EventSourceOptions, Platform } from '../platform.ts';
import { emptyState, type MemoryState, memoryKernel } from './memory-kernel.ts';
import { madeUpProcesses } from './processes.ts';

export interface SimulatedOptions {
  /** Kept between agents of one host, as a kernel would. */
  readonly state?: MemoryState;
  readonly addresses?: readonly string[];
  /** Flow events per second; 0: none. */
  readonly flowsPerSecond?: number;
  /** No more than this; without it for ever. */
  readonly flowsTotal?: number;
  /** Flows whose number this divides were refused; without it all passed. */
  readonly refusedEvery?: number;
  /** So many made-up processes begin with the agent; without it none are watched. */
  readonly processesTotal?: number;
}

const FLUSH_MS = 50;
const TCP = 6;
const V4 = Uint8Array.of(10, 0, 0, 1);

/** The ring buffer's reader of a real host hands over no larger ones. */
const BATCH_MAX = 1_000;

const madeUpFlows = (
  { boot, firstSeq, onBatch }: EventSourceOptions,
  { flowsPerSecond: perSecond = 0, flowsTotal = Number.POSITIVE_INFINITY, refusedEvery = 0 }: SimulatedOptions,
): EventSource => {
  let nextSeq = firstSeq;
  let owed = 0;
  let left = flowsTotal;
  const wasRefused = (seq: bigint): boolean => refusedEvery > 0 && Number(seq) % refusedEvery === 0;
  const emit = (): void => {
    owed += Math.min(left, (perSecond * FLUSH_MS) / 1000);
    while (owed >= 1 && left > 0) send(Math.min(Math.floor(owed), BATCH_MAX, left));
  };
  const send = (count: number): void => {
    owed -= count;
    left -= count;
    const flows = Array.from({ length: count }, (_, i) => ({
      timeNs: BigInt(Date.now()) * 1_000_000n,
      sourceIp: V4,
      destinationIp: V4,
      sourcePort: 1024 + (i % 60_000),
      destinationPort: 80,
      protocol: TCP,
      verdict: wasRefused(nextSeq + BigInt(i)) ? weir_verdict.VERDICT_DROPPED : weir_verdict.VERDICT_FORWARDED,
      packets: 1n,
      bytes: 60n,
    }));
    const bytes = toBinary(FlowBatchSchema, create(FlowBatchSchema, { boot, firstSeq: nextSeq, flows }));
    const batch = { firstSeq: nextSeq, count, bytes };
    nextSeq += BigInt(count);
    void onBatch(batch);
  };
  const timer = perSecond > 0 ? setInterval(emit, FLUSH_MS) : undefined;
  return {
    get nextSeq() {
      return nextSeq;
    },
    stop: async () => clearInterval(timer),
  };
};

export const simulatedPlatform = (options: SimulatedOptions = {}): Platform & { readonly state: MemoryState } => {
  const state = options.state ?? emptyState();
  const kernel = memoryKernel(state, { anyNetns: true });
  return {
    state,
    kernel,
    kernelVersion: 'simulated',
    features: ['simulated'],
    replaced: [],
    capacity: {
      workloads: weir_limits.WEIR_MAX_WORKLOADS,
      addresses: weir_limits.WEIR_MAX_WORKLOADS * 2,
      ipcache: weir_limits.WEIR_MAX_IPCACHE,
      cidrs: weir_limits.WEIR_MAX_CIDRS,
      policy: weir_limits.WEIR_MAX_POLICY,
      conntrack: weir_limits.WEIR_MAX_CONNTRACK,
      nat: weir_limits.WEIR_MAX_NAT,
      ...serviceCapacity({}),
    },
    hostAddresses: async () => options.addresses ?? [],
    hostSubnets: async () => [],
    encryptionFacts: () => kernel.encryption.facts(),
    clockOffsetNs: () => BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint(),
    // Nothing answers on a network that is not there.
    probe: async () => ({ error: 'no answer', sourcePort: 0, durationUs: 0 }),
    monitor: () => ({ stop: async () => {} }),
    repairPins: async () => [],
    sweep: async () => ({ entries: 0, reported: 0, expired: 0, deferred: 0 }),
    counters: async () => ({ named: {}, eventsLost: 0n, eventsThrottled: 0n }),
    throttles: async () => [],
    connections: async () => [],
    nat: async () => undefined,
    prefilter: async () => undefined,
    acceleration: () => undefined,
    uplinks: () => ({ interfaces: [] }),
    startEvents: (events) => madeUpFlows(events, options),
    ...(options.processesTotal === undefined ? {} : { processes: madeUpProcesses(options.processesTotal) }),
    close: async () => {},
  };
};
