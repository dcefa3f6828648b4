// SPDX-License-Identifier: Apache-2.0
/**
 * Encoded batches of flows, walked and put together as bytes: a flow is looked at, never taken apart. Compared with the
 * generated codec by test.
 */
import { weir_verdict } from '@weir/bpf';
import type { SpoolBatch } from './segment.ts';

// Fields of weir.flow.v1.FlowBatch, Shed and Flow.
const BATCH = { BOOT: 1, FIRST_SEQ: 2, FLOWS: 3, END_SEQ: 4, SHED: 5, PROCESSES: 6 } as const;
const SHED = { REFUSED: 1, FROM_NS: 2, TO_NS: 3 } as const;
const FLOW = { TIME_NS: 1, VERDICT: 12, SKIPPED: 24 } as const;
const WIRE = { VARINT: 0, I64: 1, LENGTH: 2, I32: 5 } as const;

/** Of events that are missing in a batch. */
export interface Shed {
  refused: number;
  /** Unix ns; 0: not known. */
  fromNs: bigint;
  toNs: bigint;
}

export const noneShed = (): Shed => ({ refused: 0, fromNs: 0n, toNs: 0n });

/** Adds one time or the span of others. */
export const widen = (shed: Shed, fromNs: bigint, toNs = fromNs): void => {
  if (fromNs > 0n && (shed.fromNs === 0n || fromNs < shed.fromNs)) shed.fromNs = fromNs;
  if (toNs > shed.toNs) shed.toNs = toNs;
};

class Reader {
  readonly bytes: Buffer;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
    this.end = end;
  }

  /** Up to 53 bits are exact; more only occurs in numbers that are skipped or copied. */
  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined || this.at > this.end) throw new RangeError('a batch ends inside a number');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  fixed64(): bigint {
    this.at += 8;
    return this.bytes.readBigUInt64LE(this.at - 8);
  }

  skip(wire: number): void {
    if (wire === WIRE.VARINT) this.varint();
    else if (wire === WIRE.I64) this.at += 8;
    else if (wire === WIRE.I32) this.at += 4;
    else if (wire === WIRE.LENGTH) {
      const length = this.varint();
      this.at += length;
    } else throw new RangeError(`a batch has wire type ${wire}`);
  }
}

/** One flow of a batch: where its bytes are and what matters of it here. */
export interface FlowAt {
  /** Without tag and length. */
  readonly from: number;
  readonly to: number;
  readonly timeNs: bigint;
  readonly wasRefused: boolean;
}

const flowAt = (bytes: Uint8Array, from: number, to: number): FlowAt => {
  const reader = new Reader(bytes, from, to);
  let timeNs = 0n;
  let wasRefused = false;
  while (reader.at < to) {
    const tag = reader.varint();
    if (tag === FLOW.TIME_NS * 8 + WIRE.I64) timeNs = reader.fixed64();
    else if (tag === FLOW.VERDICT * 8 + WIRE.VARINT) wasRefused = reader.varint() === weir_verdict.VERDICT_DROPPED;
    else reader.skip(tag & 7);
  }
  return { from, to, timeNs, wasRefused };
};

const readShed = (bytes: Uint8Array, from: number, to: number): Shed => {
  const reader = new Reader(bytes, from, to);
  const shed = noneShed();
  while (reader.at < to) {
    const tag = reader.varint();
    if (tag === SHED.REFUSED * 8 + WIRE.VARINT) shed.refused = reader.varint();
    else if (tag === SHED.FROM_NS * 8 + WIRE.I64) shed.fromNs = reader.fixed64();
    else if (tag === SHED.TO_NS * 8 + WIRE.I64) shed.toNs = reader.fixed64();
    else reader.skip(tag & 7);
  }
  return shed;
};

/** Calls `each` for every flow; returns what the batch says is missing in it. */
export const walkBatch = (bytes: Uint8Array, each: (flow: FlowAt) => void): Shed => {
  const reader = new Reader(bytes);
  let shed = noneShed();
  while (reader.at < bytes.length) {
    const tag = reader.varint();
    const isFlow = tag === BATCH.FLOWS * 8 + WIRE.LENGTH;
    if (!isFlow && tag !== BATCH.SHED * 8 + WIRE.LENGTH) {
      reader.skip(tag & 7);
      continue;
    }
    const length = reader.varint();
    const from = reader.at;
    reader.at += length;
    if (isFlow) each(flowAt(bytes, from, reader.at));
    else shed = readShed(bytes, from, reader.at);
  }
  return shed;
};

/** The processes that a batch's flows name, as they stand in it. */
export const processesOf = (bytes: Uint8Array): Buffer[] => {
  const reader = new Reader(bytes);
  const found: Buffer[] = [];
  while (reader.at < bytes.length) {
    const from = reader.at;
    const tag = reader.varint();
    reader.skip(tag & 7);
    if (tag === BATCH.PROCESSES * 8 + WIRE.LENGTH) found.push(Buffer.from(bytes.subarray(from, reader.at)));
  }
  return found;
};

const varint = (value: bigint): number[] => {
  const out: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
  return out;
};
const number = (field: number, value: bigint): number[] => [
  ...varint(BigInt(field * 8 + WIRE.VARINT)),
  ...varint(value),
];
const time = (field: number, value: bigint): number[] => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return [field * 8 + WIRE.I64, ...bytes];
};
const delimited = (field: number, length: number): number[] => [field * 8 + WIRE.LENGTH, ...varint(BigInt(length))];

/** A flow as it stands in a batch; `skipped` events before it are missing. */
export const flowField = (flow: Uint8Array, skipped: bigint): Buffer => {
  const more = skipped > 0n ? number(FLOW.SKIPPED, skipped) : [];
  return Buffer.concat([Buffer.from(delimited(BATCH.FLOWS, flow.length + more.length)), flow, Buffer.from(more)]);
};

/** Of numbers from `firstSeq` up to `endSeq`; `flows` are flowField's, `processes` those that they name. */
export const sparseBatch = (
  boot: bigint,
  firstSeq: bigint,
  endSeq: bigint,
  flows: readonly Buffer[],
  { refused, fromNs, toNs }: Shed,
  processes: readonly Buffer[] = [],
): SpoolBatch => {
  const shed = [...number(SHED.REFUSED, BigInt(refused)), ...time(SHED.FROM_NS, fromNs), ...time(SHED.TO_NS, toNs)];
  const head = Buffer.from([
    ...number(BATCH.BOOT, boot),
    ...number(BATCH.FIRST_SEQ, firstSeq),
    ...number(BATCH.END_SEQ, endSeq),
    ...delimited(BATCH.SHED, shed.length),
    ...shed,
  ]);
  return { firstSeq, count: flows.length, endSeq, bytes: Buffer.concat([head, ...flows, ...processes]) };
};
