// SPDX-License-Identifier: Apache-2.0
/**
 * Adds up flows per minute and edge while they are read, in typed arrays with open addressing: no object per flow.
 * An edge runs from the client to the server of the connection; a reply counts on its connection's edge.
 */
import type { FlowReader } from './flow-reader.ts';

const FIRST_SLOTS = 4096;
/** Longer probe sequences than a half full table gives cost more than growing it. */
const MAX_LOAD = 0.5;
const KEYS = 6;
const SUMS = 6;
const TWO_32 = 4_294_967_296;
const US_PER_MINUTE = 60_000_000;
const FIRST_REPORT = 1;
/** FNV's prime and a finaliser: keys differ in few bits. */
const PRIME = 0x01000193;

/** Columns of the edges, index by index: ready for unnest. */
export interface EdgeColumns {
  readonly minuteUs: number[];
  readonly hostId: number[];
  readonly client: number[];
  readonly server: number[];
  readonly protocol: number[];
  readonly port: number[];
  readonly verdict: number[];
  readonly direction: number[];
  readonly connections: number[];
  readonly packets: number[];
  readonly bytes: number[];
  readonly replyPackets: number[];
  readonly replyBytes: number[];
  readonly lastSeenUs: number[];
}

export class EdgeTable {
  #slots = new Int32Array(FIRST_SLOTS).fill(-1);
  #keys = new Int32Array(FIRST_SLOTS * MAX_LOAD * KEYS);
  #sums = new Float64Array(FIRST_SLOTS * MAX_LOAD * SUMS);
  size = 0;

  clear(): void {
    this.#slots.fill(-1);
    this.size = 0;
  }

  add(flow: FlowReader, hostId: number, timeUs: number): void {
    const { isReply } = flow;
    const minute = Math.floor(timeUs / US_PER_MINUTE);
    const client = isReply ? flow.destinationIdentity : flow.sourceIdentity;
    const server = isReply ? flow.sourceIdentity : flow.destinationIdentity;
    const service = ((isReply ? flow.sourcePort : flow.destinationPort) << 8) | flow.protocol;
    const kind = (flow.verdict << 2) | (flow.direction & 3);
    const at = this.#find(minute, hostId, client, server, service, kind) * SUMS;
    const sums = this.#sums;
    const packets = flow.packetsHigh * TWO_32 + flow.packetsLow;
    const bytes = flow.bytesHigh * TWO_32 + flow.bytesLow;
    if (isReply) {
      sums[at + 3] = (sums[at + 3] as number) + packets;
      sums[at + 4] = (sums[at + 4] as number) + bytes;
    } else {
      if (flow.report === FIRST_REPORT) sums[at] = (sums[at] as number) + 1;
      sums[at + 1] = (sums[at + 1] as number) + packets;
      sums[at + 2] = (sums[at + 2] as number) + bytes;
    }
    if (timeUs > (sums[at + 5] as number)) sums[at + 5] = timeUs;
  }

  /** Index of the edge, which is made when it is new. */
  #find(minute: number, host: number, client: number, server: number, service: number, kind: number): number {
    let hash = Math.imul(minute ^ 0x811c9dc5, PRIME);
    hash = Math.imul(hash ^ host, PRIME);
    hash = Math.imul(hash ^ client, PRIME);
    hash = Math.imul(hash ^ server, PRIME);
    hash = Math.imul(hash ^ service, PRIME);
    hash = Math.imul(hash ^ kind, PRIME);
    hash ^= hash >>> 15;
    hash = Math.imul(hash, 0x85ebca6b);
    hash ^= hash >>> 13;
    const keys = this.#keys;
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const index = this.#slots[slot] as number;
      if (index < 0) {
        if (this.size >= this.#slots.length * MAX_LOAD) {
          this.#grow();
          return this.#find(minute, host, client, server, service, kind);
        }
        this.#slots[slot] = this.size;
        this.#keys.set([minute, host, client, server, service, kind], this.size * KEYS);
        this.#sums.fill(0, this.size * SUMS, (this.size + 1) * SUMS);
        this.size += 1;
        return this.size - 1;
      }
      const at = index * KEYS;
      if (
        keys[at] === minute &&
        keys[at + 1] === host &&
        keys[at + 2] === client &&
        keys[at + 3] === server &&
        keys[at + 4] === service &&
        keys[at + 5] === kind
      ) {
        return index;
      }
    }
  }

  #grow(): void {
    const { size } = this;
    const keys = this.#keys;
    const sums = this.#sums;
    const slots = this.#slots.length * 2;
    this.#slots = new Int32Array(slots).fill(-1);
    this.#keys = new Int32Array(slots * MAX_LOAD * KEYS);
    this.#sums = new Float64Array(slots * MAX_LOAD * SUMS);
    this.size = 0;
    for (let index = 0; index < size; index += 1) {
      const [a, b, c, d, e, f] = keys.subarray(index * KEYS, (index + 1) * KEYS) as unknown as [
        number,
        number,
        number,
        number,
        number,
        number,
      ];
      this.#find(a, b, c, d, e, f);
    }
    this.#sums.set(sums.subarray(0, size * SUMS));
  }

  /** Sorted by key, so that two writers lock the same rows in the same order. */
  columns(): EdgeColumns {
    const keys = this.#keys;
    const order = Array.from({ length: this.size }, (_, index) => index).sort((a, b) => {
      for (let part = 0; part < KEYS; part += 1) {
        const difference = (keys[a * KEYS + part] as number) - (keys[b * KEYS + part] as number);
        if (difference !== 0) return difference;
      }
      return 0;
    });
    const key = (part: number, read: (value: number) => number = (value) => value): number[] =>
      order.map((index) => read(keys[index * KEYS + part] as number));
    const sum = (part: number): number[] => order.map((index) => this.#sums[index * SUMS + part] as number);
    return {
      minuteUs: key(0, (minute) => minute * US_PER_MINUTE),
      hostId: key(1),
      client: key(2),
      server: key(3),
      protocol: key(4, (service) => service & 0xff),
      port: key(4, (service) => service >>> 8),
      verdict: key(5, (kind) => kind >> 2),
      direction: key(5, (kind) => kind & 3),
      connections: sum(0),
      packets: sum(1),
      bytes: sum(2),
      replyPackets: sum(3),
      replyBytes: sum(4),
      lastSeenUs: sum(5),
    };
  }
}
