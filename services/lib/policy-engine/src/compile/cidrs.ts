// SPDX-License-Identifier: Apache-2.0
/**
 * CIDR identities. The datapath finds the most specific known prefix of an address and knows the peer by that prefix's number
 * alone. So every prefix and every exception of every policy gets a number, and a rule selects all numbered prefixes that lie
 * inside its own and outside its exceptions: then each address is judged as if it had been compared with the rule itself.
 */
import { type Cidr, cidrContains, compareIp, ipFamily, lastAddress, maskAddress, parseCidr } from '@weir/net';
import { IDENTITY } from '../constants.ts';
import type { PolicyDocument } from '../model.ts';

/** Canonical prefix -> its host-local identity. */
export type CidrAllocator = ReadonlyMap<string, number>;

/** IPv4 in v4-mapped form: an IPv6 prefix this short or shorter would catch IPv4 addresses in a trie of both. */
const V4_MAPPED = { addr: parseCidr('0.0.0.0/0').addr, bits: 96 };

const coversV4Mapped = (cidr: Cidr): boolean => {
  if (cidr.family !== 6 || cidr.bits > V4_MAPPED.bits) return false;
  return compareIp(cidr.addr, V4_MAPPED.addr) <= 0 && compareIp(lastAddress(cidr), V4_MAPPED.addr) >= 0;
};

/** Every prefix that needs an identity so that these policies can be told apart, in a stable order. */
export const collectCidrs = (policies: Iterable<PolicyDocument>): string[] => {
  const found = new Map<string, Cidr>();
  for (const { specs } of policies) {
    for (const { rules } of specs) {
      for (const { peers } of rules) {
        if (peers === 'any') continue;
        for (const peer of peers) {
          if (peer.kind !== 'cidr') continue;
          found.set(peer.cidr.text, peer.cidr);
          for (const except of peer.except) found.set(except.text, except);
        }
      }
    }
  }
  // Without a number of its own, IPv4 would be known by the IPv6 prefix around its v4-mapped form.
  if ([...found.values()].some(coversV4Mapped)) found.set('0.0.0.0/0', parseCidr('0.0.0.0/0'));
  return [...found.values()].sort(compareCidr).map(({ text }) => text);
};

const compareCidr = (a: Cidr, b: Cidr): number => a.family - b.family || compareIp(a.addr, b.addr) || a.bits - b.bits;

/** Numbers for `wanted`: those known before keep theirs, numbers of prefixes no longer wanted are free again. */
export const allocateCidrs = (wanted: readonly string[], previous: CidrAllocator = new Map()): Map<string, number> => {
  const next = new Map<string, number>();
  const taken = new Set<number>();
  for (const text of wanted) {
    const known = previous.get(text);
    if (known === undefined) continue;
    next.set(text, known);
    taken.add(known);
  }
  let number = IDENTITY.SCOPE_CIDR + 1;
  for (const text of wanted) {
    if (next.has(text)) continue;
    while (taken.has(number)) number++;
    next.set(text, number);
    taken.add(number);
  }
  return next;
};

interface Numbered {
  readonly cidr: Cidr;
  readonly identity: number;
}

export interface CidrIndex {
  /** Numbers of all prefixes inside `cidr` (itself too) and not inside an exception. */
  within(cidr: Cidr, except: readonly Cidr[]): readonly number[];
  ofFamily(family: 4 | 6): readonly number[];
  all(): readonly number[];
  /** Number of the most specific prefix that holds the address, as the datapath finds it. */
  lookup(address: Uint8Array): number | undefined;
}

const prefixKey = (family: 4 | 6, bits128: number, address: Uint8Array): string =>
  `${family} ${bits128} ${address.join('.')}`;

export const createCidrIndex = (cidrs: CidrAllocator): CidrIndex => {
  const byFamily: Record<4 | 6, Numbered[]> = { 4: [], 6: [] };
  for (const [text, identity] of cidrs) {
    const cidr = parseCidr(text);
    byFamily[cidr.family].push({ cidr, identity });
  }
  byFamily[4].sort((a, b) => compareCidr(a.cidr, b.cidr));
  byFamily[6].sort((a, b) => compareCidr(a.cidr, b.cidr));
  const numbers = { 4: byFamily[4].map(({ identity }) => identity), 6: byFamily[6].map(({ identity }) => identity) };
  const cache = new Map<string, readonly number[]>();
  const byPrefix = new Map<string, number>();
  const lengths: Record<4 | 6, number[]> = { 4: [], 6: [] };
  for (const { cidr, identity } of [...byFamily[4], ...byFamily[6]]) {
    byPrefix.set(prefixKey(cidr.family, cidr.bits128, cidr.addr), identity);
    if (!lengths[cidr.family].includes(cidr.bits128)) lengths[cidr.family].push(cidr.bits128);
  }
  for (const family of [4, 6] as const) lengths[family].sort((a, b) => b - a);

  // Prefixes inside another follow it directly in this order.
  const firstNotBefore = (sorted: readonly Numbered[], cidr: Cidr): number => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareCidr((sorted[middle] as Numbered).cidr, cidr) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  return {
    within(cidr, except) {
      const key = [cidr.text, ...except.map(({ text }) => text)].join(' ');
      const known = cache.get(key);
      if (known) return known;
      const sorted = byFamily[cidr.family];
      const found: number[] = [];
      for (let at = firstNotBefore(sorted, cidr); at < sorted.length; at++) {
        const candidate = sorted[at] as Numbered;
        if (!cidrContains(cidr, candidate.cidr)) break;
        if (!except.some((hole) => cidrContains(hole, candidate.cidr))) found.push(candidate.identity);
      }
      cache.set(key, found);
      return found;
    },
    ofFamily: (family) => numbers[family],
    all: () => [...numbers[4], ...numbers[6]],
    lookup(address) {
      const family = ipFamily(address);
      for (const bits of lengths[family]) {
        const identity = byPrefix.get(prefixKey(family, bits, maskAddress(address, bits)));
        if (identity !== undefined) return identity;
      }
      return undefined;
    },
  };
};
