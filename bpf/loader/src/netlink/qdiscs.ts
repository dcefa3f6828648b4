// SPDX-License-Identifier: Apache-2.0
/** Queueing disciplines of interfaces: RTM_*QDISC. */
import { attribute, attributes, cstring, FLAG, message, nested, RTM, text, u32 } from './message.ts';

const TCA = { KIND: 1, OPTIONS: 2, STATS: 3 } as const;
const FQ = { PLIMIT: 1, FLOW_PLIMIT: 2 } as const;
const HEADER_BYTES = 20;
/** struct tc_stats: bytes, packets, drops, overlimits, bps, pps, qlen. */
const STATS = { DROPS: 12, QLEN: 28, BYTES: 32 } as const;

/** Parent of an interface's outermost qdisc. */
export const ROOT = 0xffff_ffff;

export interface Qdisc {
  readonly ifindex: number;
  readonly kind: string;
  /** 0: nobody configured it, the kernel made it. */
  readonly handle: number;
  /** ROOT, or handle and class of the one that it is in. */
  readonly parent: number;
  /** Packets that it dropped, and that wait in it. */
  readonly drops: number;
  readonly waiting: number;
}

export interface QdiscPlace {
  readonly ifindex: number;
  readonly handle: number;
  readonly parent: number;
}

export interface FqOptions {
  /** Packets that may wait, in all and of one flow. */
  readonly limit: number;
  readonly flowLimit: number;
}

const header = ({ ifindex, handle, parent }: QdiscPlace): Buffer => {
  const out = Buffer.alloc(HEADER_BYTES);
  out.writeInt32LE(ifindex, 4);
  out.writeUInt32LE(handle, 8);
  out.writeUInt32LE(parent, 12);
  return out;
};

export const readQdisc = (body: Buffer): Qdisc | undefined => {
  if (body.length < HEADER_BYTES) return undefined;
  const found = attributes(body, HEADER_BYTES);
  const stats = found.get(TCA.STATS);
  const hasStats = stats !== undefined && stats.length >= STATS.BYTES;
  return {
    ifindex: body.readInt32LE(4),
    kind: text(found.get(TCA.KIND)) ?? '',
    handle: body.readUInt32LE(8),
    parent: body.readUInt32LE(12),
    drops: hasStats ? stats.readUInt32LE(STATS.DROPS) : 0,
    waiting: hasStats ? stats.readUInt32LE(STATS.QLEN) : 0,
  };
};

/** Of all interfaces: the kernel does not choose. */
export const listQdiscs = (): Buffer => message(RTM.GETQDISC, FLAG.DUMP, header({ ifindex: 0, handle: 0, parent: 0 }));

/** In the place of what the kernel made by itself; EEXIST where somebody has configured another. */
const addQdisc = (place: QdiscPlace, kind: string, ...options: Buffer[]): Buffer =>
  message(RTM.NEWQDISC, FLAG.CREATE | FLAG.EXCL, header(place), [attribute(TCA.KIND, cstring(kind)), ...options]);

export const addFq = (place: QdiscPlace, { limit, flowLimit }: FqOptions): Buffer => {
  const options = [attribute(FQ.PLIMIT, u32(limit)), attribute(FQ.FLOW_PLIMIT, u32(flowLimit))];
  return addQdisc(place, 'fq', nested(TCA.OPTIONS, ...options));
};

/** One child for each queue of the interface. */
export const addMq = (place: QdiscPlace): Buffer => addQdisc(place, 'mq');

export const deleteQdisc = (place: QdiscPlace): Buffer => message(RTM.DELQDISC, 0, header(place));
