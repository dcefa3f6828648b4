// SPDX-License-Identifier: Apache-2.0
/**
 * What the tunnel between hosts costs: large transfers and small requests from a workload of one host to one of another,
 * through our programs and tunnel device with a policy at both ends, against a plain VXLAN between the same hosts. Both stand
 * at once, and rounds are as in `compareBy`.
 */
import { atLeast, atMost, type BenchOptions, type Part, type Row } from './report.ts';
import { compare, compareBy } from './triple.ts';
import { createTunnelPath, type TunnelFamily, type TunnelPath } from './tunnel-path.ts';

const CPU = 1;
const FAMILIES: readonly TunnelFamily[] = [4, 6];
/** At most 5 % under a tunnel that judges nothing. */
const LEAST_THROUGHPUT = 0.95;
const MOST_TIME = { rr: 1.05, crr: 1.05 } as const;

export interface Variant {
  readonly name: string;
  /** Of the policy at each end; undefined: plain. */
  readonly rules: number | undefined;
}

const PLAIN_AND_OURS: readonly Variant[] = [
  { name: 'plain', rules: undefined },
  { name: 'ours', rules: 10 },
];

/** One path a variant, in their order; taken down when `work` is done. */
const withPaths = async <T>(
  family: TunnelFamily,
  variants: readonly Variant[],
  { onStep }: Pick<BenchOptions, 'onStep'>,
  work: (paths: readonly TunnelPath[]) => Promise<T>,
): Promise<T> => {
  const paths: TunnelPath[] = [];
  try {
    for (const { name, rules } of variants) {
      onStep(`path ${name}, IPv${family}`);
      paths.push(await createTunnelPath(`${name}-${family}`, family, rules, CPU));
    }
    return await work(paths);
  } finally {
    for (const path of paths) await path.destroy();
  }
};

const transfers = async (options: BenchOptions): Promise<Row[]> => {
  const [rounds, ms] = options.smoke ? [1, 50] : [options.long ? 41 : 15, 500];
  const rows: Row[] = [];
  for (const family of FAMILIES) {
    await withPaths(family, PLAIN_AND_OURS, options, async (paths) => {
      options.onStep(`IPv${family}: ${rounds} transfers of ${ms} ms by each path`);
      const rate = async (path: TunnelPath): Promise<number> => {
        const { bytes, ns } = await path.transfer(ms);
        return (bytes * 8) / ns;
      };
      for (const [i, { value, ratio }] of (await compareBy(paths, rounds, rate)).entries()) {
        const { name, rules } = PLAIN_AND_OURS[i] as Variant;
        rows.push({
          ...{ metric: `tunnel transfer IPv${family}, ${name} to plain`, value, unit: 'Gbit/s', ratio },
          ...(rules === undefined ? {} : atLeast(ratio, LEAST_THROUGHPUT)),
        });
      }
    });
  }
  return rows;
};

/** p50 of requests by each variant, to the first one; goals for those with rules. */
export const requestRows = async (
  variants: readonly Variant[],
  options: BenchOptions,
  most: Readonly<Record<'rr' | 'crr', number>>,
): Promise<Row[]> => {
  const [rounds, ms] = options.smoke ? [1, 20] : [41, 150];
  const rows: Row[] = [];
  for (const family of FAMILIES) {
    await withPaths(family, variants, options, async (paths) => {
      for (const kind of ['rr', 'crr'] as const) {
        options.onStep(`IPv${family}: ${kind}, ${rounds} rounds of ${ms} ms`);
        for (const [i, { value, ratio }] of (await compare(paths, kind, rounds, ms)).entries()) {
          const { name, rules } = variants[i] as Variant;
          rows.push({
            ...{ metric: `tunnel ${kind} p50 IPv${family}, ${name} to plain`, value: value / 1000, unit: 'us', ratio },
            ...(rules === undefined ? {} : atMost(ratio, most[kind], 'ratio ')),
          });
        }
      }
    });
  }
  return rows;
};

const requests = (options: BenchOptions): Promise<Row[]> => requestRows(PLAIN_AND_OURS, options, MOST_TIME);

export const overlay: Readonly<Record<string, Part>> = { transfers, requests };
