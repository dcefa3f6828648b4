// SPDX-License-Identifier: Apache-2.0
/**
 * What one identity may do in one direction: atoms -> verdict, closed under denial. The datapath finds the longest match in
 * such a trie and trusts it; that is right only when no allow lies under a deny, so every allow that a deny of the same trie
 * covers is taken out: the longest match there is then that deny, or one inside it. A deny inside an allow needs nothing.
 */
import { type Atom, isCovered } from './atoms.ts';

export interface Verdict {
  readonly deny: boolean;
  readonly ruleId: number;
}

export interface Contribution extends Verdict {
  readonly atoms: readonly Atom[];
}

/** Deny wins; of rules that say the same, the one with the lowest number is named. */
const stronger = (a: Verdict, b: Verdict): Verdict => {
  if (a.deny !== b.deny) return a.deny ? a : b;
  return a.ruleId <= b.ruleId ? a : b;
};

/** `denied` are the atoms denied for every identity: an allow under one of them is of no use either. */
export const closeTrie = (
  contributions: readonly Contribution[],
  denied: ReadonlySet<Atom>,
): ReadonlyMap<Atom, Verdict> => {
  const trie = new Map<Atom, Verdict>();
  const denies = new Set<Atom>();
  for (const contribution of contributions) {
    for (const atom of contribution.atoms) {
      const other = trie.get(atom);
      trie.set(atom, other ? stronger(other, contribution) : contribution);
      if (contribution.deny) denies.add(atom);
    }
  }
  if (denies.size === 0 && denied.size === 0) return trie;
  for (const [atom, { deny }] of trie) {
    if (!deny && (isCovered(atom, denies) || isCovered(atom, denied))) trie.delete(atom);
  }
  return trie;
};

export const deniedAtoms = (contributions: readonly Contribution[]): ReadonlySet<Atom> =>
  new Set(contributions.filter(({ deny }) => deny).flatMap(({ atoms }) => atoms));
