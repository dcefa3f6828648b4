// SPDX-License-Identifier: Apache-2.0
/**
 * Takes documents that are not policies out of a text, before the rest goes to the policy service. The rest keeps its lines, so
 * that whatever is said of it names the right ones.
 */
import type { FieldIssue } from '@weir/errors';
import type { Position } from '../model.ts';
import { createIssues, type Issues } from './issues.ts';
import type { Located } from './located.ts';
import { type Field, scalarOf } from './reader.ts';
import { readYaml } from './yaml-source.ts';

export interface SplitResult<T> {
  /** The text with the lines of what was taken empty; '' when nothing else is in it. */
  readonly rest: string;
  readonly found: readonly T[];
  readonly issues: readonly FieldIssue[];
}

interface Placed {
  readonly position?: Position;
  /** Where fields of what it becomes stand in the text. */
  readonly places?: ReadonlyMap<string, Position>;
}

export interface Splitter<T extends Placed> {
  /** A text without any of these has none of ours. */
  readonly words: readonly string[];
  readonly isOurs: (node: Located) => boolean;
  /** Undefined when something is wrong, which it has said. */
  readonly read: (field: Field, issues: Issues) => T | undefined;
}

const entryOf = (node: Located, name: string): unknown =>
  node.kind === 'map' ? scalarOf(node.entries.get(name)?.value ?? node) : undefined;

export const kindOf = (node: Located): unknown => entryOf(node, 'kind');
export const apiVersionOf = (node: Located): unknown => entryOf(node, 'apiVersion');

/** The documents of one part of the text; undefined when it is none of ours. */
const fieldsIn = <T extends Placed>(root: Located, { isOurs }: Splitter<T>, issues: Issues): Field[] | undefined => {
  if (isOurs(root)) return [{ node: root, keyAt: root.at, path: '' }];
  const items = root.kind === 'map' ? root.entries.get('items') : undefined;
  if (items?.value.kind !== 'list') return undefined;
  const first = items.value.items.find(isOurs);
  if (first === undefined) return undefined;
  const kind = String(kindOf(first));
  for (const node of items.value.items) {
    if (isOurs(node)) continue;
    issues.add('items', node.at, `stands in a list with a ${kind}`, { fix: `put each ${kind} into a list of its own` });
  }
  return items.value.items.map((node, i) => ({ node, keyAt: node.at, path: `items[${i}]` }));
};

/** Lines that end a document, wherever they stand. */
const SEPARATOR = /^(---|\.\.\.)(\s|$)/;

interface Part {
  /** Of its first line in the text, from 0. */
  readonly start: number;
  readonly lines: readonly string[];
}

const partsOf = (text: string): Part[] => {
  const parts: { start: number; lines: string[] }[] = [{ start: 0, lines: [] }];
  for (const [index, line] of text.split('\n').entries()) {
    if (SEPARATOR.test(line)) parts.push({ start: index, lines: [line] });
    else parts.at(-1)?.lines.push(line);
  }
  return parts;
};

const moved = <T extends Placed>(one: T, lines: number): T => {
  const move = ({ line, column }: Position): Position => ({ line: line + lines, column });
  return {
    ...one,
    ...(one.position ? { position: move(one.position) } : {}),
    ...(one.places ? { places: new Map([...one.places].map(([path, place]) => [path, move(place)])) } : {}),
  };
};

/** Documents of other kinds are not looked at. */
export const splitDocuments = <T extends Placed>(text: string, splitter: Splitter<T>): SplitResult<T> => {
  const hasWord = (part: string): boolean => splitter.words.some((word) => part.includes(word));
  if (!hasWord(text)) return { rest: text, found: [], issues: [] };
  const found: T[] = [];
  const wrong: FieldIssue[] = [];
  let isEmpty = true;
  const rest = partsOf(text).map(({ start, lines }) => {
    const body = lines.join('\n');
    const issues = createIssues(body);
    const roots = hasWord(body) ? readYaml(body, issues) : [];
    const fields = roots[0] && fieldsIn(roots[0], splitter, issues);
    if (fields === undefined) {
      isEmpty &&= lines.every((line) => SEPARATOR.test(line) || /^\s*(#.*)?$/.test(line));
      return body;
    }
    const before = wrong.length;
    const read = fields.flatMap((field) => splitter.read(field, issues) ?? []);
    wrong.push(
      ...issues.list.map((issue) => (issue.line === undefined ? issue : { ...issue, line: issue.line + start })),
    );
    if (wrong.length === before) found.push(...read.map((one) => moved(one, start)));
    return lines.map((line, index) => (index === 0 && SEPARATOR.test(line) ? '---' : '')).join('\n');
  });
  return { rest: isEmpty ? '' : rest.join('\n'), found, issues: wrong };
};
