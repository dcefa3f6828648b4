// SPDX-License-Identifier: Apache-2.0
/** Addresses as rtnetlink has them: 4 or 16 bytes beside a family number. */
import { weirError } from '@weir/errors';
import { formatIp, isV4Mapped, parseIp } from '@weir/net';
import { AF } from './message.ts';

export type Family = 4 | 6;

export interface RawIp {
  readonly family: number;
  readonly bytes: Uint8Array;
}

export const familyNumber = (family: Family): number => (family === 4 ? AF.INET : AF.INET6);

export const familyOf = (number: number): Family => (number === AF.INET ? 4 : 6);

export const rawIp = (text: string): RawIp => {
  const bytes = parseIp(text);
  return isV4Mapped(bytes) ? { family: AF.INET, bytes: bytes.subarray(12) } : { family: AF.INET6, bytes };
};

/** An address with the length of its prefix; host bits stay. Without a length it is the whole address. */
export const rawCidr = (text: string): RawIp & { readonly bits: number } => {
  const [address = '', length] = text.split('/');
  const ip = rawIp(address);
  const most = ip.bytes.length * 8;
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (!(bits <= most)) {
    throw weirError('INVALID_ARGUMENT', `'${text}' has a wrong prefix length`, {
      field: 'address',
      value: text,
      fix: `write address/length with a length from 0 to ${most}`,
    });
  }
  return { ...ip, bits };
};

export const ipText = (bytes: Buffer | undefined): string | undefined =>
  bytes !== undefined && (bytes.length === 4 || bytes.length === 16) ? formatIp(bytes) : undefined;
