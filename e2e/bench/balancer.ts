// SPDX-License-Identifier: Apache-2.0
/**
 * What a packet for a service costs in XDP: our program, one that remembers every connection in an LRU hash, and one that
 * remembers nothing, in nanoseconds over a program that only makes room for the outer header and sends.
 */
import { LANES, type Lane, openLanes, type Round } from './balancer-lanes.ts';
import { atMost, type BenchOptions, median, type Part, type Row } from './report.ts';

interface Case extends Omit<Round, 'lane'> {
  readonly name: string;
  /** Ours to the reference, at most. */
  readonly most?: number;
}

const CASES: readonly Case[] = [
  { name: '1 flow', flows: 1, begins: 'established' },
  { name: '1k flows', flows: 1 << 10, begins: 'established', most: 0.9 },
  { name: '64k flows', flows: 1 << 16, begins: 'established' },
  { name: '512k flows', flows: 1 << 19, begins: 'established', most: 0.5 },
  // So many that none is met again before an LRU of a million has let it go.
  { name: 'SYN', flows: 1 << 24, begins: 'syn', most: 0.25 },
  { name: 'not for a service', flows: 1 << 10, begins: 'established', isOther: true },
];

const prog = async ({ smoke, long, onStep }: BenchOptions): Promise<Row[]> => {
  const [repeat, rounds] = smoke ? [2_000, 1] : [400_000, long ? 15 : 7];
  const lanes = await openLanes();
  try {
    const rows: Row[] = [];
    for (const one of CASES) {
      onStep(`lb-prog: ${one.name}`);
      const times = new Map<Lane, number[]>(LANES.map((lane) => [lane, []]));
      // Every flow is there before it is measured.
      const warm = smoke ? repeat : Math.max(repeat, one.begins === 'syn' ? 1 << 20 : one.flows * 4);
      for (const lane of LANES) if (lane !== 'floor') await lanes.time({ ...one, lane }, warm);
      for (let round = 0; round < rounds; round++)
        for (const lane of round % 2 ? [...LANES].reverse() : LANES)
          times.get(lane)?.push(await lanes.time({ ...one, lane }, repeat));
      const over = (lane: Lane): number => {
        const floors = times.get('floor') ?? [];
        return median((times.get(lane) ?? []).map((ns, i) => ns - (floors[i] ?? 0)));
      };
      rows.push({ metric: `${one.name}, floor`, value: median(times.get('floor') ?? []), unit: 'ns' });
      if (one.isOther) {
        for (const lane of ['ours', 'lru'] as const)
          rows.push({ metric: `${one.name}, ${lane}, whole`, value: median(times.get(lane) ?? []), unit: 'ns' });
        continue;
      }
      const reference = over('lru');
      for (const lane of ['ours', 'stateless', 'lru'] as const) {
        const value = over(lane);
        const ratio = value / reference;
        const goal = lane === 'ours' && one.most !== undefined ? atMost(ratio, one.most) : {};
        rows.push({ metric: `${one.name}, ${lane} over the floor`, value, unit: 'ns', ratio, ...goal });
      }
    }
    return rows;
  } finally {
    lanes.close();
  }
};

export const balancerPrograms: Readonly<Record<string, Part>> = { prog };
