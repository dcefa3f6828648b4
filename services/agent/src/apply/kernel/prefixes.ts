// SPDX-License-Identifier: Apache-2.0
/** Keys of the tries of prefixes, from text and back. */
import { prefix_key } from '@weir/bpf';
import { cidrOfAddress, formatIp, parseCidr } from '@weir/net';
import { type PrefixText, prefixParts } from '../../plan/ipcache.ts';

export const cidrKey = (prefix: string, out?: Buffer, at?: number): Buffer => {
  const { addr, bits128 } = parseCidr(prefix);
  return prefix_key.encode({ prefixlen: bits128, addr }, out, at);
};

const V4_MAPPED_BITS = 96;

export const cidrText = (keys: Buffer, at: number): string => {
  const { prefixlen, addr } = prefix_key.decode(keys, at);
  // Below 96 bits a v4-mapped address can only be an IPv6 prefix.
  const { text } = cidrOfAddress(addr);
  const v4 = prefixlen >= V4_MAPPED_BITS && !text.includes(':');
  return parseCidr(v4 ? `${formatIp(addr)}/${prefixlen - V4_MAPPED_BITS}` : `${ip6Text(addr)}/${prefixlen}`).text;
};

const ip6Text = (addr: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, i) => (((addr[i * 2] ?? 0) << 8) | (addr[i * 2 + 1] ?? 0)).toString(16));
  return groups.join(':');
};

/** For people: the prefix of an ipcache key. */
export const showPrefix = (key: PrefixText): string => {
  const { addr, bits128 } = prefixParts(key);
  return cidrText(prefix_key.encode({ prefixlen: bits128, addr }), 0);
};
