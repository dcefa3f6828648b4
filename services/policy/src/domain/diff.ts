// SPDX-License-Identifier: Apache-2.0
/** Unified diff of two texts (Myers' greedy algorithm), with its effort bounded: texts too different are replaced whole. */
import { documentText } from './documents.ts';

type Edit = { readonly op: ' ' | '-' | '+'; readonly line: string };

const CONTEXT = 3;
/** Edits looked for at most; the trace takes about this squared numbers. */
const MAX_EDITS = 1_000;

const linesOf = (text: string): string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/** Furthest reaching x for each diagonal, per number of edits; undefined when there are too many. */
const trace = (a: readonly string[], b: readonly string[]): Int32Array[] | undefined => {
  const most = Math.min(a.length + b.length, MAX_EDITS);
  const reach = new Int32Array(2 * most + 3);
  const steps: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits += 1) {
    steps.push(reach.slice());
    for (let k = -edits; k <= edits; k += 2) {
      const at = k + most + 1;
      const down = k === -edits || (k !== edits && (reach[at - 1] as number) < (reach[at + 1] as number));
      let x = down ? (reach[at + 1] as number) : (reach[at - 1] as number) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x += 1;
      reach[at] = x;
      if (x >= a.length && x - k >= b.length) return steps;
    }
  }
  return undefined;
};

const editsOf = (a: readonly string[], b: readonly string[]): Edit[] => {
  const steps = a.length === 0 || b.length === 0 ? undefined : trace(a, b);
  if (steps === undefined) {
    return [...a.map((line): Edit => ({ op: '-', line })), ...b.map((line): Edit => ({ op: '+', line }))];
  }
  const most = Math.min(a.length + b.length, MAX_EDITS);
  const edits: Edit[] = [];
  let x = a.length;
  let y = b.length;
  const same = (): void => {
    x -= 1;
    y -= 1;
    edits.push({ op: ' ', line: a[x] as string });
  };
  for (let step = steps.length - 1; step > 0; step -= 1) {
    const reach = steps[step] as Int32Array;
    const k = x - y;
    const at = k + most + 1;
    const down = k === -step || (k !== step && (reach[at - 1] as number) < (reach[at + 1] as number));
    const fromX = down ? (reach[at + 1] as number) : (reach[at - 1] as number);
    const fromY = fromX - (down ? k + 1 : k - 1);
    while (x > fromX && y > fromY) same();
    if (down) {
      y -= 1;
      edits.push({ op: '+', line: b[y] as string });
    } else {
      x -= 1;
      edits.push({ op: '-', line: a[x] as string });
    }
  }
  while (x > 0 && y > 0) same();
  return edits.reverse();
};

const range = (start: number, count: number): string => {
  const first = count === 0 ? start : start + 1;
  return count === 1 ? `${first}` : `${first},${count}`;
};

/** Stretches of edits with what surrounds them, as indexes [from, to). */
const hunksOf = (edits: readonly Edit[]): [number, number][] => {
  const hunks: [number, number][] = [];
  for (const [index, { op }] of edits.entries()) {
    if (op === ' ') continue;
    const from = Math.max(0, index - CONTEXT);
    const to = Math.min(edits.length, index + CONTEXT + 1);
    const last = hunks.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = to;
    else hunks.push([from, to]);
  }
  return hunks;
};

/** Empty when the texts are equal. */
export const unifiedDiff = (before: string, after: string, from: string, to: string): string => {
  const edits = editsOf(linesOf(before), linesOf(after));
  const hunks = hunksOf(edits);
  if (hunks.length === 0) return '';
  let text = `--- ${from}\n+++ ${to}\n`;
  let index = 0;
  let oldLine = 0;
  let newLine = 0;
  for (const [start, end] of hunks) {
    for (; index < start; index += 1) {
      oldLine += 1;
      newLine += 1;
    }
    const part = edits.slice(start, end);
    const removed = part.filter(({ op }) => op !== '+').length;
    const added = part.filter(({ op }) => op !== '-').length;
    text += `@@ -${range(oldLine, removed)} +${range(newLine, added)} @@\n`;
    text += part.map(({ op, line }) => `${op}${line}\n`).join('');
    oldLine += removed;
    newLine += added;
    index = end;
  }
  return text;
};

/** Of two versions of a document; no `before`: it is new. */
export interface DiffInput {
  readonly key: string;
  readonly before?: unknown;
  readonly after: unknown;
  /** What the two are called; else the one in force, and the one given. */
  readonly names?: { readonly from: string; readonly to: string };
}

export const diffOf = ({ key, before, after, names }: DiffInput): string =>
  before === undefined
    ? unifiedDiff('', documentText(after), '/dev/null', `${key} (given)`)
    : unifiedDiff(
        documentText(before),
        documentText(after),
        names?.from ?? `${key} (in force)`,
        names?.to ?? `${key} (given)`,
      );
