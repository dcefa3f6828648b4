// SPDX-License-Identifier: Apache-2.0
/**
 * Writes events into the ring of an agent that runs, as its programs would: test runs of the same program on the agent's
 * maps, of a packet that policy refuses. In the host's namespace: node flood.ts BPFFS EVENTS PER_SECOND. Prints
 * {"written":..,"lost":..} at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CONFIG, weir_counter, weir_workload_flags, workload } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { openObject, openPinnedMap, skbContext } from '@weir/loader';

const [bpffs = '', eventsText, perSecondText] = process.argv.slice(2);
const events = Number(eventsText);
const perSecond = Number(perSecondText);
/** A fiftieth of a second's worth: short enough that the ring's reader keeps up. */
const REPEAT = Math.max(1, Math.round(perSecond / 50));
/** Sizes are settings of the agent, and maps of another size would not be its own. */
const sizeOf = (name: string): number => {
  const map = openPinnedMap(`${bpffs}/${name}`);
  try {
    return map.maxEntries;
  } finally {
    map.close();
  }
};

const object = await openObject(objectPath('workload'), {
  pinDir: bpffs,
  maxEntries: Object.fromEntries(['conntrack', 'cidrs', 'ipcache', 'events'].map((name) => [name, sizeOf(name)])),
  // a real workload's allowance would end the flood
  rodata: CONFIG.workload.encode({ events_per_second: 0 }),
});
/** The one that may not send: a host has others, such as its health endpoint. */
const refused = async (): Promise<workload> => {
  const map = object.map('workloads');
  const { values, count } = await map.lookupAll();
  const all = Array.from({ length: count }, (_, i) => workload.decode(values, i * map.valueStride));
  const found = all.find(({ flags }) => flags & weir_workload_flags.WORKLOAD_ENFORCE_EGRESS);
  if (!found) throw new Error('no workload of this host may not send');
  return found;
};

const who = await refused();

/** UDP from the workload to an address of nobody. */
const frame = (): Buffer => {
  const packet = Buffer.alloc(60);
  packet.set(who.host_mac, 0);
  packet.set(who.mac, 6);
  packet.writeUInt16BE(0x0800, 12);
  packet.set([0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0], 14);
  packet.set(who.ip4.subarray(12), 26);
  packet.set([192, 0, 2, 1], 30);
  packet.writeUInt16BE(1000, 34);
  packet.writeUInt16BE(53, 36);
  packet.writeUInt16BE(26, 38);
  return packet;
};

const counterOf = (number: number): number => {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(number);
  const bytes = object.map('counters').lookup(key) ?? Buffer.alloc(0);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 8) sum += Number(bytes.readBigUInt64LE(at));
  return sum;
};

const lostBefore = counterOf(weir_counter.COUNTER_EVENTS_LOST);
const ctx = skbContext({ ifindex: who.ifindex, ingressIfindex: who.ifindex });
const begun = performance.now();
let done = 0;
while (done < events) {
  const repeat = Math.min(REPEAT, events - done);
  await object.program('from_workload').testRun({ data: frame(), ctx, repeat });
  done += repeat;
  const aheadMs = (done / perSecond) * 1000 - (performance.now() - begun);
  if (aheadMs > 0) await sleep(aheadMs);
}
const lost = counterOf(weir_counter.COUNTER_EVENTS_LOST) - lostBefore;
process.stdout.write(`${JSON.stringify({ written: done - lost, lost })}\n`);
object.close();
