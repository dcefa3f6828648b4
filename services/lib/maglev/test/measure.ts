// SPDX-License-Identifier: Apache-2.0
/** How long a table takes, and how much of it moves when one backend leaves. Not a test: run it by hand. */
import { buildTable, decodeSeed, type MaglevBackend } from '../src/index.ts';

const seed = decodeSeed('AAECAwQFBgcICQoL');
const make = (count: number, spread: number): MaglevBackend[] =>
  Array.from({ length: count }, (_, i) => ({ key: `10.0.${i >> 8}.${i & 255}:80/tcp`, weight: 100 + (i % spread) }));

console.log('| slots | backends | weights | ms | moved beside what left |\n| --- | --- | --- | --- | --- |');
for (const [size, count] of [
  [16_381, 100],
  [32_749, 100],
  [65_521, 100],
  [65_521, 1000],
  [131_071, 1000],
] as const) {
  for (const spread of [1, 900]) {
    const backends = make(count, spread);
    const times = Array.from({ length: 9 }, () => {
      const began = performance.now();
      buildTable({ size, seed, backends });
      return performance.now() - began;
    }).sort((a, b) => a - b);
    const before = buildTable({ size, seed, backends });
    const after = buildTable({ size, seed, backends: backends.slice(0, -1) });
    const moved = before.filter((index, slot) => index !== count - 1 && after[slot] !== index).length;
    const weights = spread === 1 ? 'equal' : '100..999';
    console.log(
      `| ${size} | ${count} | ${weights} | ${times[4]?.toFixed(0)} | ${((100 * moved) / size).toFixed(2)} % |`,
    );
  }
}
