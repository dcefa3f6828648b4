// SPDX-License-Identifier: Apache-2.0
/** Tables and documents on standard output. Strings that came from outside are escaped before a terminal sees them. */
import { styleText } from 'node:util';
import { escapeUntrusted } from '@weir/net';
import { toJson, toYaml } from './safe.ts';

export interface Column<T> {
  readonly title: string;
  readonly cell: (item: T) => unknown;
  /** Only with -o wide. */
  readonly wide?: boolean;
  /** Differs with time alone; no change to somebody who watches. */
  readonly passing?: boolean;
}

export const FORMATS = ['table', 'wide', 'json', 'yaml'] as const;
export type Format = (typeof FORMATS)[number];

const text = (value: unknown): string => {
  if (value === null || value === undefined || value === '') return '-';
  return escapeUntrusted(Array.isArray(value) ? value.join(',') : String(value));
};

/** `widths`: kept and grown by the caller who prints in pieces. */
export const renderTable = <T>(columns: readonly Column<T>[], items: readonly T[], widths: number[] = []): string => {
  const rows = [columns.map((c) => c.title), ...items.map((item) => columns.map((c) => text(c.cell(item))))];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
};

/** A listing in the format asked for; json and yaml give the API's own objects. */
export const render = <T>(
  format: Format,
  columns: readonly Column<T>[],
  items: readonly T[],
  single: boolean,
): string => {
  switch (format) {
    case 'json':
      return toJson(single ? items[0] : { items }, 2);
    case 'yaml':
      return toYaml(single ? items[0] : { items });
    case 'wide':
      return renderTable(columns, items);
    case 'table':
      return renderTable(
        columns.filter((c) => !c.wide),
        items,
      );
  }
};

/** Colours only where somebody can see them. */
export const createPaint =
  (enabled: boolean) =>
  (format: Parameters<typeof styleText>[0], words: string): string =>
    enabled ? styleText(format, words, { validateStream: false }) : words;

export type Paint = ReturnType<typeof createPaint>;

/** How long ago, as people say it: 12s, 5m, 3h, 2d. */
export const age = (time: string | null | undefined, nowMs = Date.now()): string => {
  if (!time) return 'never';
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(time)) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
};
