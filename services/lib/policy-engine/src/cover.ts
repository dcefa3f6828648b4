// SPDX-License-Identifier: Apache-2.0
/**
 * Does what one rule says hold everything that another says? By what is written, not by who exists: an answer "yes" is true of every
 * fleet, an answer "no" may only mean that it cannot be seen this way.
 */
import { type Cidr, cidrContains } from '@weir/net';
import type { L4, Peer, Rule } from './model.ts';
import type { Selector } from './selector.ts';

/** Requirements of a selector, each as text; see createSelector. */
export const partsOf = ({ text }: Selector): readonly string[] => (text === '' ? [] : text.split(' & '));

export const selectorCovers = (wide: Selector, narrow: Selector): boolean => {
  const asked = new Set(partsOf(narrow));
  return partsOf(wide).every((part) => asked.has(part));
};

const disjoint = (a: Cidr, b: Cidr): boolean => !cidrContains(a, b) && !cidrContains(b, a);

const cidrCovers = (wide: Extract<Peer, { kind: 'cidr' }>, narrow: Extract<Peer, { kind: 'cidr' }>): boolean => {
  if (narrow.ipBlock && !wide.ipBlock) return false;
  if (!cidrContains(wide.cidr, narrow.cidr)) return false;
  return wide.except.every(
    (hole) => disjoint(hole, narrow.cidr) || narrow.except.some((other) => cidrContains(other, hole)),
  );
};

const WORLDS: Readonly<Record<string, readonly number[]>> = { world: [4, 6], 'world-ipv4': [4], 'world-ipv6': [6] };

const peerCovers = (wide: Peer, narrow: Peer): boolean => {
  if (wide.kind === 'entity') {
    if (wide.entity === 'all') return true;
    if (narrow.kind === 'entity') return wide.entity === narrow.entity;
    return narrow.kind === 'cidr' && !narrow.ipBlock && (WORLDS[wide.entity] ?? []).includes(narrow.cidr.family);
  }
  if (wide.kind === 'selector') return narrow.kind === 'selector' && selectorCovers(wide.selector, narrow.selector);
  return wide.kind === 'cidr' && narrow.kind === 'cidr' && cidrCovers(wide, narrow);
};

const peersCover = (wide: Rule['peers'], narrow: Rule['peers']): boolean => {
  if (wide === 'any') return true;
  if (wide.some((peer) => peer.kind === 'entity' && peer.entity === 'all')) return true;
  return narrow !== 'any' && narrow.every((peer) => wide.some((other) => peerCovers(other, peer)));
};

const portCovers = (wide: L4, narrow: L4): boolean => {
  if (wide.protocol !== narrow.protocol) return false;
  if (wide.kind === 'range') {
    // Names are ports, so every port is every name, too.
    if (narrow.kind === 'named') return wide.first === 0 && wide.last === 0xffff;
    return wide.first <= narrow.first && wide.last >= narrow.last;
  }
  return narrow.kind === 'named' && wide.name === narrow.name;
};

/** Of every peer: a name in an egress rule is the peer's, so a rule that only names ports is not covered by addresses. */
export const portsCover = (wide: Rule['l4'], narrow: Rule['l4']): boolean =>
  wide === 'any' || (narrow !== 'any' && narrow.every((one) => wide.some((other) => portCovers(other, one))));

/** Rules that match nothing are covered by nobody: they have a warning of their own. */
export const ruleCovers = (wide: Rule, narrow: Rule): boolean => {
  const matchesNothing = narrow.peers.length === 0 || narrow.l4.length === 0;
  return !matchesNothing && peersCover(wide.peers, narrow.peers) && portsCover(wide.l4, narrow.l4);
};
