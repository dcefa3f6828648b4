// SPDX-License-Identifier: Apache-2.0
/**
 * Who gets what from which rule. Thousands of identities get the same contributions, so sets of them are shared: each identity
 * holds one number, a node in a tree of "this set plus that contribution", and a trie is closed once per set.
 */
import type { Atom } from './atoms.ts';
import type { Contribution } from './trie.ts';

export interface Ledger {
  /** Number of what one rule contributes; equal contributions share it. */
  number(deny: boolean, ruleId: number, atoms: readonly Atom[]): number;
  add(identity: number, contribution: number): void;
  /** Ascending. */
  identities(): number[];
  /** Equal for identities with the same contributions in the same order. */
  setOf(identity: number): number;
  contributions(identity: number): Contribution[];
}

const EMPTY_SET = 0;
// Sets and contributions both stay far below this; their pair is one safe integer.
const PAIR = 2 ** 26;

export const createLedger = (): Ledger => {
  const contributions: Contribution[] = [];
  const numbers = new Map<string, number>();
  const sets: { readonly parent: number; readonly contribution: number }[] = [{ parent: EMPTY_SET, contribution: -1 }];
  const extended = new Map<number, number>();
  const byIdentity = new Map<number, number>();
  return {
    number(deny, ruleId, atoms) {
      const key = `${deny ? '!' : ''}${ruleId}:${atoms.join(',')}`;
      const known = numbers.get(key);
      if (known !== undefined) return known;
      contributions.push({ atoms, deny, ruleId });
      numbers.set(key, contributions.length - 1);
      return contributions.length - 1;
    },
    add(identity, contribution) {
      const set = byIdentity.get(identity) ?? EMPTY_SET;
      const pair = set * PAIR + contribution;
      let next = extended.get(pair);
      if (next === undefined) {
        next = sets.push({ parent: set, contribution }) - 1;
        extended.set(pair, next);
      }
      byIdentity.set(identity, next);
    },
    identities: () => [...byIdentity.keys()].sort((a, b) => a - b),
    setOf: (identity) => byIdentity.get(identity) ?? EMPTY_SET,
    contributions(identity) {
      const found: Contribution[] = [];
      let set = byIdentity.get(identity) ?? EMPTY_SET;
      while (set !== EMPTY_SET) {
        const { parent, contribution } = sets[set] as { parent: number; contribution: number };
        found.push(contributions[contribution] as Contribution);
        set = parent;
      }
      return found;
    },
  };
};
