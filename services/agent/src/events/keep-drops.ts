// SPDX-License-Identifier: Apache-2.0
/**
 * When the spool must shed, what was refused is worth more than what passed: a batch is reduced to its flows with
 * verdict DROPPED, as batches of consecutive ones (a batch numbers its flows without a gap). Works on the encoded bytes:
 * a flow is looked at, never taken apart.
 */
import { weir_verdict } from '@weir/bpf';
import type { SpoolBatch } from './segment.ts';

// Fields of weir.flow.v1.FlowBatch and of Flow; a test compares with the generated codec.
const BATCH = { BOOT: 1, FIRST_SEQ: 2, FLOWS: 3 } as const;
const FLOW_VERDICT = 12;
const WIRE = { VARINT: 0, I64: 1, LENGTH: 2, I32: 5 } as const;

class Reader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.bytes = bytes;
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

const isDropped = (bytes: Uint8Array, from: number, to: number): boolean => {
  const reader = new Reader(bytes, from, to);
  while (reader.at < to) {
    const tag = reader.varint();
    if (tag === FLOW_VERDICT * 8 + WIRE.VARINT) return reader.varint() === weir_verdict.VERDICT_DROPPED;
    reader.skip(tag & 7);
  }
  return false;
};

const varint = (value: bigint): number[] => {
  const out: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80);
  out.push(Number(rest));
  return out;
};

/** `start` and `end` bound each flow with its tag and length. */
interface Run {
  readonly index: number;
  count: number;
  readonly start: number;
  end: number;
}

const droppedRuns = (bytes: Uint8Array): Run[] => {
  const runs: Run[] = [];
  const reader = new Reader(bytes);
  let index = 0;
  while (reader.at < bytes.length) {
    const start = reader.at;
    const tag = reader.varint();
    if (tag !== BATCH.FLOWS * 8 + WIRE.LENGTH) {
      reader.skip(tag & 7);
      continue;
    }
    const length = reader.varint();
    const from = reader.at;
    reader.at += length;
    if (isDropped(bytes, from, reader.at)) {
      const last = runs.at(-1);
      if (last && last.index + last.count === index && last.end === start) {
        last.count++;
        last.end = reader.at;
      } else {
        runs.push({ index, count: 1, start, end: reader.at });
      }
    }
    index++;
  }
  return runs;
};

/** The batch's dropped flows under their own sequence numbers; the batch itself when all are. */
export const keepDrops = (boot: bigint, batch: SpoolBatch): readonly SpoolBatch[] =>
  droppedRuns(batch.bytes).map(({ index, count, start, end }) => {
    if (count === batch.count) return batch;
    const firstSeq = batch.firstSeq + BigInt(index);
    const head = Buffer.from([BATCH.BOOT * 8, ...varint(boot), BATCH.FIRST_SEQ * 8, ...varint(firstSeq)]);
    return { firstSeq, count, bytes: Buffer.concat([head, batch.bytes.subarray(start, end)]) };
  });
