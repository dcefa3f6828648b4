// SPDX-License-Identifier: Apache-2.0
/** Addresses and checksums for packets made by hand. */

export const mac = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');

const ip4Bytes = (text: string): Buffer => Buffer.from(text.split('.').map(Number));

const ip6Bytes = (text: string): Buffer => {
  const dotted = text.match(/^(.*:)(\d+\.\d+\.\d+\.\d+)$/);
  if (dotted) {
    const [a = 0, b = 0, c = 0, d = 0] = ip4Bytes(dotted[2] as string);
    return ip6Bytes(`${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  const bytes = Buffer.alloc(16);
  for (const [at, group] of all.entries()) bytes.writeUInt16BE(group, at * 2);
  return bytes;
};

/** As on the wire: 4 or 16 bytes. */
export const ip = (text: string): Buffer => (text.includes(':') ? ip6Bytes(text) : ip4Bytes(text));

/** As in the maps: 16 bytes, IPv4 v4-mapped. */
export const mapped = (text: string): Buffer => {
  const bytes = ip(text);
  return bytes.length === 16 ? bytes : Buffer.concat([Buffer.from('00000000000000000000ffff', 'hex'), bytes]);
};

/** RFC 1071 over all parts as if they were one; each but the last must have even length. */
export const checksum = (...parts: readonly Buffer[]): number => {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at + 1 < part.length; at += 2) sum += part.readUInt16BE(at);
    if (part.length % 2) sum += (part.at(-1) as number) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
};

/** SCTP's, RFC 9260 appendix A; bit by bit, packets here are short. */
export const crc32c = (bytes: Buffer): number => {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
};
