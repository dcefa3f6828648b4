// SPDX-License-Identifier: Apache-2.0
/**
 * rtnetlink messages (linux/rtnetlink.h) to bytes and back: a header, a fixed struct, attributes that may nest. All
 * numbers are in host order, which is little-endian on every machine we support; addresses are network order bytes.
 */

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
  GETRULE: 34,
  NEWQDISC: 36,
  DELQDISC: 37,
  GETQDISC: 38,
} as const;

/** Families of sockets (linux/netlink.h). */
export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, GENERIC: 16 } as const;

export const FLAG = { REQUEST: 1, ACK: 4, DUMP: 0x300, REPLACE: 0x100, EXCL: 0x200, CREATE: 0x400 } as const;

export const AF = { UNSPEC: 0, INET: 2, BRIDGE: 7, INET6: 10 } as const;

const HEADER_BYTES = 16;
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;

const aligned = (length: number): number => (length + 3) & ~3;

const padded = (bytes: Uint8Array): Buffer => {
  const out = Buffer.alloc(aligned(bytes.byteLength));
  out.set(bytes);
  return out;
};

export const u8 = (value: number): Buffer => Buffer.of(value);

export const u16 = (value: number): Buffer => {
  const out = Buffer.alloc(2);
  out.writeUInt16LE(value);
  return out;
};

export const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value >>> 0);
  return out;
};

/** Zero-terminated, as the kernel wants names. */
export const cstring = (text: string): Buffer => Buffer.from(`${text}\0`, 'utf8');

export const attribute = (type: number, value: Uint8Array): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.byteLength, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, padded(value)]);
};

export const nested = (type: number, ...children: readonly Uint8Array[]): Buffer =>
  attribute(type | NESTED, Buffer.concat(children));

/** Attributes that are absent are left out. */
export const message = (
  type: number,
  flags: number,
  header: Uint8Array,
  attributes: readonly (Uint8Array | undefined)[] = [],
): Buffer => {
  const body = Buffer.concat([padded(header), ...attributes.filter((bytes) => bytes !== undefined)]);
  const out = Buffer.alloc(HEADER_BYTES);
  out.writeUInt32LE(HEADER_BYTES + body.byteLength, 0);
  out.writeUInt16LE(type, 4);
  // the addon numbers requests itself
  out.writeUInt16LE(flags | FLAG.REQUEST | FLAG.ACK, 6);
  return Buffer.concat([out, body]);
};

export interface Message {
  readonly type: number;
  readonly body: Buffer;
}

export const messages = (bytes: Buffer): Message[] => {
  const found: Message[] = [];
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt32LE(at);
    if (length < HEADER_BYTES || at + length > bytes.length) break;
    found.push({ type: bytes.readUInt16LE(at + 4), body: bytes.subarray(at + HEADER_BYTES, at + length) });
    at += aligned(length);
  }
  return found;
};

export type Attributes = ReadonlyMap<number, Buffer>;

export const attributes = (bytes: Buffer, from: number): Attributes => {
  const found = new Map<number, Buffer>();
  for (let at = from; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.set(bytes.readUInt16LE(at + 2) & TYPE_MASK, bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return found;
};

/** Attributes whose order counts and whose types repeat: a list. */
export const elements = (bytes: Buffer): Buffer[] => {
  const found: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    found.push(bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
  return found;
};

export const text = (bytes: Buffer | undefined): string | undefined =>
  bytes?.subarray(0, bytes.indexOf(0) < 0 ? bytes.length : bytes.indexOf(0)).toString('utf8');

export const number = (bytes: Buffer | undefined): number | undefined =>
  bytes === undefined || bytes.length < 4 ? undefined : bytes.readUInt32LE(0);
