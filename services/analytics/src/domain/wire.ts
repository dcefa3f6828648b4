// SPDX-License-Identifier: Apache-2.0
/**
 * Reads protobuf's wire format (protobuf.dev/programming-guides/encoding) from bytes that anybody may have sent:
 * every read is checked against the end, every number against what it may hold, and nothing is allocated.
 */

/** The bytes are not what they should be, and never will be: such a message is set aside, not tried again. */
export class PoisonError extends Error {
  override readonly name = 'PoisonError';
}

export const poison = (what: string): never => {
  throw new PoisonError(what);
};

export const WIRE = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;

const TWO_32 = 4_294_967_296;
/** More than any field or length we read, exact in a double. */
const VARINT_MAX_BYTES = 10;

export class WireReader {
  bytes: Uint8Array;
  at: number;
  /** Reading stops here; at most the length of `bytes`. */
  end: number;
  /** High and low half of the last 64-bit number read by `varint64` or `fixed64`. */
  high = 0;
  low = 0;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
  }

  reset(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
  }

  /** An unsigned number below 2^32. */
  uint32(): number {
    const { bytes } = this;
    let at = this.at;
    let byte = bytes[at++] as number;
    let value = byte & 0x7f;
    if (byte >= 0x80) {
      byte = bytes[at++] as number;
      value |= (byte & 0x7f) << 7;
      if (byte >= 0x80) {
        byte = bytes[at++] as number;
        value |= (byte & 0x7f) << 14;
        if (byte >= 0x80) {
          byte = bytes[at++] as number;
          value |= (byte & 0x7f) << 21;
          if (byte >= 0x80) {
            byte = bytes[at++] as number;
            value |= (byte & 0x0f) << 28;
            if (byte > 0x0f) poison('a number does not fit 32 bits');
          }
        }
      }
    }
    if (at > this.end) poison('cut off in a number');
    this.at = at;
    return value >>> 0;
  }

  /** Any varint, into `high` and `low`. */
  varint64(): void {
    const { bytes } = this;
    let at = this.at;
    let low = 0;
    let high = 0;
    for (let count = 0; ; count += 1) {
      if (at >= this.end) poison('cut off in a number');
      if (count === VARINT_MAX_BYTES) poison('a number is longer than 64 bits');
      const byte = bytes[at++] as number;
      const bits = byte & 0x7f;
      const shift = count * 7;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else {
        if (bits > 1) poison('a number does not fit 64 bits');
        high |= bits << 31;
      }
      if (byte < 0x80) break;
    }
    this.at = at;
    this.low = low >>> 0;
    this.high = high >>> 0;
  }

  /** Eight bytes, little-endian, into `high` and `low`. */
  fixed64(): void {
    const { bytes, at } = this;
    if (at + 8 > this.end) poison('cut off in a number');
    this.low =
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)) >>>
      0;
    this.high =
      ((bytes[at + 4] as number) |
        ((bytes[at + 5] as number) << 8) |
        ((bytes[at + 6] as number) << 16) |
        ((bytes[at + 7] as number) << 24)) >>>
      0;
    this.at = at + 8;
  }

  /** The last 64-bit number, which must be exact in a double. */
  safe(what: string): number {
    const value = this.high * TWO_32 + this.low;
    if (value > Number.MAX_SAFE_INTEGER) poison(`${what} is too large`);
    return value;
  }

  /** Length of a length-delimited field; its bytes follow and are all there. */
  length(): number {
    const length = this.uint32();
    if (this.at + length > this.end) poison('cut off in a field');
    return length;
  }

  /** Passes over the value of a length-delimited field. */
  skipBytes(): void {
    const length = this.length();
    this.at += length;
  }

  /** Passes over a field that we don't know: a newer sender may have it. */
  skip(wireType: number): void {
    if (wireType === WIRE.VARINT) this.varint64();
    else if (wireType === WIRE.FIXED64) this.at += 8;
    else if (wireType === WIRE.FIXED32) this.at += 4;
    else if (wireType === WIRE.BYTES) this.skipBytes();
    else poison(`wire type ${wireType} does not exist`);
    if (this.at > this.end) poison('cut off in a field');
  }
}
