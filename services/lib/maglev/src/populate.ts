// SPDX-License-Identifier: Apache-2.0
/**
 * Figure 2 of the paper: backends take turns, and each takes the first slot of its own permutation that is still free.
 * Weights say how often a turn comes. Invariants: every slot is taken exactly once; with equal weights the order of
 * turns is the paper's; a backend's slots are its share of the weights, but for the rounding of one turn.
 */

export interface Turn {
  /** Where the permutation of the slots begins, below the size. */
  readonly offset: number;
  /** Between 1 and size - 1; the size is a prime number, so all slots are met. */
  readonly skip: number;
  /** More than 0. */
  readonly weight: number;
}

/** Slot -> index into `turns`, which must not be empty. */
export const populate = (turns: readonly Turn[], size: number): Uint32Array => {
  const FREE = 0xffffffff;
  const table = new Uint32Array(size).fill(FREE);
  const heaviest = Math.max(...turns.map(({ weight }) => weight));
  const place = Uint32Array.from(turns, ({ offset }) => offset);
  const skip = Uint32Array.from(turns, (turn) => turn.skip);
  // In half turns of the heaviest, so that a share is rounded to the nearest and not cut.
  const weight = Float64Array.from(turns, (turn) => turn.weight * 2);
  const due = new Float64Array(turns.length).fill(heaviest);
  let taken = 0;
  for (let round = 1; ; round++) {
    for (let i = 0; i < turns.length; i++) {
      if (round * (weight[i] as number) < (due[i] as number)) continue;
      due[i] = (due[i] as number) + 2 * heaviest;
      let slot = place[i] as number;
      while (table[slot] !== FREE) slot = (slot + (skip[i] as number)) % size;
      table[slot] = i;
      place[i] = (slot + (skip[i] as number)) % size;
      taken++;
      if (taken === size) return table;
    }
  }
};
