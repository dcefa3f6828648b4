// SPDX-License-Identifier: Apache-2.0
/** What a fleet relies on: one table whoever makes it, shares as the weights say, little that moves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWeirError } from '@weir/errors';
import { buildTable, createMaglev, decodeSeed, MAGLEV_SIZES, type MaglevBackend } from '../src/index.ts';

const SEED = decodeSeed('AAECAwQFBgcICQoL');
const make = (count: number, weightOf = (_: number) => 100): MaglevBackend[] =>
  Array.from({ length: count }, (_, i) => ({ key: `10.0.${i >> 8}.${i & 255}:80/tcp`, weight: weightOf(i) }));
const keysOf = (size: number, backends: readonly MaglevBackend[], seed = SEED): string[] =>
  [...buildTable({ size, seed, backends })].map((index) => backends[index]?.key ?? '');
const names =
  (field: string) =>
  (error: unknown): boolean =>
    isWeirError(error) && error.code === 'INVALID_ARGUMENT' && error.facts.field === field;
const slotsOf = (table: readonly string[]): Map<string, number> => {
  const slots = new Map<string, number>();
  for (const key of table) slots.set(key, (slots.get(key) ?? 0) + 1);
  return slots;
};

test('golden vectors: offsets, skips and turns never change, or hosts of two versions disagree', () => {
  const begin = (weights: readonly number[]): string =>
    [...buildTable({ size: 251, seed: SEED, backends: make(3, (i) => weights[i] as number) })].slice(0, 32).join('');
  assert.equal(begin([100, 100, 100]), '11012202111102201010102211110022');
  assert.equal(begin([1, 2, 5]), '11012222111212201120202211220222');
});

test('the order of backends means nothing, the seed does', () => {
  const backends = make(50, (i) => 1 + (i % 7));
  const shuffled = [...backends].sort((a, b) =>
    a.key.split('').reverse().join('') < b.key.split('').reverse().join('') ? -1 : 1,
  );
  assert.notDeepEqual(shuffled, backends);
  assert.deepEqual(keysOf(4093, shuffled), keysOf(4093, backends));
  assert.notDeepEqual(keysOf(4093, backends, decodeSeed('AAECAwQFBgcICQoM')), keysOf(4093, backends));
});

/**
 * What the published algorithm moves beside the slots of who left gets less with the slots of each backend: 163 are not
 * enough for 1 % when every backend is 1 % of all; 327 are, and so are 131 of one in a thousand.
 */
test('one leaves: of what the others had little moves', () => {
  const cases = [
    { size: 16_381, count: 100, most: 0.02 },
    { size: 32_749, count: 100, most: 0.01 },
    { size: 65_521, count: 100, most: 0.01 },
    { size: 131_071, count: 100, most: 0.01 },
    { size: 131_071, count: 1000, most: 0.01 },
  ];
  for (const { size, count, most } of cases) {
    const backends = make(count);
    const before = keysOf(size, backends);
    for (const gone of [0, 13, 57, 99]) {
      const after = keysOf(size, backends.toSpliced(gone, 1));
      const moved = before.filter((key, slot) => key !== backends[gone]?.key && after[slot] !== key).length;
      assert.ok(moved <= size * most, `${size} slots, ${count} backends without ${gone}: ${moved} moved`);
    }
  }
});

test('each share is within 1 % of its weight, every size has every slot', () => {
  for (const size of MAGLEV_SIZES) {
    const backends = make(Math.floor(size / 100), (i) => 100 + 50 * (i % 4));
    const slots = slotsOf(keysOf(size, backends));
    const sum = backends.reduce((total, { weight }) => total + weight, 0);
    for (const { key, weight } of backends) {
      const wanted = (size * weight) / sum;
      const off = Math.abs((slots.get(key) ?? 0) - wanted);
      assert.ok(
        off <= Math.max(1, wanted / 100),
        `${size}: ${key} has ${slots.get(key)} slots, ${wanted} are its share`,
      );
    }
  }
});

test('weight 0 has no slot; nobody with a weight: no table', () => {
  const backends = make(3, (i) => (i === 1 ? 0 : 65_535));
  assert.deepEqual([...slotsOf(keysOf(509, backends)).keys()].sort(), [backends[0]?.key, backends[2]?.key]);
  assert.equal(buildTable({ size: 251, seed: SEED, backends: make(2, () => 0) }).length, 0);
  assert.equal(buildTable({ size: 251, seed: SEED, backends: [] }).length, 0);
});

test('what is wrong is named', () => {
  const backends = make(2);
  const seed = SEED;
  assert.throws(() => buildTable({ size: 1000, seed, backends }), names('size'));
  assert.throws(() => buildTable({ size: 251, seed: SEED.subarray(1), backends }), names('seed'));
  const heavy = make(2, () => 70_000);
  assert.throws(() => buildTable({ size: 251, seed, backends: heavy }), names('backends[0].weight'));
  const twice = [...backends, ...backends];
  assert.throws(() => buildTable({ size: 251, seed, backends: twice }), names('backends[2].key'));
  assert.throws(() => decodeSeed('AAEC'), names('maglev_seed'));
});

test('a worker thread makes the same tables, many at once, and refuses the same', async () => {
  const maglev = createMaglev();
  try {
    const inputs = MAGLEV_SIZES.slice(0, 5).map((size) => ({ size, seed: SEED, backends: make(size >> 4) }));
    const tables = await Promise.all(inputs.map((input) => maglev.table(input)));
    assert.deepEqual(tables, inputs.map(buildTable));
    await assert.rejects(maglev.table({ size: 7, seed: SEED, backends: [] }), names('size'));
  } finally {
    await maglev.close();
  }
});
