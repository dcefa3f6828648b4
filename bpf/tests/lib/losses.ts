// SPDX-License-Identifier: Apache-2.0
/**
 * Exactly so many flow events through a ring buffer of a given size, read as the agent reads it: what came out, and
 * what the kernel counted as lost, by place and CPU.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { ringBuffer, skbContext } from '@weir/loader';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { weir_counter } from '../../gen/index.ts';
import { ethernet, ip4 } from './packet.ts';
import { udp } from './transport.ts';
import { PEER, WEB, World } from './world.ts';

export interface LossAccount {
  readonly delivered: number;
  /** Flows in the batches that were decoded, to see that a batch holds what it says. */
  readonly decoded: number;
  readonly decodedClaimed: number;
  /** Per CPU. */
  readonly lostRing: readonly number[];
  readonly throttled: readonly number[];
  /** Every batch begins where the one before ended. */
  readonly contiguous: boolean;
}

const CHUNK = 10_000;
const DECODE_EVERY = 20;

/** Frames of different connections, all refused: each is an event that has no later one. */
const refusedFrames = (count: number): { data: Buffer; ends: Uint32Array } => {
  const frame = ethernet(
    { from: WEB.mac, to: WEB.hostMac },
    ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 1, dport: 9, data: Buffer.alloc(24) })),
  );
  const data = Buffer.alloc(count * frame.length);
  const ends = new Uint32Array(count);
  for (let at = 0; at < count; at++) {
    data.set(frame, at * frame.length);
    data.writeUInt16BE(1 + (at % 65_535), at * frame.length + 34);
    ends[at] = (at + 1) * frame.length;
  }
  return { data, ends };
};

const perCpu = (world: World, counter: number): number[] => {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(counter);
  const value = world.map('counters').lookup(key) ?? Buffer.alloc(0);
  return Array.from({ length: value.length / 8 }, (_, cpu) => Number(value.readBigUInt64LE(cpu * 8)));
};

/** Two producers at once, so that more than one CPU takes part. `eventsPerSecond` 0: no limit. */
export const accountForFlows = async (flows: number, ringBytes: number, eventsPerSecond = 0): Promise<LossAccount> => {
  const config = { events_per_second: eventsPerSecond, events_wakeup_bytes: ringBytes / 4 };
  const world = await World.open(config, 4096, ringBytes);
  try {
    await world.policy(WEB, []);
    let delivered = 0;
    let decoded = 0;
    let decodedClaimed = 0;
    let batches = 0;
    let next = 0n;
    let contiguous = true;
    const ring = ringBuffer({
      map: world.map('events'),
      flow: { boot: 1n, firstSeq: 0n },
      onBatch: ({ bytes, count, firstSeq }) => {
        contiguous &&= firstSeq === next;
        next = firstSeq + BigInt(count);
        delivered += count;
        if (batches++ % DECODE_EVERY !== 0) return;
        decoded += fromBinary(FlowBatchSchema, bytes).flows.length;
        decodedClaimed += count;
      },
    });
    const { data, ends } = refusedFrames(Math.min(CHUNK, flows));
    const ctx = skbContext({ ifindex: WEB.ifindex, ingressIfindex: WEB.ifindex });
    const program = world.object.program('from_workload');
    let left = flows;
    const produce = async (): Promise<void> => {
      while (left > 0) {
        const count = Math.min(ends.length, left);
        left -= count;
        await program.testRuns(data, ends.subarray(0, count), ctx);
      }
    };
    await Promise.all([produce(), produce()]);
    await ring.stop();
    const lostRing = perCpu(world, weir_counter.COUNTER_EVENTS_LOST);
    const throttled = perCpu(world, weir_counter.COUNTER_EVENTS_THROTTLED);
    return { delivered, decoded, decodedClaimed, lostRing, throttled, contiguous };
  } finally {
    world.close();
  }
};
