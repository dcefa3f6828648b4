// SPDX-License-Identifier: Apache-2.0
/** The published algorithm, by the paper's own example (table 1) and by its figure 2 written down a second time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { populate, type Turn } from '../src/populate.ts';

const equal = (offset: number, skip: number): Turn => ({ offset, skip, weight: 100 });
const PAPER = [equal(3, 4), equal(0, 2), equal(3, 1)];

test("the paper's table 1: three backends, seven slots, before and after B1 leaves", () => {
  assert.deepEqual([...populate(PAPER, 7)], [1, 0, 1, 0, 2, 2, 0]);
  const [b0, , b2] = PAPER as [Turn, Turn, Turn];
  const after = [...populate([b0, b2], 7)].map((index) => [0, 2][index]);
  assert.deepEqual(after, [0, 0, 0, 0, 2, 2, 2]);
});

/** Figure 2, line by line, with permutation[i][j] = (offset + j * skip) mod M. */
const figure2 = (turns: readonly Turn[], size: number): number[] => {
  const permutation = turns.map(({ offset, skip }) =>
    Array.from({ length: size }, (_, j) => (offset + j * skip) % size),
  );
  const next = turns.map(() => 0);
  const entry = Array.from({ length: size }, () => -1);
  for (let n = 0; ; ) {
    for (let i = 0; i < turns.length; i++) {
      const row = permutation[i] as number[];
      let c = row[next[i] as number] as number;
      while ((entry[c] as number) >= 0) {
        next[i] = (next[i] as number) + 1;
        c = row[next[i] as number] as number;
      }
      entry[c] = i;
      next[i] = (next[i] as number) + 1;
      n++;
      if (n === size) return entry;
    }
  }
};

test('equal weights: figure 2, whatever the backends', () => {
  const size = 251;
  const turn = fc.record({
    offset: fc.integer({ min: 0, max: size - 1 }),
    skip: fc.integer({ min: 1, max: size - 1 }),
    weight: fc.constant(7),
  });
  fc.assert(
    fc.property(fc.array(turn, { minLength: 1, maxLength: 40 }), (turns) => {
      assert.deepEqual([...populate(turns, size)], figure2(turns, size));
    }),
  );
});
