// SPDX-License-Identifier: Apache-2.0
/**
 * `weir get -w`: the listing, then every row that is new, different or gone. The services are asked again and again; one that
 * is away for a while is waited for. What only counts time (ages) is no difference.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Column, renderTable } from '../output/table.ts';

const PERIOD_MS = 1_000;
const RETRY_MAX_MS = 10_000;

type Change = 'ADDED' | 'MODIFIED' | 'DELETED';
// biome-ignore lint/suspicious/noExplicitAny: each noun has its own item type
type Item = any;

const isPassing = (error: unknown): boolean =>
  error instanceof CliFailure && (error.exitCode === EXIT.unreachable || (error.status ?? 0) >= 500);

export interface WatchOptions {
  readonly columns: readonly Column<Item>[];
  readonly keyOf: (item: Item) => string;
  readonly read: () => Promise<readonly Item[]>;
  readonly periodMs?: number;
}

export const watch = async (context: Context, options: WatchOptions): Promise<void> => {
  const { columns, keyOf, read } = options;
  const periodMs = options.periodMs ?? PERIOD_MS;
  const shown = new Map<string, { readonly text: string; readonly item: Item }>();
  const lasting = columns.filter((column) => !column.passing);
  const textOf = (item: Item): string => JSON.stringify(lasting.map((column) => column.cell(item) ?? null));
  const widths: number[] = [];
  const withChange: Column<{ change: Change; item: Item }>[] = [
    { title: 'CHANGE', cell: ({ change }) => change },
    ...columns.map((column) => ({ ...column, cell: ({ item }: { item: Item }) => column.cell(item) })),
  ];
  let isFirst = true;
  let waitMs = periodMs;
  while (!context.signal.aborted) {
    try {
      const items = await read();
      waitMs = periodMs;
      const changes: { change: Change; item: Item }[] = [];
      const keys = new Set<string>();
      for (const item of items) {
        const key = keyOf(item);
        keys.add(key);
        const text = textOf(item);
        const before = shown.get(key);
        if (before?.text !== text) changes.push({ change: before ? 'MODIFIED' : 'ADDED', item });
        shown.set(key, { text, item });
      }
      for (const [key, { item }] of [...shown]) {
        if (keys.has(key)) continue;
        shown.delete(key);
        changes.push({ change: 'DELETED', item });
      }
      if (isFirst || changes.length > 0) {
        const lines = renderTable(withChange, changes, widths).split('\n');
        for (const line of isFirst ? lines : lines.slice(1)) context.out(line);
      }
      isFirst = false;
    } catch (error) {
      if (context.signal.aborted) return;
      if (isFirst || !isPassing(error)) throw error;
      waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
    }
    await sleep(waitMs, undefined, { signal: context.signal }).catch(() => {});
  }
};
