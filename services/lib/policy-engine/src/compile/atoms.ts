// SPDX-License-Identifier: Apache-2.0
/**
 * An atom is the protocol and port part of one entry as a number: protocol << 21 | port << 5 | port prefix bits; 0 is every
 * protocol. Numbers make keys of maps, and the atoms that cover another can be computed from it.
 */
import { LAST_PORT, rangeToPrefixes } from '../ports.ts';

export type Atom = number;

export const ANY_ATOM: Atom = 0;

const BITS_MASK = 0x1f;

export const atom = (protocol: number, port: number, bits: number): Atom => (protocol << 21) | (port << 5) | bits;

export const atomProtocol = (value: Atom): number => value >>> 21;
export const atomPort = (value: Atom): number => (value >>> 5) & LAST_PORT;
export const atomBits = (value: Atom): number => value & BITS_MASK;

/** Length of the match as the datapath counts it: 0, or 8 for the protocol and up to 16 for the port. */
export const atomPrefixBits = (value: Atom): number => (value === ANY_ATOM ? 0 : 8 + atomBits(value));

export const rangeAtoms = (protocol: number, first: number, last: number): Atom[] =>
  rangeToPrefixes(first, last).map(({ port, bits }) => atom(protocol, port, bits));

/** Does the test hold for an atom that covers `value`, or for itself? */
export const someCovering = (value: Atom, test: (covering: Atom) => boolean): boolean => {
  if (test(ANY_ATOM)) return true;
  const protocol = atomProtocol(value);
  if (protocol === 0) return false;
  const port = atomPort(value);
  for (let bits = atomBits(value); bits >= 0; bits--) {
    const masked = bits === 0 ? 0 : port & (LAST_PORT << (16 - bits)) & LAST_PORT;
    if (test(atom(protocol, masked, bits))) return true;
  }
  return false;
};
