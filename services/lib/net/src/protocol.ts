// SPDX-License-Identifier: Apache-2.0
/** IP protocol names, as policies, APIs and flows write them, and their IANA numbers. */
import { weirError } from '@weir/errors';

export const PROTOCOLS = {
  ICMP: 1,
  IGMP: 2,
  IPIP: 4,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  GRE: 47,
  ESP: 50,
  AH: 51,
  ICMPv6: 58,
  VRRP: 112,
  SCTP: 132,
} as const;

export type ProtocolName = keyof typeof PROTOCOLS;

const byName = new Map<string, number>(Object.entries(PROTOCOLS).map(([name, number]) => [name.toLowerCase(), number]));
const byNumber = new Map<number, string>(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]));

/** A name (in any case) or a decimal number -> number. */
export const protocolNumber = (text: string): number => {
  const known = byName.get(String(text).toLowerCase());
  if (known !== undefined) return known;
  if (/^[0-9]{1,3}$/.test(text) && Number(text) <= 255) return Number(text);
  throw weirError('INVALID_ARGUMENT', `${JSON.stringify(text)} is not an IP protocol`, {
    field: 'protocol',
    value: text,
    fix: `use one of ${Object.keys(PROTOCOLS).join(', ')} or a number from 0 to 255`,
  });
};

/** Number -> name; one without a name is written as its number. */
export const protocolName = (protocol: number): string => byNumber.get(protocol) ?? String(protocol);
