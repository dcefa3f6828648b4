// SPDX-License-Identifier: Apache-2.0
/** Numbers that a seed makes again. */

/** A number from 0 to below the one given. */
export type Below = (below: number) => number;

/** mulberry32; a failure names the seed. */
export const randomFrom = (seed: number): Below => {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
};

export const seedOfRun = (): number => Number(process.env.WEIR_FUZZ_SEED ?? Date.now() % 2 ** 31);
