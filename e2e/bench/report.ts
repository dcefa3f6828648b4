// SPDX-License-Identifier: Apache-2.0
/** What a benchmark found: rows with their goals, as a table with the losing rows first, and as JSON. */

export interface Row {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** To what the row is compared with; its name is in the metric. */
  readonly ratio?: number;
  /** As a person reads it: `<= 1.03`. */
  readonly goal?: string;
  readonly pass?: boolean;
}

export interface BenchResult {
  readonly name: string;
  readonly rows: readonly Row[];
}

export interface BenchOptions {
  /** The full sizes of the goals. */
  readonly long: boolean;
  /** One tiny round: shows that all of it runs; its figures mean nothing. */
  readonly smoke: boolean;
  readonly onStep: (text: string) => void;
}

/** A part measures one thing and sets up what it needs by itself. */
export type Part = (options: BenchOptions) => Promise<Row[]>;

export const atMost = (value: number, most: number, what = ''): Pick<Row, 'goal' | 'pass'> => ({
  goal: `${what}<= ${most}`,
  pass: value <= most,
});

export const atLeast = (value: number, least: number): Pick<Row, 'goal' | 'pass'> => ({
  goal: `>= ${least}`,
  pass: value >= least,
});

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export const percentile = (values: readonly number[], percent: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN;
};

const digits = (value: number): string =>
  Number.isInteger(value) || Math.abs(value) >= 1000 ? String(Math.round(value)) : value.toPrecision(4);

const order = ({ pass }: Row): number => (pass === false ? 0 : pass === true ? 1 : 2);

export const table = ({ name, rows }: BenchResult): string => {
  const cells = [...rows]
    .sort((a, b) => order(a) - order(b))
    .map(({ metric, value, unit, ratio, goal, pass }) => [
      pass === undefined ? '' : pass ? 'PASS' : 'FAIL',
      metric,
      `${digits(value)} ${unit}`,
      ratio === undefined ? '' : ratio.toFixed(3),
      goal ?? '',
    ]);
  const all = [['', name, 'value', 'ratio', 'goal'], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};
