// SPDX-License-Identifier: Apache-2.0
/**
 * Who gets what from which rule, without the product of rules and identities. Rules of one shape (verdict, rank and atoms) differ for an
 * identity only in who is named, and the lowest number is: so each shape keeps one rule per identity, rules come in ascending
 * order, and a rule whose shape and peers were seen before adds nothing. Identities with equal contributions share one trie.
 */

import type { Action, DenyResponse } from '../model.ts';
import type { Atom } from './atoms.ts';
import type { Contribution, Verdict } from './trie.ts';

/** What somebody means by "these peers": equal text, equal set. */
export interface PeerSet {
  readonly key: string;
  readonly identities: Iterable<number>;
}

export interface Ledger {
  /** Call in ascending order of rule numbers. */
  add(verdict: Verdict, atoms: readonly Atom[], peers: PeerSet): void;
  contributions(identity: number): Contribution[];
  /** Identities in ascending order; `set` is equal for those with equal contributions. */
  groups(): { readonly identity: number; readonly set: string }[];
  /** Atoms of all identities together, before denials take some out. */
  size(): number;
}

interface Shape {
  readonly verdict: Action;
  readonly rank: number;
  readonly response?: DenyResponse;
  readonly atoms: readonly Atom[];
  readonly ruleIds: Map<number, number>;
  readonly peers: Set<string>;
}

export const createLedger = (): Ledger => {
  const shapes = new Map<string, Shape>();
  const shapeOf = ({ verdict, rank, response }: Verdict, atoms: readonly Atom[]): Shape => {
    const key = `${verdict} ${response} ${rank} ${atoms.join(',')}`;
    let shape = shapes.get(key);
    if (!shape) {
      shape = { verdict, rank, ...(response ? { response } : {}), atoms, ruleIds: new Map(), peers: new Set() };
      shapes.set(key, shape);
    }
    return shape;
  };
  return {
    add(verdict, atoms, peers) {
      const shape = shapeOf(verdict, atoms);
      const { ruleId } = verdict;
      if (shape.peers.has(peers.key)) return;
      shape.peers.add(peers.key);
      for (const identity of peers.identities) if (!shape.ruleIds.has(identity)) shape.ruleIds.set(identity, ruleId);
    },
    contributions(identity) {
      const found: Contribution[] = [];
      for (const { ruleIds, peers: _, ...shape } of shapes.values()) {
        const ruleId = ruleIds.get(identity);
        if (ruleId !== undefined) found.push({ ...shape, ruleId });
      }
      return found;
    },
    groups() {
      const sets = new Map<number, string>();
      let number = 0;
      for (const { ruleIds } of shapes.values()) {
        number++;
        for (const [identity, ruleId] of ruleIds) sets.set(identity, `${sets.get(identity) ?? ''}${number}:${ruleId},`);
      }
      return [...sets].map(([identity, set]) => ({ identity, set })).sort((a, b) => a.identity - b.identity);
    },
    size() {
      let size = 0;
      for (const { atoms, ruleIds } of shapes.values()) size += atoms.length * ruleIds.size;
      return size;
    },
  };
};
