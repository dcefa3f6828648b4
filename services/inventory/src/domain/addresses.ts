// SPDX-License-Identifier: Apache-2.0
/** Addresses that people give, as the one text under which they are stored. */
import { type WeirError, weirError } from '@weir/errors';
import { cidrContainsIp, compareIp, formatIp, ipFamily, lastAddress, parseCidr, parseIp } from '@weir/net';

export const refused = (field: string, value: string, why: string, fix: string): WeirError =>
  weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(value)} ${why}`, { field, value, fix });

/** Throws INVALID_ARGUMENT unless `text` is an address of that family. */
export const checkAddress = (field: string, text: string, family: 4 | 6): string => {
  const fix = `give an IPv${family} address such as ${family === 4 ? '10.77.0.5' : 'fd77::5'}, or leave it out`;
  let bytes: Uint8Array;
  try {
    bytes = parseIp(text);
  } catch {
    throw refused(field, text, 'is not an IP address', fix);
  }
  if (ipFamily(bytes) !== family) throw refused(field, text, `is not an IPv${family} address`, fix);
  return formatIp(bytes);
};

/** No host is reached from another one under these. */
const UNUSABLE = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/127', 'fe80::/10', 'ff00::/8'].map((text) =>
  parseCidr(text),
);

/**
 * Nor is a service found there, or does one lead there: what belongs to one link, one host or one network namespace. Metadata
 * services of clouds are at such addresses, and answer whoever asks.
 */
const UNSERVABLE = [...UNUSABLE, ...['169.254.0.0/16', '::/96'].map((text) => parseCidr(text))];

/** The range, when the (well-formed) address can be none of a service's. */
export const unservableRange = (address: string): string | undefined =>
  UNSERVABLE.find((cidr) => cidrContainsIp(cidr, parseIp(address)))?.text;

/** The first such range that some address from `start` to `stop` (well-formed, of one family) lies in. */
export const unservableBetween = (start: string, stop: string): string | undefined =>
  UNSERVABLE.find(
    (cidr) =>
      cidr.family === ipFamily(parseIp(start)) &&
      compareIp(cidr.addr, parseIp(stop)) <= 0 &&
      compareIp(lastAddress(cidr), parseIp(start)) >= 0,
  )?.text;

/** The range, when no other host reaches the (well-formed) address. */
export const unusableRange = (address: string): string | undefined =>
  UNUSABLE.find((cidr) => cidrContainsIp(cidr, parseIp(address)))?.text;

/** Throws unless the (well-formed) address can be one station's, seen from another host. */
export const checkUnicast = (field: string, text: string, fix: string): void => {
  const unusable = unusableRange(text);
  if (unusable) throw refused(field, text, `lies in ${unusable}, where no other host reaches it`, fix);
};

export const checkUnderlay = (
  field: 'underlay_ip4' | 'underlay_ip6',
  text: string | null | undefined,
): string | null => {
  if (text === null || text === undefined) return null;
  const family = field === 'underlay_ip4' ? 4 : 6;
  const address = checkAddress(field, text, family);
  const fix = `give the host's unicast IPv${family} address on the network between the hosts, or leave it out`;
  checkUnicast(field, text, fix);
  return address;
};
