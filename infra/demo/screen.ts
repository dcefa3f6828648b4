// SPDX-License-Identifier: Apache-2.0
/** What the demo prints: steps with their times, headings, tables. Colours only on a terminal. */
import { styleText } from 'node:util';

const style = (format: Parameters<typeof styleText>[0], text: string): string =>
  process.stdout.isTTY ? styleText(format, text) : text;

export const good = (text: string): string => style('green', text);
export const bad = (text: string): string => style('red', text);
export const dim = (text: string): string => style('dim', text);

export const print = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};

export const heading = (text: string): void => {
  print();
  print(style('bold', text));
};

/** A progress printer: each step says when it began, so that a long one is seen to be under way. */
export const createSteps = (): ((text: string) => void) => {
  const started = performance.now();
  return (text) => {
    const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(5);
    print(`${dim(`[${seconds} s]`)} ${text}`);
  };
};

export const table = (rows: readonly (readonly string[])[]): void => {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, visible(cell));
  }
  for (const row of rows) {
    print(`  ${row.map((cell, i) => cell + ' '.repeat((widths[i] as number) - visible(cell))).join('  ')}`.trimEnd());
  }
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours are control characters
const visible = (text: string): number => text.replace(/\u001b\[[0-9;]*m/g, '').length;
