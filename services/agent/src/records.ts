// SPDX-License-Identifier: Apache-2.0
/**
 * Frames for append-only files: u32 length, u32 CRC-32 of the payload, payload; little endian.
 *
 * Invariant: a reader yields exactly the records that were wholly written, in order, and says where the valid
 * part ends. A process killed in the middle of a write leaves a torn record at the end; whoever opens the file
 * for appending first cuts it there.
 */
import { crc32 } from 'node:zlib';

export const RECORD_HEADER_BYTES = 8;
/** A frame longer than this can only be damage: the largest payload is one batch of 1,000 flows, about 200 kB. */
export const RECORD_MAX_BYTES = 16 << 20;

export const frame = (payload: Uint8Array): Buffer => {
  const out = Buffer.allocUnsafe(RECORD_HEADER_BYTES + payload.length);
  out.writeUInt32LE(payload.length, 0);
  out.writeUInt32LE(crc32(payload), 4);
  out.set(payload, RECORD_HEADER_BYTES);
  return out;
};

/**
 * Header of a frame whose payload is `head` and then `body`, with the head behind it: written before the body it is the
 * frame, and the body, which may be large, was copied by nobody.
 */
export const frameHead = (head: Uint8Array, body: Uint8Array): Buffer => {
  const out = Buffer.allocUnsafe(RECORD_HEADER_BYTES + head.length);
  out.writeUInt32LE(head.length + body.length, 0);
  out.writeUInt32LE(crc32(body, crc32(head)), 4);
  out.set(head, RECORD_HEADER_BYTES);
  return out;
};

export interface FrameAt {
  /** Offset of the frame's header in the file. */
  readonly offset: number;
  readonly payload: Buffer;
}

export interface ReadFrames {
  readonly frames: readonly FrameAt[];
  /** Bytes from the start that hold whole records. */
  readonly validBytes: number;
  /** `torn`: the file ends inside a record. `corrupt`: a record's checksum is wrong. */
  readonly damage: 'none' | 'torn' | 'corrupt';
}

export const readFrames = (file: Buffer): ReadFrames => {
  const frames: FrameAt[] = [];
  let offset = 0;
  while (offset < file.length) {
    if (offset + RECORD_HEADER_BYTES > file.length) return { frames, validBytes: offset, damage: 'torn' };
    const length = file.readUInt32LE(offset);
    // A hole left by a power cut reads as zeros, and the CRC of nothing is zero.
    if (length === 0 || length > RECORD_MAX_BYTES) return { frames, validBytes: offset, damage: 'corrupt' };
    const end = offset + RECORD_HEADER_BYTES + length;
    if (end > file.length) return { frames, validBytes: offset, damage: 'torn' };
    const payload = file.subarray(offset + RECORD_HEADER_BYTES, end);
    if (crc32(payload) !== file.readUInt32LE(offset + 4)) return { frames, validBytes: offset, damage: 'corrupt' };
    frames.push({ offset, payload });
    offset = end;
  }
  return { frames, validBytes: offset, damage: 'none' };
};
