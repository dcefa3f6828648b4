// SPDX-License-Identifier: Apache-2.0
/**
 * One file of the spool: consecutive batches of one boot, and how far each of them got.
 *
 * A record goes new -> sent (a publish was tried) -> acked (the bus took it). "Sent but never acked" is the only
 * state in which nobody can say whether the bus has it; such records are the last to be shed, so that what is
 * reported as lost is lost for certain. States are kept for the life of the segment; payloads only while they are
 * being sent, else they are read from the file again.
 */
import { join } from 'node:path';
import { frameHead, readFrames } from '../records.ts';

export const RECORD_META_BYTES = 12;
/** In the field of the count: `endSeq` follows. */
const SPARSE = 0x8000_0000;
const SPARSE_META_BYTES = RECORD_META_BYTES + 8;

/** What the pump hands over: `count` events from `firstSeq`, encoded. */
export interface SpoolBatch {
  readonly firstSeq: bigint;
  readonly count: number;
  readonly bytes: Uint8Array;
  /** One past the last number that it stands for, when some of them were shed; else `count` follow one another. */
  readonly endSeq?: bigint;
}

/** One past the last number of a batch. */
export const endOf = ({ firstSeq, count, endSeq }: SpoolBatch): bigint => endSeq ?? firstSeq + BigInt(count);

export const segmentPath = (dir: string, firstSeq: bigint): string =>
  join(dir, `${String(firstSeq).padStart(20, '0')}.seg`);

export interface SpoolRecord extends SpoolBatch {
  readonly boot: bigint;
  readonly segment: Segment;
  readonly index: number;
}

const SENT = 1;
const ACKED_ONCE = 2;
const ACKED = 4;

export interface FramedRecord {
  readonly batch: SpoolBatch;
  /** One after the other they are the record's frame. */
  readonly pieces: readonly Uint8Array[];
  readonly fileBytes: number;
}

/** The record's frame in pieces: the batch itself, a hundred kilobytes a hundred times a second, is not copied. */
export const framedRecord = (batch: SpoolBatch): FramedRecord => {
  const { firstSeq, count, bytes, endSeq } = batch;
  const meta = Buffer.allocUnsafe(endSeq === undefined ? RECORD_META_BYTES : SPARSE_META_BYTES);
  meta.writeBigUInt64LE(firstSeq, 0);
  meta.writeUInt32LE(endSeq === undefined ? count : count + SPARSE, 8);
  if (endSeq !== undefined) meta.writeBigUInt64LE(endSeq, RECORD_META_BYTES);
  const head = frameHead(meta, bytes);
  return { batch, pieces: [head, bytes], fileBytes: head.length + bytes.length };
};

export const decodeRecord = (payload: Buffer): SpoolBatch => {
  const firstSeq = payload.readBigUInt64LE(0);
  const count = payload.readUInt32LE(8);
  if (count < SPARSE) return { firstSeq, count, bytes: payload.subarray(RECORD_META_BYTES) };
  return {
    firstSeq,
    count: count - SPARSE,
    bytes: payload.subarray(SPARSE_META_BYTES),
    endSeq: payload.readBigUInt64LE(RECORD_META_BYTES),
  };
};

export class Segment {
  readonly boot: bigint;
  readonly path: string;
  readonly firstSeq: bigint;
  /** One past the last sequence number in it. */
  endSeq: bigint;
  /** Bytes of the file, frames included. */
  bytes = 0;
  sealed = false;
  /** Sent, never acknowledged: may or may not be stored. */
  ambiguous = 0;
  /** First sequence number for which no publish was ever tried. */
  unsentFrom: bigint;
  /** Events of which no publish was ever tried: losing them is certain loss. */
  unsentEvents = 0;
  events = 0;
  /** Index of the record to send next. */
  cursor = 0;
  /** Monotonic ms of the newest acknowledgement; 0 = none. */
  ackedAtMs = 0;
  resends = 0;
  /** Already reduced to what is shed last. */
  condensed = false;
  /** Its file is being replaced: nothing may be taken from it. */
  frozen = false;
  #states: number[] = [];
  #ackedCount = 0;
  #loaded: SpoolBatch[] | undefined;

  constructor(boot: bigint, path: string, firstSeq: bigint) {
    this.boot = boot;
    this.path = path;
    this.firstSeq = firstSeq;
    this.endSeq = firstSeq;
    this.unsentFrom = firstSeq;
    this.#loaded = [];
  }

  /** From a file that an earlier process left; `file` is its valid part. */
  static restore(boot: bigint, path: string, file: Buffer): Segment | undefined {
    const frames = readFrames(file).frames.filter(({ payload }) => payload.length >= RECORD_META_BYTES);
    const first = frames[0];
    if (!first) return undefined;
    const segment = new Segment(boot, path, decodeRecord(first.payload).firstSeq);
    for (const { payload } of frames) segment.add(decodeRecord(payload), 0);
    segment.bytes = file.length;
    segment.seal();
    segment.unload();
    return segment;
  }

  /** It holds no events, only that they are lost. */
  get isTombstone(): boolean {
    return this.events === 0 && this.records > 0;
  }

  get records(): number {
    return this.#states.length;
  }

  get hasPending(): boolean {
    return this.cursor < this.#states.length;
  }

  get allAcked(): boolean {
    return this.#ackedCount === this.#states.length;
  }

  get loaded(): boolean {
    return this.#loaded !== undefined;
  }

  add(batch: SpoolBatch, fileBytes: number): void {
    this.#states.push(0);
    this.#loaded?.push(batch);
    this.endSeq = endOf(batch);
    this.events += batch.count;
    this.unsentEvents += batch.count;
    this.bytes += fileBytes;
  }

  seal(): void {
    this.sealed = true;
  }

  load(file: Buffer): void {
    this.#loaded = readFrames(file).frames.map(({ payload }) => decodeRecord(payload));
  }

  unload(): void {
    if (this.sealed) this.#loaded = undefined;
  }

  /** The record under the cursor, which moves on. The segment must be loaded. */
  take(): SpoolRecord | undefined {
    while ((this.#states[this.cursor] ?? 0) & ACKED) this.cursor++;
    const index = this.cursor;
    const batch = this.#loaded?.[index];
    if (!batch) return undefined;
    this.cursor++;
    const state = this.#states[index] ?? 0;
    if (!(state & SENT)) {
      this.#states[index] = state | SENT;
      this.ambiguous++;
      this.unsentEvents -= batch.count;
      this.unsentFrom = endOf(batch);
    }
    return { ...batch, boot: this.boot, segment: this, index };
  }

  /** True when this is the record's first acknowledgement ever. */
  ack(index: number, nowMs: number): boolean {
    const state = this.#states[index] ?? 0;
    const first = !(state & ACKED_ONCE);
    if (first) this.ambiguous--;
    if (!(state & ACKED)) this.#ackedCount++;
    this.#states[index] = state | ACKED | ACKED_ONCE;
    this.ackedAtMs = nowMs;
    if (this.sealed && this.allAcked) this.unload();
    return first;
  }

  /** Cursor back to the first record that is not acknowledged. */
  rewind(): void {
    const index = this.#states.findIndex((state) => !(state & ACKED));
    if (index >= 0) this.cursor = Math.min(this.cursor, index);
  }

  /** Everything is to be sent again: the bus may have forgotten what it acknowledged. */
  resend(): void {
    this.#states = this.#states.map((state) => state & ~ACKED);
    this.#ackedCount = 0;
    this.cursor = 0;
    this.resends++;
  }
}
