// SPDX-License-Identifier: Apache-2.0
/**
 * What one identity may do in one direction and tier: atoms -> verdict, closed. The datapath finds the longest match in such a
 * trie and trusts it; that is right only when nothing lies under what is stronger, so every entry that a stronger one of the
 * same trie covers is taken out: the longest match there is then that one, or one inside it that is as strong.
 */
import type { Action, DenyResponse } from '../model.ts';
import { type Atom, someCovering } from './atoms.ts';

export interface Verdict {
  readonly verdict: Action;
  readonly rank: number;
  readonly ruleId: number;
  /** Of a deny. */
  readonly response?: DenyResponse;
}

export interface Contribution extends Verdict {
  readonly atoms: readonly Atom[];
}

export type Trie = ReadonlyMap<Atom, Verdict>;

/** The higher rank, and of one rank a deny. */
export const isStronger = (a: Verdict, b: Verdict): boolean =>
  a.rank > b.rank || (a.rank === b.rank && a.verdict === 'deny' && b.verdict !== 'deny');

/** Of rules that say the same, the one with the lowest number is named. */
const chosen = (a: Verdict, b: Verdict): Verdict => {
  if (isStronger(a, b)) return a;
  if (isStronger(b, a)) return b;
  return a.ruleId <= b.ruleId ? a : b;
};

/** Are there entries that another could be stronger than? */
const isMixed = (contributions: readonly Contribution[]): boolean => {
  const [first] = contributions;
  return contributions.some(
    ({ rank, verdict }) => rank !== first?.rank || (verdict === 'deny') !== (first?.verdict === 'deny'),
  );
};

/** Of each atom the strongest, nothing taken out. */
export const layTrie = (contributions: readonly Contribution[]): Trie => {
  const trie = new Map<Atom, Verdict>();
  for (const contribution of contributions) {
    const { atoms, ...own } = contribution;
    for (const atom of atoms) {
      const other = trie.get(atom);
      trie.set(atom, other ? chosen(other, own) : own);
    }
  }
  return trie;
};

/** `everybody` is the trie of any identity: what is under a stronger entry of that is of no use either. */
export const closeTrie = (contributions: readonly Contribution[], everybody: Trie): Trie => {
  const trie = layTrie(contributions);
  if (everybody.size === 0 && !isMixed(contributions)) return trie;
  const closed = new Map<Atom, Verdict>();
  for (const [atom, own] of trie) {
    const overruled = someCovering(atom, (covering) => {
      const same = trie.get(covering);
      if (same && isStronger(same, own)) return true;
      const any = everybody.get(covering);
      return any !== undefined && isStronger(any, own);
    });
    if (!overruled) closed.set(atom, own);
  }
  return closed;
};
