// SPDX-License-Identifier: Apache-2.0
/**
 * `weir get -w`: the listing, then every row that is new, different or gone. The service's stream of changes says when to
 * look; it is open before the first listing is read, and goes on behind its last event when the connection breaks, so nothing falls
 * between. What only counts time (ages) is no difference.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Service } from '../client.ts';
import type { Context } from '../context.ts';
import { CliFailure, EXIT } from '../failure.ts';
import { type Column, renderTable } from '../output/table.ts';
import { followEvents } from '../sse.ts';

/** Changes that come together are read together. */
const TOGETHER_MS = 50;
const RETRY_MS = 500;
const RETRY_MAX_MS = 10_000;

type Change = 'ADDED' | 'MODIFIED' | 'DELETED';
// biome-ignore lint/suspicious/noExplicitAny: each noun has its own item type
type Item = any;

const isPassing = (error: unknown): boolean =>
  error instanceof CliFailure && (error.exitCode === EXIT.unreachable || (error.status ?? 0) >= 500);

export interface WatchOptions {
  readonly service: Service;
  /** Kinds of objects on which the listing depends, as the stream calls them. */
  readonly kinds: readonly string[];
  readonly columns: readonly Column<Item>[];
  readonly keyOf: (item: Item) => string;
  readonly read: () => Promise<readonly Item[]>;
}

/** Rows as they were shown last. */
class Rows {
  readonly #options: WatchOptions;
  readonly #shown = new Map<string, { readonly text: string; readonly item: Item }>();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  #text(item: Item): string {
    const lasting = this.#options.columns.filter((column) => !column.passing);
    return JSON.stringify(lasting.map((column) => column.cell(item) ?? null));
  }

  /** What differs from before. */
  take(items: readonly Item[]): { change: Change; item: Item }[] {
    const changes: { change: Change; item: Item }[] = [];
    const keys = new Set<string>();
    for (const item of items) {
      const key = this.#options.keyOf(item);
      keys.add(key);
      const text = this.#text(item);
      const before = this.#shown.get(key);
      if (before?.text !== text) changes.push({ change: before ? 'MODIFIED' : 'ADDED', item });
      this.#shown.set(key, { text, item });
    }
    for (const [key, { item }] of [...this.#shown]) {
      if (keys.has(key)) continue;
      this.#shown.delete(key);
      changes.push({ change: 'DELETED', item });
    }
    return changes;
  }
}

/** Wakes whoever waits; a call while nobody waits is remembered. */
class Bell {
  #rung = false;
  #wake = (): void => {};

  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  async next(signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    this.#rung = false;
  }
}

export const watch = async (context: Context, options: WatchOptions): Promise<void> => {
  const { columns, read } = options;
  const rows = new Rows(options);
  const widths: number[] = [];
  const withChange: Column<{ change: Change; item: Item }>[] = [
    { title: 'CHANGE', cell: ({ change }) => change },
    ...columns.map((column) => ({ ...column, cell: ({ item }: { item: Item }) => column.cell(item) })),
  ];
  const over = new AbortController();
  const signal = AbortSignal.any([context.signal, over.signal]);
  const bell = new Bell();
  let failure: unknown;
  const listen = async (): Promise<void> => {
    const query = new URLSearchParams(options.kinds.map((kind): [string, string] => ['kind', kind]));
    // Every event, `ready` and `reset` too, is a reason to look; `end` only says that the connection will be another.
    for await (const { event } of followEvents(context.client, options.service, '/v1/changes', query, signal))
      if (event !== 'end') bell.ring();
  };
  const listening = listen().catch((error: unknown) => {
    failure = error;
    over.abort();
  });
  let isFirst = true;
  let retryMs = RETRY_MS;
  while (!signal.aborted) {
    await bell.next(signal);
    if (!isFirst) await sleep(TOGETHER_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    try {
      const changes = rows.take(await read());
      retryMs = RETRY_MS;
      if (isFirst || changes.length > 0) {
        const lines = renderTable(withChange, changes, widths).split('\n');
        for (const line of isFirst ? lines : lines.slice(1)) context.out(line);
      }
      isFirst = false;
    } catch (error) {
      if (signal.aborted) break;
      if (isFirst || !isPassing(error)) {
        failure = error;
        break;
      }
      await sleep(retryMs, undefined, { signal }).catch(() => {});
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
      bell.ring();
    }
  }
  over.abort();
  await listening;
  if (failure !== undefined && !context.signal.aborted) throw failure;
};
