// SPDX-License-Identifier: Apache-2.0
/**
 * Port ranges as prefixes, the only shape a longest-prefix trie knows. A range becomes the fewest prefixes that cover it
 * exactly: at most 30 (1-65534), one for a single port or an aligned block.
 */
import { PORT_BITS } from './constants.ts';

export interface PortPrefix {
  readonly port: number;
  /** 0 = every port, 16 = just this one. */
  readonly bits: number;
}

export const LAST_PORT = 0xffff;

export const rangeToPrefixes = (first: number, last: number): PortPrefix[] => {
  const prefixes: PortPrefix[] = [];
  let port = first;
  while (port <= last) {
    let free = 0;
    while (free < PORT_BITS && (port & ((1 << (free + 1)) - 1)) === 0 && port + (1 << (free + 1)) - 1 <= last) free++;
    prefixes.push({ port, bits: PORT_BITS - free });
    port += 1 << free;
  }
  return prefixes;
};

/** IANA service names (RFC 6335 5.1), which ports may be named by. */
export const isServiceName = (text: string): boolean =>
  text.length <= 15 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i.test(text) && /[a-z]/i.test(text) && !text.includes('--');
