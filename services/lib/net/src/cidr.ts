// SPDX-License-Identifier: Apache-2.0
/**
 * CIDR prefixes. A parsed prefix is canonical: host bits are zero, and its text is what every other spelling of the same
 * prefix gives, so texts may be compared and used as keys. Containment never crosses families: `::/0` does not hold 10.0.0.1.
 */
import { isIPv4 } from 'node:net';
import { type WeirError, weirError } from '@weir/errors';
import { type Family, formatIp, isV4Mapped, parseIp, V4_PREFIX_BITS } from './address.ts';

export interface Cidr {
  /** First address, 16 bytes. */
  readonly addr: Uint8Array;
  /** Of its own family: 0..32 or 0..128. */
  readonly bits: number;
  readonly family: Family;
  /** From bit 0 of the 16 bytes, as the datapath's tries count: 96 more for IPv4. */
  readonly bits128: number;
  readonly text: string;
}

export interface CidrOptions {
  /** Refuse host bits instead of clearing them. */
  readonly strict?: boolean;
  /** Take a plain address as a prefix of full length. */
  readonly allowAddress?: boolean;
}

const refused = (text: unknown, why: string, fix: string): WeirError =>
  weirError('INVALID_ARGUMENT', `${JSON.stringify(text)} is not a CIDR: ${why}`, { field: 'cidr', value: text, fix });

/** Address with everything behind `bits128` cleared. */
export const maskAddress = (address: Uint8Array, bits128: number): Uint8Array => {
  const masked = address.slice();
  const whole = bits128 >> 3;
  const rest = bits128 & 7;
  if (whole < 16) {
    masked[whole] = (masked[whole] as number) & (0xff << (8 - rest)) & 0xff;
    masked.fill(0, whole + 1);
  }
  return masked;
};

const contiguous = (mask: Uint8Array): number | undefined => {
  let bits = 0;
  let ended = false;
  for (const byte of mask.subarray(12)) {
    for (let bit = 7; bit >= 0; bit--) {
      const set = ((byte >> bit) & 1) === 1;
      if (set && ended) return undefined;
      if (set) bits++;
      else ended = true;
    }
  }
  return bits;
};

/** What to say about `10.0.0.0/255.255.0.0`: masks are not CIDR, and a non-contiguous one has no prefix at all. */
const refuseMask = (text: string, address: string, mask: string): WeirError => {
  const bits = contiguous(parseIp(mask));
  if (bits === undefined)
    return refused(text, `the mask ${mask} is not contiguous`, 'write one prefix per range, such as 10.0.0.0/8');
  return refused(text, 'a mask stands where a prefix length belongs', `write ${address}/${bits}`);
};

const BITS = /^(0|[1-9][0-9]{0,2})$/;

export const parseCidr = (text: string, options: CidrOptions = {}): Cidr => {
  if (typeof text !== 'string') throw refused(text, 'it is not a text', 'write it as text, such as "10.0.0.0/8"');
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const length = slash < 0 ? '' : text.slice(slash + 1);
  let whole: Uint8Array;
  try {
    whole = parseIp(address);
  } catch (error) {
    const { facts, message } = error as WeirError;
    throw refused(text, message, facts.fix ?? 'write it such as 10.0.0.0/8 or 2001:db8::/32');
  }
  const family: Family = isV4Mapped(whole) ? 4 : 6;
  const most = family === 4 ? 32 : 128;
  if (slash < 0) {
    if (!options.allowAddress)
      throw refused(text, 'the prefix length is missing', `write ${text}/${most} for this one address`);
    return toCidr(whole, most, family);
  }
  if (!BITS.test(length)) {
    if (family === 4 && isIPv4(length)) throw refuseMask(text, address, length);
    throw refused(text, `${JSON.stringify(length)} is not a prefix length`, `write a number from 0 to ${most}`);
  }
  const bits = Number(length);
  if (bits > most)
    throw refused(text, `prefix length ${bits} is more than ${most}`, `write a number from 0 to ${most}`);
  const cidr = toCidr(whole, bits, family);
  if (options.strict && !cidr.addr.every((byte, at) => byte === whole[at])) {
    throw refused(text, 'bits behind the prefix are set', `write ${cidr.text}`);
  }
  return cidr;
};

const toCidr = (address: Uint8Array, bits: number, family: Family): Cidr => {
  const bits128 = family === 4 ? V4_PREFIX_BITS + bits : bits;
  const addr = maskAddress(address, bits128);
  return { addr, bits, family, bits128, text: `${formatIp(addr)}/${bits}` };
};

/** The prefix that holds just this address. */
export const cidrOfAddress = (address: Uint8Array): Cidr => {
  const family: Family = isV4Mapped(address) ? 4 : 6;
  return toCidr(address, family === 4 ? 32 : 128, family);
};

export const canonicalCidr = (text: string, options?: CidrOptions): string => parseCidr(text, options).text;

const sameBits = (a: Uint8Array, b: Uint8Array, bits: number): boolean => {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = bits & 7;
  if (rest === 0) return true;
  const mask = 0xff << (8 - rest);
  return ((a[whole] as number) & mask & 0xff) === ((b[whole] as number) & mask & 0xff);
};

/** Does `outer` hold all of `inner`? A prefix holds itself. */
export const cidrContains = (outer: Cidr, inner: Cidr): boolean =>
  outer.family === inner.family && outer.bits128 <= inner.bits128 && sameBits(outer.addr, inner.addr, outer.bits128);

export const cidrContainsIp = (outer: Cidr, address: Uint8Array): boolean =>
  (outer.family === 4) === isV4Mapped(address) && sameBits(outer.addr, address, outer.bits128);

/** Last address of the prefix. */
export const lastAddress = (cidr: Cidr): Uint8Array => {
  const last = cidr.addr.slice();
  for (let bit = cidr.bits128; bit < 128; bit++) last[bit >> 3] = (last[bit >> 3] as number) | (0x80 >> (bit & 7));
  return last;
};
