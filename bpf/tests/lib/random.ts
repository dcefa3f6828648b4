// SPDX-License-Identifier: Apache-2.0
/** Random numbers that a failing test can repeat: the seed is printed, WEIR_FUZZ_SEED sets it. */

export interface Random {
  readonly seed: number;
  /** 0 <= n < below */
  below(below: number): number;
  pick<T>(values: readonly T[]): T;
}

/** mulberry32: 32 bits of state are plenty for packets. */
export const createRandom = (seed = Number(process.env.WEIR_FUZZ_SEED ?? Date.now() % 2 ** 31)): Random => {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit);
  return { seed, below, pick: (values) => values[below(values.length)] as (typeof values)[number] };
};
