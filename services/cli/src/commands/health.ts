// SPDX-License-Identifier: Apache-2.0
/** `weir health`: how hosts reach one another, who probes down the side, who is probed along the top. */
import { setTimeout as sleep } from 'node:timers/promises';
import { escapeUntrusted } from '@weir/net';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Column, type Format, render, renderTable } from '../output/table.ts';

export interface HealthOptions {
  readonly output: Format;
  readonly from?: string;
  readonly to?: string;
  readonly watch?: boolean;
  readonly every: number;
}

interface Path {
  readonly from: string;
  readonly to: string;
  readonly address: string;
  readonly kind: string;
  readonly target: string;
  readonly status: 'reachable' | 'unreachable' | 'unknown';
  readonly latency_us: number | null;
  readonly error: string | null;
  readonly failures: number;
  readonly probed_at: string;
}

const milliseconds = (us: number | null): string => (us === null ? '-' : `${(us / 1_000).toFixed(2)} ms`);

/** The host answers, and nothing of what workloads' packets would have to pass does. */
const isEndpointOnly = (paths: readonly Path[]): boolean =>
  paths.every(({ target, status }) => (status === 'unreachable') === (target === 'endpoint'));

/** All paths of one pair: the slowest latency, or how many have no answer; `unknown` when the last report is too old. */
const pairText = (paths: readonly Path[]): string => {
  const unreachable = paths.filter(({ status }) => status === 'unreachable').length;
  if (paths.length === 0) return '-';
  if (unreachable === paths.length) return 'unreachable';
  if (unreachable > 0 && isEndpointOnly(paths)) return 'endpoint unreachable';
  if (unreachable > 0) return `${unreachable} of ${paths.length} unreachable`;
  if (paths.some(({ status }) => status === 'unknown')) return 'unknown';
  return milliseconds(Math.max(...paths.map(({ latency_us: us }) => us ?? 0)));
};

const pairsOf = (paths: readonly Path[]): ReadonlyMap<string, readonly Path[]> => {
  const pairs = new Map<string, Path[]>();
  for (const path of paths) {
    const pair = JSON.stringify([path.from, path.to]);
    pairs.set(pair, [...(pairs.get(pair) ?? []), path]);
  }
  return pairs;
};

const matrix = (paths: readonly Path[]): string => {
  const pairs = pairsOf(paths);
  const names = (of: (path: Path) => string): string[] => [...new Set(paths.map(of))].sort();
  const columns: Column<string>[] = [
    { title: 'FROM', cell: (from) => from },
    ...names(({ to }) => to).map((to) => ({
      title: escapeUntrusted(to),
      cell: (from: string) => pairText(pairs.get(JSON.stringify([from, to])) ?? []),
    })),
  ];
  return renderTable(
    columns,
    names(({ from }) => from),
  );
};

const COLUMNS: readonly Column<Path>[] = [
  { title: 'FROM', cell: (p) => p.from },
  { title: 'TO', cell: (p) => p.to },
  { title: 'ADDRESS', cell: (p) => p.address },
  { title: 'KIND', cell: (p) => p.kind },
  { title: 'TARGET', cell: (p) => p.target },
  { title: 'STATUS', cell: (p) => p.status },
  { title: 'LATENCY', cell: (p) => milliseconds(p.latency_us) },
  { title: 'FAILURES', cell: (p) => p.failures },
  { title: 'ERROR', cell: (p) => p.error },
];

const shown = (paths: readonly Path[], output: Format): string => {
  if (output !== 'table') return render(output, COLUMNS, paths, false);
  return paths.length === 0 ? 'no host has told of another one' : matrix(paths);
};

/** Without what differs from probe to probe. */
const standing = (paths: readonly Path[]): string =>
  JSON.stringify(paths.map(({ from, to, address, kind, status }) => [from, to, address, kind, status]));

const isPassing = (error: unknown): boolean =>
  error instanceof CliFailure && (error.exitCode === EXIT.unreachable || (error.status ?? 0) >= 500);

export const health = async (context: Context, options: HealthOptions): Promise<void> => {
  if (options.watch && (options.output === 'json' || options.output === 'yaml')) {
    throw new CliFailure(EXIT.usage, 'error: --watch is for tables; leave out -o json or yaml');
  }
  const query = new URLSearchParams();
  if (options.from) query.set('from', options.from);
  if (options.to) query.set('to', options.to);
  const read = () => context.client.list<Path>('inventory', '/v1/health', query);
  let last: string | undefined;
  const show = (paths: readonly Path[]): void => {
    const now = standing(paths);
    if (now === last) return;
    if (last !== undefined) context.out(`\nchanged at ${new Date().toISOString()}`);
    last = now;
    context.out(shown(paths, options.output));
    context.setExitCode(paths.some(({ status }) => status === 'unreachable') ? EXIT.failed : EXIT.ok);
  };
  show(await read());
  while (options.watch && !context.signal.aborted) {
    await sleep(options.every * 1_000, undefined, { signal: context.signal }).catch(() => {});
    if (context.signal.aborted) return;
    try {
      show(await read());
    } catch (error) {
      // A service that is away comes back; what was shown stays true as far as anybody knows.
      if (!isPassing(error)) throw error;
    }
  }
};
