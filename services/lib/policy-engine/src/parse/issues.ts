// SPDX-License-Identifier: Apache-2.0
/** Collects what is wrong, each with path, value, fix and, when there is a text, line and column. Bounded. */
import type { FieldIssue } from '@weir/errors';
import { LineCounter } from 'yaml';
import type { PolicyWarning, Position } from '../model.ts';

/** Nobody reads more; a hostile document cannot make the answer large. */
export const MAX_ISSUES = 100;
const MAX_VALUE_LENGTH = 200;

export interface IssueFacts {
  readonly value?: unknown;
  readonly fix?: string;
}

export interface Issues {
  readonly list: readonly FieldIssue[];
  /** Names the document that following issues belong to; `prefix` is where it stands in a list. Paths in it count from itself. */
  setDocument(name: string | undefined, prefix?: string): void;
  add(path: string, at: number, message: string, facts?: IssueFacts): void;
  locate(at: number): Position | undefined;
  /** Takes over what a trial reading found. */
  take(other: Issues): void;
}

const shown = (value: unknown): unknown => {
  if (typeof value === 'string')
    return value.length > MAX_VALUE_LENGTH ? `${value.slice(0, MAX_VALUE_LENGTH)}…` : value;
  if (typeof value !== 'object' || value === null) return value;
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : value;
};

/** Offsets -> lines, counted only once something has to be reported. */
const createLocate = (text: string | undefined): ((at: number) => Position | undefined) => {
  if (text === undefined) return () => undefined;
  let lines: LineCounter | undefined;
  return (at) => {
    if (at < 0) return undefined;
    if (!lines) {
      lines = new LineCounter();
      lines.addNewLine(0);
      for (let next = text.indexOf('\n'); next >= 0; next = text.indexOf('\n', next + 1)) lines.addNewLine(next + 1);
    }
    const { line, col } = lines.linePos(Math.min(at, text.length));
    return { line, column: col };
  };
};

export const createIssues = (text?: string): Issues => {
  const list: FieldIssue[] = [];
  const locate = createLocate(text);
  let document: string | undefined;
  let prefix = '';
  return {
    list,
    locate,
    setDocument(name, where = prefix) {
      document = name;
      prefix = where;
    },
    take(other) {
      list.push(...other.list.slice(0, MAX_ISSUES - list.length));
    },
    add(path, at, message, facts = {}) {
      if (list.length >= MAX_ISSUES) return;
      list.push({
        path: prefix === '' || path === '' ? `${prefix}${path}` : `${prefix}.${path}`,
        message,
        ...(facts.value === undefined ? {} : { value: shown(facts.value) }),
        ...(facts.fix === undefined ? {} : { fix: facts.fix }),
        ...locate(at),
        ...(document === undefined ? {} : { document }),
      });
    },
  };
};

/** Warnings of one document while it is parsed. */
export interface Warnings {
  readonly list: readonly PolicyWarning[];
  add(code: string, path: string, at: number, message: string, fix?: string): void;
}

export const createWarnings = (locate: Issues['locate']): Warnings => {
  const list: PolicyWarning[] = [];
  return {
    list,
    add(code, path, at, message, fix) {
      if (list.length >= MAX_ISSUES) return;
      list.push({ code, message, path, ...(fix === undefined ? {} : { fix }), ...locate(at) });
    },
  };
};
