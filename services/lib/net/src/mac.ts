// SPDX-License-Identifier: Apache-2.0
/** Ethernet addresses: 6 bytes inside, `02:42:ac:11:00:02` at the edge. */
import { weirError } from '@weir/errors';

const MAC = /^[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}$/i;

export const parseMac = (text: string): Uint8Array => {
  if (typeof text !== 'string' || !MAC.test(text)) {
    throw weirError('INVALID_ARGUMENT', `${JSON.stringify(text)} is not a MAC address`, {
      field: 'mac',
      value: text,
      fix: 'write six pairs of hexadecimal digits, such as 02:42:ac:11:00:02',
    });
  }
  return Uint8Array.from(text.split(/[:-]/), (pair) => Number.parseInt(pair, 16));
};

export const formatMac = (bytes: Uint8Array): string => {
  if (bytes.length !== 6) {
    throw weirError('INVALID_ARGUMENT', `a MAC address has 6 bytes, not ${bytes.length}`, {
      field: 'mac',
      value: bytes.length,
      fix: 'pass 6 bytes',
    });
  }
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
};
