// SPDX-License-Identifier: Apache-2.0
/**
 * IP addresses as the datapath stores them: 16 bytes in network order, IPv4 as v4-mapped (RFC 4291 2.5.5.2), so one
 * code path serves both families. Text is accepted strictly: four decimal parts without leading zeros for IPv4, no zone
 * for IPv6. A v4-mapped IPv6 text is refused, because inside it could not be told from the IPv4 address.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { type WeirError, weirError } from '@weir/errors';
import ipaddr from 'ipaddr.js';

export type Family = 4 | 6;

/** Bits in front of an IPv4 address in its v4-mapped form. */
export const V4_PREFIX_BITS = 96;

const refused = (text: unknown, why: string, fix: string): WeirError =>
  weirError('INVALID_ARGUMENT', `${JSON.stringify(text)} is not an IP address: ${why}`, {
    field: 'address',
    value: text,
    fix,
  });

const v4Bytes = (text: string): Uint8Array => {
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  let at = 12;
  for (const part of text.split('.')) bytes[at++] = Number(part);
  return bytes;
};

/** `::1.2.3.4` -> `::102:304`: a dotted tail is allowed by RFC 4291 and read here, once, the same way for all. */
const withoutDottedTail = (text: string): string => {
  if (!text.includes('.')) return text;
  const cut = text.lastIndexOf(':') + 1;
  const [a, b, c, d] = text.slice(cut).split('.').map(Number) as [number, number, number, number];
  return `${text.slice(0, cut)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
};

export const isV4Mapped = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
};

/** Text -> 16 bytes. Throws INVALID_ARGUMENT that names the value and what would work. */
export const parseIp = (text: string): Uint8Array => {
  if (typeof text !== 'string') throw refused(text, 'it is not a text', 'write it as text, such as "10.0.0.1"');
  if (isIPv4(text)) return v4Bytes(text);
  if (text.includes('%'))
    throw refused(text, 'it has a zone', `leave out ${JSON.stringify(text.slice(text.indexOf('%')))}`);
  if (text.includes('/')) throw refused(text, 'it is a prefix', 'write one address, without /bits');
  if (!isIPv6(text)) throw refused(text, 'neither IPv4 nor IPv6', 'write it such as 10.0.0.1 or 2001:db8::1');
  const bytes = Uint8Array.from(ipaddr.IPv6.parse(withoutDottedTail(text)).toByteArray());
  if (isV4Mapped(bytes)) throw refused(text, 'a v4-mapped address stands for IPv4', `write ${formatIp(bytes)}`);
  return bytes;
};

/** Written out: joining a typed array takes ten times as long, and fleets have very many addresses. */
const dotted = (bytes: Uint8Array, at: number): string =>
  `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;

/** 16 or 4 bytes -> text: dotted IPv4, or IPv6 as RFC 5952 writes it. */
export const formatIp = (bytes: Uint8Array): string => {
  if (bytes.length === 4) return dotted(bytes, 0);
  if (bytes.length !== 16) {
    throw weirError('INVALID_ARGUMENT', `an address has 4 or 16 bytes, not ${bytes.length}`, {
      field: 'address',
      value: bytes.length,
      fix: 'pass 4 or 16 bytes in network order',
    });
  }
  if (isV4Mapped(bytes)) return dotted(bytes, 12);
  return new ipaddr.IPv6([...bytes]).toRFC5952String();
};

export const ipFamily = (bytes: Uint8Array): Family => (isV4Mapped(bytes) ? 4 : 6);

/** The one way to write an address: `2001:DB8:0::1` -> `2001:db8::1`. Of IPv4 only one is accepted. */
export const canonicalIp = (text: string): string => (isIPv4(text) ? text : formatIp(parseIp(text)));

/** True for what parseIp accepts. */
export const isIp = (text: string): boolean => {
  try {
    parseIp(text);
    return true;
  } catch {
    return false;
  }
};

/** -1, 0 or 1 in network byte order, so all IPv4 sorts as one block. */
export const compareIp = (a: Uint8Array, b: Uint8Array): number => {
  for (let i = 0; i < 16; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return 0;
};

/** The address `step` further on; undefined when that leaves the address space of its family. */
export const nextAddress = (address: Uint8Array, step = 1n): Uint8Array | undefined => {
  const first = isV4Mapped(address) ? 12 : 0;
  const bits = BigInt((16 - first) * 8);
  let value = 0n;
  for (let i = first; i < 16; i++) value = (value << 8n) | BigInt(address[i] as number);
  value += step;
  if (value < 0n || value >> bits !== 0n) return undefined;
  const next = address.slice();
  for (let i = 15; i >= first; i--) {
    next[i] = Number(value & 0xffn);
    value >>= 8n;
  }
  return first === 0 && isV4Mapped(next) ? undefined : next;
};
