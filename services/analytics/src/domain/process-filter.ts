// SPDX-License-Identifier: Apache-2.0
/**
 * Filters of processes' events as callers ask for them, parsed once at the edge. Values of one parameter are alternatives,
 * parameters must all hold. In a text `*` stands for anything.
 */
import { weirError } from '@weir/errors';
import { parseTimeUs } from '@weir/net';
import type { ProcessReader } from './process-reader.ts';

export const PROCESS_KINDS = ['EXEC', 'FORK', 'EXIT', 'SEEN', 'HOOK'] as const;
export type ProcessKindName = (typeof PROCESS_KINDS)[number];
export const PROCESS_VERDICTS = ['FORWARDED', 'DROPPED', 'ERROR', 'AUDIT'] as const;

export const PROCESS_PARAMS = [
  'kind',
  'host',
  'binary',
  'arguments',
  'pid',
  'exec_id',
  'parent_exec_id',
  'workload',
  'namespace',
  'unit',
  'uid',
  'policy',
  'verdict',
] as const;
export type ProcessParam = (typeof PROCESS_PARAMS)[number];
export type ProcessFilterParams = { readonly [Name in ProcessParam | 'since' | 'until']?: readonly string[] };

export interface ExecKey {
  readonly host: string;
  readonly execNs: bigint;
  readonly pid: number;
}

/** Columns that hold a text, and where the reader has it. */
export type TextField = 'binary' | 'arguments' | 'workload' | 'unit' | 'policy';

export type ProcessTerm =
  | { readonly kind: 'host'; readonly names: readonly string[] }
  | { readonly kind: 'number'; readonly field: 'kind' | 'pid' | 'uid' | 'verdict'; readonly values: readonly number[] }
  /** Of LIKE. */
  | { readonly kind: 'text'; readonly field: TextField; readonly patterns: readonly string[] }
  | { readonly kind: 'exec'; readonly of: 'process' | 'parent'; readonly keys: readonly ExecKey[] };

export interface ProcessFilter {
  /** Unix microseconds; since is inside the range, until is not. */
  readonly sinceUs?: number;
  readonly untilUs?: number;
  readonly terms: readonly ProcessTerm[];
}

const VALUES_MAX = 100;
const PID_MAX = 0x7fff_ffff;
const UID_MAX = 0xffff_ffff;
const EXEC_ID = /^([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?):(\d{1,18}):(\d{1,10})$/;

const refuse = (field: string, value: string, expected: string, fix: string): never => {
  throw weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(value)} is not ${expected}`, { field, value, fix });
};

/** base64 of `<host>:<ns>:<pid>`. Throws INVALID_ARGUMENT. */
export const parseExecId = (field: string, text: string): ExecKey => {
  const [, host, ns, pid] = EXEC_ID.exec(Buffer.from(text, 'base64').toString('latin1')) ?? [];
  if (host === undefined || ns === undefined || Number(pid) > PID_MAX)
    return refuse(field, text.slice(0, 200), 'an exec id', 'take it from exec_id of an event');
  return { host, execNs: BigInt(ns), pid: Number(pid) };
};

export const execIdText = ({ host, execNs, pid }: ExecKey): string =>
  Buffer.from(`${host}:${execNs}:${pid}`).toString('base64');

const parseNumber = (field: string, text: string, max: number): number => {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value <= max ? value : refuse(field, text, 'such a number', `write a number from 0 to ${max}`);
};

const parseWord = (field: string, text: string, words: readonly string[]): number => {
  const at = words.indexOf(text.toUpperCase());
  return at >= 0 ? at + 1 : refuse(field, text, `a ${field}`, `use one of ${words.join(', ')}`);
};

/** A pattern of LIKE: only `*` stands for something else. */
const like = (text: string): string => text.replaceAll(/[\\%_]/g, '\\$&').replaceAll('*', '%');

/** A name without a path is that of any file with it. */
const binaryPatterns = (text: string): string[] =>
  text.includes('/') ? [like(text)] : [like(text), `%/${like(text)}`];

const workloadPattern = (text: string): string => {
  const match = /^(?:([a-z0-9*](?:[a-z0-9*-]*))[./])?([A-Za-z0-9*_-]+)$/.exec(text);
  if (match?.[2] === undefined) return refuse('workload', text, 'a workload', 'write it as name or namespace/name');
  return `${match[1] === undefined ? '%' : like(match[1])}.${like(match[2])}`;
};

const TERMS: Readonly<Record<ProcessParam, (values: readonly string[]) => ProcessTerm>> = {
  kind: (values) => ({
    ...{ kind: 'number', field: 'kind' },
    values: values.map((text) => parseWord('kind', text, PROCESS_KINDS)),
  }),
  verdict: (values) => ({
    ...{ kind: 'number', field: 'verdict' },
    values: values.map((text) => parseWord('verdict', text, PROCESS_VERDICTS)),
  }),
  host: (names) => ({ kind: 'host', names }),
  binary: (values) => ({ kind: 'text', field: 'binary', patterns: values.flatMap(binaryPatterns) }),
  arguments: (values) => ({ kind: 'text', field: 'arguments', patterns: values.map((text) => `%${like(text)}%`) }),
  pid: (values) => ({
    ...{ kind: 'number', field: 'pid' },
    values: values.map((text) => parseNumber('pid', text, PID_MAX)),
  }),
  uid: (values) => ({
    ...{ kind: 'number', field: 'uid' },
    values: values.map((text) => parseNumber('uid', text, UID_MAX)),
  }),
  exec_id: (values) => ({ kind: 'exec', of: 'process', keys: values.map((text) => parseExecId('exec_id', text)) }),
  parent_exec_id: (values) => ({
    ...{ kind: 'exec', of: 'parent' },
    keys: values.map((text) => parseExecId('parent_exec_id', text)),
  }),
  workload: (values) => ({ kind: 'text', field: 'workload', patterns: values.map(workloadPattern) }),
  namespace: (values) => ({ kind: 'text', field: 'workload', patterns: values.map((text) => `${like(text)}.%`) }),
  unit: (values) => ({ kind: 'text', field: 'unit', patterns: values.map(like) }),
  policy: (values) => ({ kind: 'text', field: 'policy', patterns: values.map(like) }),
};

/** Throws INVALID_ARGUMENT. */
export const parseProcessFilter = (params: ProcessFilterParams, nowMs: number): ProcessFilter => {
  const terms: ProcessTerm[] = [];
  for (const name of PROCESS_PARAMS) {
    const values = params[name] ?? [];
    if (values.length === 0) continue;
    if (values.length > VALUES_MAX)
      refuse(name, `${values.length} values`, `at most ${VALUES_MAX}`, 'ask in several requests');
    terms.push(TERMS[name](values));
  }
  const time = (field: 'since' | 'until'): number | undefined => {
    const text = params[field]?.at(-1);
    return text === undefined ? undefined : parseTimeUs(field, text, nowMs);
  };
  const sinceUs = time('since');
  const untilUs = time('until');
  if (sinceUs !== undefined && untilUs !== undefined && sinceUs >= untilUs)
    refuse('until', String(params.until?.at(-1)), 'after since', 'give an until that is later than since');
  return { terms, ...(sinceUs === undefined ? {} : { sinceUs }), ...(untilUs === undefined ? {} : { untilUs }) };
};

export type ProcessTest = (reader: ProcessReader, host: string) => boolean;

/** The same that LIKE means to Postgres. */
const likeRegex = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern.replaceAll(/\\?./gs, (part) => {
      if (part === '%') return '.*';
      const plain = part.length > 1 ? part.slice(1) : part;
      return plain.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&');
    })}$`,
    's',
  );

const test = (term: ProcessTerm): ProcessTest => {
  if (term.kind === 'host') return (_, host) => term.names.includes(host);
  if (term.kind === 'number') return (reader) => term.values.includes(reader[term.field]);
  if (term.kind === 'text') {
    const patterns = term.patterns.map(likeRegex);
    return (reader) => patterns.some((pattern) => pattern.test(reader[term.field]));
  }
  const { keys } = term;
  if (term.of === 'process')
    return (reader, host) =>
      keys.some((key) => key.host === host && key.execNs === reader.execNs && key.pid === reader.pid);
  return (reader, host) =>
    keys.some((key) => key.host === host && key.execNs === reader.parentExecNs && key.pid === reader.parentPid);
};

export const compileProcessFilter = ({ terms }: ProcessFilter): ProcessTest => {
  const tests = terms.map(test);
  return (reader, host) => tests.every((holds) => holds(reader, host));
};
