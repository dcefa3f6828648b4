// SPDX-License-Identifier: Apache-2.0
/**
 * Walks the events of an encoded weir.process.v1.ProcessBatch: `next` fills the fields of this one reader with what has
 * columns of its own, and says where the event's bytes are. Compared with the generated codec by test.
 */
import { poison, WIRE, WireReader } from './wire.ts';

const BATCH_EVENTS = 3;
const EVENT = {
  TIME_NS: 1,
  KIND: 2,
  EXEC_NS: 3,
  PID: 4,
  PARENT_EXEC_NS: 5,
  PARENT_PID: 6,
  WORKLOAD: 7,
  UNIT_KIND: 8,
  UNIT: 9,
  VERDICT: 12,
  EVENT: 13,
  SKIPPED: 24,
} as const;
/** Of tetragon.GetEventsResponse: below are the kinds of events. */
const RESPONSE_NODE_NAME = 1_000;
const PROCESS = 1;
const PROCESS_UID = 3;
const PROCESS_BINARY = 5;
const PROCESS_ARGUMENTS = 6;
const WRAPPED = 1;
/** Where each kind of event has the name of its policy. */
const POLICY_NAME: Readonly<Record<number, number>> = { 9: 8, 10: 7, 12: 5, 28: 5, 29: 6 };

/** Columns are for filters; all of a text is in the event. */
const TEXT_MAX = 8_192;
const NAME_MAX = 1_024;
const INT4_MAX = 0x7fff_ffff;
const KIND_MAX = 0x7fff;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class ProcessReader {
  readonly #wire = new WireReader();
  #bytes: Uint8Array = new Uint8Array(0);
  #batchEnd = 0;

  timeNs = 0n;
  kind = 0;
  execNs = 0n;
  pid = 0;
  parentExecNs = 0n;
  parentPid = 0;
  workload = '';
  unitKind = '';
  unit = '';
  verdict = 0;
  skipped = 0;
  /** tetragon.EventType; 0: there is none. */
  type = 0;
  uid = 0;
  binary = '';
  arguments = '';
  policy = '';
  /** The event itself. */
  event: Uint8Array = new Uint8Array(0);

  open(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#wire.reset(bytes);
    this.#batchEnd = bytes.length;
  }

  /** Goes to the next event; false at the end of the batch. Throws PoisonError. */
  next(): boolean {
    const wire = this.#wire;
    while (wire.at < this.#batchEnd) {
      const key = wire.uint32();
      if (key === ((BATCH_EVENTS << 3) | WIRE.BYTES)) {
        const length = wire.length();
        const from = wire.at;
        wire.end = from + length;
        this.#clear();
        this.#readEvent();
        wire.end = this.#batchEnd;
        this.event = this.#bytes.subarray(from, from + length);
        return true;
      }
      wire.skip(key & 7);
    }
    return false;
  }

  #clear(): void {
    this.timeNs = 0n;
    this.kind = 0;
    this.execNs = 0n;
    this.pid = 0;
    this.parentExecNs = 0n;
    this.parentPid = 0;
    this.workload = '';
    this.unitKind = '';
    this.unit = '';
    this.verdict = 0;
    this.skipped = 0;
    this.type = 0;
    this.uid = 0;
    this.binary = '';
    this.arguments = '';
    this.policy = '';
  }

  #number(most: number, what: string): number {
    const value = this.#wire.uint32();
    return value <= most ? value : poison(`${what} is ${value}`);
  }

  #uint64(what: string): bigint {
    const wire = this.#wire;
    wire.varint64();
    if (wire.high >>> 31 !== 0) poison(`${what} does not fit 63 bits`);
    return (BigInt(wire.high) << 32n) | BigInt(wire.low);
  }

  #text(most: number): string {
    const wire = this.#wire;
    const length = wire.length();
    const from = wire.at;
    wire.at += length;
    return decoder.decode(this.#bytes.subarray(from, from + Math.min(length, most)));
  }

  /** Calls `each` with the number of every field that has a length, whose bytes it must read; others are passed over. */
  #within(each: (field: number) => boolean): void {
    const wire = this.#wire;
    const before = wire.end;
    const length = wire.length();
    const end = wire.at + length;
    wire.end = end;
    while (wire.at < end) {
      const key = wire.uint32();
      if ((key & 7) !== WIRE.BYTES || !each(key >>> 3)) wire.skip(key & 7);
    }
    if (wire.at !== end) poison('a message ends in the middle of a field');
    wire.end = before;
  }

  #readEvent(): void {
    const wire = this.#wire;
    const { end } = wire;
    while (wire.at < end) {
      const key = wire.uint32();
      const field = key >>> 3;
      const type = key & 7;
      if (field === EVENT.TIME_NS && type === WIRE.FIXED64) {
        wire.fixed64();
        if (wire.high >>> 31 !== 0) poison('a time does not fit 63 bits');
        this.timeNs = (BigInt(wire.high) << 32n) | BigInt(wire.low);
      } else if (type === WIRE.VARINT) this.#readNumber(field);
      else if (type === WIRE.BYTES) this.#readBytes(field);
      else wire.skip(type);
    }
    if (wire.at !== end) poison('an event ends in the middle of a field');
    if (this.kind === 0) poison('an event has no kind');
  }

  #readNumber(field: number): void {
    if (field === EVENT.KIND) this.kind = this.#number(KIND_MAX, 'kind');
    else if (field === EVENT.EXEC_NS) this.execNs = this.#uint64('exec_ns');
    else if (field === EVENT.PID) this.pid = this.#number(INT4_MAX, 'pid');
    else if (field === EVENT.PARENT_EXEC_NS) this.parentExecNs = this.#uint64('parent_exec_ns');
    else if (field === EVENT.PARENT_PID) this.parentPid = this.#number(INT4_MAX, 'parent_pid');
    else if (field === EVENT.VERDICT) this.verdict = this.#number(KIND_MAX, 'verdict');
    else if (field === EVENT.SKIPPED) {
      this.#wire.varint64();
      this.skipped = this.#wire.safe('skipped');
    } else this.#wire.varint64();
  }

  #readBytes(field: number): void {
    if (field === EVENT.WORKLOAD) this.workload = this.#text(NAME_MAX);
    else if (field === EVENT.UNIT_KIND) this.unitKind = this.#text(NAME_MAX);
    else if (field === EVENT.UNIT) this.unit = this.#text(NAME_MAX);
    else if (field === EVENT.EVENT) {
      this.#within((kind) => {
        if (kind >= RESPONSE_NODE_NAME && kind < 40_000) return false;
        this.type = kind;
        this.#readKind(kind);
        return true;
      });
    } else this.#wire.skipBytes();
  }

  #readKind(kind: number): void {
    this.#within((field) => {
      if (field === PROCESS) this.#readProcess();
      else if (field === POLICY_NAME[kind]) this.policy = this.#text(NAME_MAX);
      else return false;
      return true;
    });
  }

  #readProcess(): void {
    this.#within((field) => {
      if (field === PROCESS_UID) this.#readUid();
      else if (field === PROCESS_BINARY) this.binary = this.#text(TEXT_MAX);
      else if (field === PROCESS_ARGUMENTS) this.arguments = this.#text(TEXT_MAX);
      else return false;
      return true;
    });
  }

  /** google.protobuf.UInt32Value */
  #readUid(): void {
    const wire = this.#wire;
    const length = wire.length();
    const end = wire.at + length;
    while (wire.at < end) {
      const key = wire.uint32();
      if (key === ((WRAPPED << 3) | WIRE.VARINT)) this.uid = wire.uint32();
      else wire.skip(key & 7);
    }
    if (wire.at !== end) poison('uid ends in the middle of a field');
  }
}
