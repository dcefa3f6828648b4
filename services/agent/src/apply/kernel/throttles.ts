// SPDX-License-Identifier: Apache-2.0
/** The kernel's account of events that workloads' rate limits held back: maps `throttles` and `throttled`. */
import { DROP_TEXT, throttle, throttled_key, throttled_value } from '@weir/bpf';
import type { BpfMap } from '@weir/loader';
import type { ThrottledWorkload } from '../../platform.ts';

interface Held {
  events: bigint;
  packets: bigint;
  bytes: bigint;
  localId: number;
  readonly reasons: Record<string, bigint>;
}

/** Name of what was held back, as in heartbeats. */
const reasonName = (reason: number): string =>
  reason === 0 ? 'forwarded' : (DROP_TEXT[reason]?.name ?? String(reason)).toLowerCase();

const readHeld = async (throttled: BpfMap): Promise<ReadonlyMap<number, Held>> => {
  const { keys, values, count } = await throttled.lookupAll();
  const held = new Map<number, Held>();
  for (let i = 0; i < count; i++) {
    const key = throttled_key.decode(keys, i * throttled_key.size);
    const of = held.get(key.ifindex) ?? { events: 0n, packets: 0n, bytes: 0n, localId: key.workload_id, reasons: {} };
    held.set(key.ifindex, of);
    const end = (i + 1) * throttled.valueStride;
    for (let cpu = i * throttled.valueStride; cpu < end; cpu += throttled_value.size) {
      const { events, packets, bytes } = throttled_value.decode(values, cpu);
      of.events += events;
      of.packets += packets;
      of.bytes += bytes;
      const name = reasonName(key.reason);
      of.reasons[name] = (of.reasons[name] ?? 0n) + events;
    }
  }
  return held;
};

/** Every workload that was throttled since it was connected. */
export const readThrottles = async (
  throttles: BpfMap,
  throttled: BpfMap,
  offsetNs: bigint,
): Promise<ThrottledWorkload[]> => {
  const { keys, values, count } = await throttles.lookupAll();
  const unixMs = (ns: bigint): number => Number((ns + offsetNs) / 1_000_000n);
  const began = Array.from({ length: count }, (_, i) => ({
    ifindex: keys.readUInt32LE(i * 4),
    ...throttle.decode(values, i * throttle.size),
  })).filter(({ episodes }) => episodes > 0n);
  if (began.length === 0) return [];
  const held = await readHeld(throttled);
  return began.map(({ ifindex, episodes, started_ns, last_ns }) => {
    const { localId = 0, events = 0n, packets = 0n, bytes = 0n, reasons = {} } = held.get(ifindex) ?? {};
    return {
      ...{ ifindex, localId, episodes, events, packets, bytes, reasons },
      startedMs: unixMs(started_ns),
      lastMs: unixMs(last_ns),
    };
  });
};

/** The workload behind the interface is gone: another may get its index. */
export const forgetThrottle = async (throttles: BpfMap, throttled: BpfMap, ifindex: number): Promise<void> => {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(ifindex);
  const value = throttles.lookup(key);
  if (value === undefined) return;
  throttles.delete(key);
  if (throttle.decode(value).episodes === 0n) return;
  const { keys, count } = await throttled.lookupAll();
  for (let i = 0; i < count; i++) {
    const at = i * throttled_key.size;
    if (throttled_key.decode(keys, at).ifindex === ifindex)
      throttled.delete(keys.subarray(at, at + throttled_key.size));
  }
};
