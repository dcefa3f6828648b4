// SPDX-License-Identifier: Apache-2.0
/**
 * Walks the flows of an encoded weir.flow.v1.FlowBatch without an object per flow: `next` fills the fields of this
 * one reader. Compared with the generated codec by test. Proto3 leaves out zeros, so every field is reset first.
 *
 * What it gives is checked: addresses have 4 or 16 bytes and the same family, numbers fit their columns.
 */
import { type FlowOwner, ownerKey, readOwners } from './flow-owners.ts';
import { poison, WIRE, WireReader } from './wire.ts';

const TAG_BOOT = 1;
const TAG_FIRST_SEQ = 2;
const TAG_FLOWS = 3;
const TAG_END_SEQ = 4;
const TAG_SHED = 5;
/** A report covers seconds: 2^40 bytes are out of reach, and sums of them stay in 63 bits. */
const COUNT_HIGH_BITS = 8;

/** Head of a batch: its id and its size, checked against the whole message. */
export interface BatchHead {
  /** Unix milliseconds at which the agent started. */
  readonly boot: number;
  readonly firstSeq: number;
  /** Flows in it. */
  readonly count: number;
  /** One past the last number that it stands for; more than `count` when the agent had to shed some. */
  readonly next: number;
  readonly shed?: Shed;
}

/** What is missing in a batch. */
export interface Shed {
  readonly refused: number;
  /** Unix milliseconds; 0: not known. */
  readonly fromMs: number;
  readonly toMs: number;
}

const NS_PER_MS = 1_000_000n;

const readShed = (wire: WireReader): Shed => {
  const end = wire.length() + wire.at;
  let refused = 0;
  let fromMs = 0;
  let toMs = 0;
  while (wire.at < end) {
    const key = wire.uint32();
    if (key === ((1 << 3) | WIRE.VARINT)) {
      wire.varint64();
      refused = wire.safe('refused');
    } else if (key === ((2 << 3) | WIRE.FIXED64) || key === ((3 << 3) | WIRE.FIXED64)) {
      wire.fixed64();
      if (wire.high >>> 31 !== 0) poison('a time does not fit 63 bits');
      // A double would be off by a millisecond now and then.
      const ms = Number(((BigInt(wire.high >>> 0) << 32n) | BigInt(wire.low >>> 0)) / NS_PER_MS);
      if (key >>> 3 === 2) fromMs = ms;
      else toMs = ms;
    } else wire.skip(key & 7);
  }
  if (wire.at !== end) poison('what is shed ends in the middle of a field');
  return { refused, fromMs, toMs };
};

/** Reads a batch's head. Throws PoisonError. */
export const readBatchHead = (bytes: Uint8Array): BatchHead => {
  const wire = new WireReader(bytes);
  let boot = 0;
  let firstSeq = 0;
  let count = 0;
  let endSeq = 0;
  let shed: Shed | undefined;
  while (wire.at < wire.end) {
    const key = wire.uint32();
    const field = key >>> 3;
    const type = key & 7;
    if (field === TAG_FLOWS && type === WIRE.BYTES) {
      wire.skipBytes();
      count += 1;
    } else if (field === TAG_BOOT && type === WIRE.VARINT) {
      wire.varint64();
      boot = wire.safe('boot');
    } else if (field === TAG_FIRST_SEQ && type === WIRE.VARINT) {
      wire.varint64();
      firstSeq = wire.safe('first_seq');
    } else if (field === TAG_END_SEQ && type === WIRE.VARINT) {
      wire.varint64();
      endSeq = wire.safe('end_seq');
    } else if (field === TAG_SHED && type === WIRE.BYTES) shed = readShed(wire);
    else wire.skip(type);
  }
  if (boot === 0) poison('the batch has no boot');
  if (firstSeq + count > Number.MAX_SAFE_INTEGER) poison('first_seq is too large');
  const next = endSeq === 0 ? firstSeq + count : endSeq;
  if (next < firstSeq + count) poison('end_seq is before its last flow');
  if (next === firstSeq) poison('the batch has no flows');
  return { boot, firstSeq, count, next, ...(shed === undefined ? {} : { shed }) };
};

export class FlowReader {
  readonly #wire = new WireReader();
  #batchEnd = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #owners: ReadonlyMap<string, FlowOwner> | undefined;

  // Unix nanoseconds in two halves; the same for the connection's.
  timeHigh = 0;
  timeLow = 0;
  connectionHigh = 0;
  connectionLow = 0;
  packetsHigh = 0;
  packetsLow = 0;
  bytesHigh = 0;
  bytesLow = 0;
  /** 4 or 16, both addresses; the bytes are in `source` and `destination`. */
  addressBytes = 0;
  sourceAt = 0;
  destinationAt = 0;
  /** 4, 16, or 0: what the source becomes is not told. */
  xlatedBytes = 0;
  xlatedAt = 0;
  sourcePort = 0;
  destinationPort = 0;
  protocol = 0;
  tcpFlags = 0;
  icmpType = 0;
  icmpCode = 0;
  sourceIdentity = 0;
  destinationIdentity = 0;
  verdict = 0;
  dropReason = 0;
  ruleId = 0;
  direction = 0;
  isReply = false;
  tracePoint = 0;
  traceReason = 0;
  report = 0;
  workloadId = 0;
  encrypted = false;
  /** Of a service; 0: none was asked for. */
  frontend = 0;
  pendingVerdict = 0;
  pendingRuleId = 0;
  sockXlatePoint = 0;
  // Whose the socket was: a process's name and its user; without pid it is not known.
  execHigh = 0;
  execLow = 0;
  pid = 0;
  uid = 0;
  /** Numbers missing before this flow. */
  skipped = 0;

  /** The message whose flows are read; addresses are slices of it. */
  get message(): Uint8Array {
    return this.#bytes;
  }

  /** Of `ownerKey`; undefined: not known. Read when somebody asks. */
  get owner(): FlowOwner | undefined {
    if (this.pid === 0) return undefined;
    this.#owners ??= readOwners(this.#bytes);
    return this.#owners.get(ownerKey(this.execHigh, this.execLow, this.pid, this.uid));
  }

  open(bytes: Uint8Array): void {
    this.#owners = undefined;
    this.#bytes = bytes;
    this.#wire.reset(bytes);
    this.#batchEnd = bytes.length;
  }

  /** Goes to the next flow; false at the end of the batch. Throws PoisonError. */
  next(): boolean {
    const wire = this.#wire;
    while (wire.at < this.#batchEnd) {
      const key = wire.uint32();
      if (key === ((TAG_FLOWS << 3) | WIRE.BYTES)) {
        const length = wire.length();
        wire.end = wire.at + length;
        this.#readFlow();
        wire.end = this.#batchEnd;
        return true;
      }
      wire.skip(key & 7);
    }
    return false;
  }

  /** Passes over the next flow without reading it. */
  skip(): void {
    const wire = this.#wire;
    while (wire.at < this.#batchEnd) {
      const key = wire.uint32();
      wire.skip(key & 7);
      if (key === ((TAG_FLOWS << 3) | WIRE.BYTES)) return;
    }
  }

  #clear(): void {
    this.timeHigh = 0;
    this.timeLow = 0;
    this.connectionHigh = 0;
    this.connectionLow = 0;
    this.packetsHigh = 0;
    this.packetsLow = 0;
    this.bytesHigh = 0;
    this.bytesLow = 0;
    this.addressBytes = 0;
    this.sourceAt = 0;
    this.destinationAt = 0;
    this.sourcePort = 0;
    this.destinationPort = 0;
    this.protocol = 0;
    this.tcpFlags = 0;
    this.icmpType = 0;
    this.icmpCode = 0;
    this.sourceIdentity = 0;
    this.destinationIdentity = 0;
    this.verdict = 0;
    this.dropReason = 0;
    this.ruleId = 0;
    this.direction = 0;
    this.isReply = false;
    this.tracePoint = 0;
    this.traceReason = 0;
    this.report = 0;
    this.workloadId = 0;
    this.encrypted = false;
    this.frontend = 0;
    this.pendingVerdict = 0;
    this.pendingRuleId = 0;
    this.xlatedBytes = 0;
    this.xlatedAt = 0;
    this.sockXlatePoint = 0;
    this.execHigh = 0;
    this.execLow = 0;
    this.pid = 0;
    this.uid = 0;
    this.skipped = 0;
  }

  #readFlow(): void {
    this.#clear();
    const wire = this.#wire;
    const { end } = wire;
    let sourceBytes = 0;
    while (wire.at < end) {
      const key = wire.uint32();
      switch (key) {
        case (1 << 3) | WIRE.FIXED64:
          wire.fixed64();
          this.timeHigh = wire.high;
          this.timeLow = wire.low;
          break;
        case (2 << 3) | WIRE.BYTES:
          sourceBytes = wire.length();
          this.sourceAt = wire.at;
          wire.at += sourceBytes;
          break;
        case (3 << 3) | WIRE.BYTES:
          this.addressBytes = wire.length();
          this.destinationAt = wire.at;
          wire.at += this.addressBytes;
          break;
        case (4 << 3) | WIRE.VARINT:
          this.sourcePort = wire.uint32();
          break;
        case (5 << 3) | WIRE.VARINT:
          this.destinationPort = wire.uint32();
          break;
        case (6 << 3) | WIRE.VARINT:
          this.protocol = wire.uint32();
          break;
        case (7 << 3) | WIRE.VARINT:
          this.tcpFlags = wire.uint32();
          break;
        case (8 << 3) | WIRE.VARINT:
          this.icmpType = wire.uint32();
          break;
        case (9 << 3) | WIRE.VARINT:
          this.icmpCode = wire.uint32();
          break;
        case (10 << 3) | WIRE.VARINT:
          this.sourceIdentity = wire.uint32();
          break;
        case (11 << 3) | WIRE.VARINT:
          this.destinationIdentity = wire.uint32();
          break;
        case (12 << 3) | WIRE.VARINT:
          this.verdict = wire.uint32();
          break;
        case (13 << 3) | WIRE.VARINT:
          this.dropReason = wire.uint32();
          break;
        case (14 << 3) | WIRE.VARINT:
          this.ruleId = wire.uint32();
          break;
        case (15 << 3) | WIRE.VARINT:
          this.direction = wire.uint32();
          break;
        case (16 << 3) | WIRE.VARINT:
          this.isReply = wire.uint32() !== 0;
          break;
        case (17 << 3) | WIRE.VARINT:
          this.tracePoint = wire.uint32();
          break;
        case (18 << 3) | WIRE.VARINT:
          this.traceReason = wire.uint32();
          break;
        case (19 << 3) | WIRE.VARINT:
          this.report = wire.uint32();
          break;
        case (20 << 3) | WIRE.VARINT:
          wire.varint64();
          this.packetsHigh = wire.high;
          this.packetsLow = wire.low;
          break;
        case (21 << 3) | WIRE.VARINT:
          wire.varint64();
          this.bytesHigh = wire.high;
          this.bytesLow = wire.low;
          break;
        case (22 << 3) | WIRE.VARINT:
          this.workloadId = wire.uint32();
          break;
        case (23 << 3) | WIRE.FIXED64:
          wire.fixed64();
          this.connectionHigh = wire.high;
          this.connectionLow = wire.low;
          break;
        case (24 << 3) | WIRE.VARINT:
          wire.varint64();
          this.skipped = wire.safe('skipped');
          break;
        case (25 << 3) | WIRE.VARINT:
          this.encrypted = wire.uint32() !== 0;
          break;
        case (26 << 3) | WIRE.VARINT:
          this.frontend = wire.uint32();
          break;
        case (27 << 3) | WIRE.VARINT:
          this.pendingVerdict = wire.uint32();
          break;
        case (28 << 3) | WIRE.VARINT:
          this.pendingRuleId = wire.uint32();
          break;
        case (29 << 3) | WIRE.BYTES:
          this.xlatedBytes = wire.length();
          this.xlatedAt = wire.at;
          wire.at += this.xlatedBytes;
          break;
        case (30 << 3) | WIRE.VARINT:
          this.sockXlatePoint = wire.uint32();
          break;
        case (31 << 3) | WIRE.FIXED64:
          wire.fixed64();
          this.execHigh = wire.high;
          this.execLow = wire.low;
          break;
        case (32 << 3) | WIRE.VARINT:
          this.pid = wire.uint32();
          break;
        case (33 << 3) | WIRE.VARINT:
          this.uid = wire.uint32();
          break;
        default:
          wire.skip(key & 7);
      }
    }
    if (wire.at !== end) poison('a flow ends in the middle of a field');
    this.#check(sourceBytes);
  }

  #check(sourceBytes: number): void {
    if (sourceBytes !== this.addressBytes || (sourceBytes !== 4 && sourceBytes !== 16)) {
      poison(`addresses of ${sourceBytes} and ${this.addressBytes} bytes`);
    }
    if (this.xlatedBytes !== 0 && this.xlatedBytes !== 4 && this.xlatedBytes !== 16) {
      poison(`a translated address of ${this.xlatedBytes} bytes`);
    }
    if (this.timeHigh === 0 && this.timeLow === 0) poison('a flow has no time');
    if ((this.timeHigh | this.connectionHigh) < 0) poison('a time does not fit 63 bits');
    if ((this.packetsHigh | this.bytesHigh) >>> COUNT_HIGH_BITS !== 0) poison('a count is too large for one report');
    if ((this.sourcePort | this.destinationPort | this.tcpFlags) >>> 16 !== 0)
      poison('ports or flags do not fit 16 bits');
    if ((this.protocol | this.icmpType | this.icmpCode) >>> 8 !== 0) poison('protocol or ICMP do not fit 8 bits');
    if ((this.verdict | this.dropReason) >>> 15 !== 0) poison('verdict or drop reason do not fit 15 bits');
    const numbers = this.ruleId | this.workloadId | this.frontend | this.pendingRuleId;
    if ((this.sourceIdentity | this.destinationIdentity | numbers) < 0) {
      poison('an identity, rule, workload or frontend number does not fit 31 bits');
    }
  }
}
