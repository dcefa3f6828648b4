// SPDX-License-Identifier: Apache-2.0
/**
 * Filters of flows as callers ask for them, parsed once at the edge. Values of one parameter are alternatives,
 * parameters must all hold. Names are not resolved here: what they stand for changes with time.
 */
import { isWeirError, weirError } from '@weir/errors';
import { type Cidr, type LabelSelector, parseCidr, parseLabelSelector, parseTimeUs, protocolNumber } from '@weir/net';
import { type BinaryRef, type ExecId, parseExecId } from './flow-owners.ts';
import { reservedIdentity } from './identities.ts';
import { DIRECTIONS, DROP_REASONS, dropReasonCode, type NameTable, PENDING_VERDICTS, VERDICTS } from './names.ts';

/** Which end of a flow a term is about. */
export type Side = 'any' | 'from' | 'to';

export interface WorkloadRef {
  /** Absent: in any namespace. */
  readonly namespace?: string;
  readonly name: string;
}

export interface ServiceRef extends WorkloadRef {
  /** The name only begins so. */
  readonly isPrefix: boolean;
}

/** Whose the socket of a flow is. */
export type OwnerRef =
  | { readonly by: 'exec_id'; readonly id: ExecId }
  | { readonly by: 'binary'; readonly ref: BinaryRef }
  | { readonly by: 'unit'; readonly name: string }
  | { readonly by: 'uid'; readonly uid: number };

export type Term =
  | {
      readonly kind: 'verdict' | 'direction' | 'protocol' | 'drop_reason' | 'rule_id' | 'pending' | 'pending_rule_id';
      readonly values: number[];
    }
  | { readonly kind: 'is_reply'; readonly value: boolean }
  | { readonly kind: 'host'; readonly names: string[] }
  | { readonly kind: 'owner'; readonly of: OwnerRef[] }
  | { readonly kind: 'port'; readonly side: Side; readonly values: number[] }
  | { readonly kind: 'identity'; readonly side: Side; readonly values: number[] }
  | { readonly kind: 'ip'; readonly side: Side; readonly cidrs: Cidr[] }
  | { readonly kind: 'source_xlated'; readonly cidrs: Cidr[] }
  | { readonly kind: 'label'; readonly side: Side; readonly selectors: LabelSelector[] }
  | { readonly kind: 'namespace'; readonly side: Side; readonly names: string[] }
  | { readonly kind: 'workload'; readonly side: Side; readonly refs: WorkloadRef[] }
  | { readonly kind: 'service'; readonly side: Side; readonly refs: ServiceRef[] };

export interface FlowFilter {
  /** Unix microseconds; since is inside the range, until is not. */
  readonly sinceUs?: number;
  readonly untilUs?: number;
  readonly terms: readonly Term[];
}

/** Parameters with an end: `ip`, `from_ip`, `to_ip`. */
export const SIDED = ['ip', 'port', 'identity', 'label', 'workload', 'namespace', 'service'] as const;
export const PLAIN = [
  'verdict',
  'direction',
  'protocol',
  'drop_reason',
  'rule_id',
  'pending',
  'pending_rule_id',
  'host',
  'is_reply',
  'source_xlated',
  'exec_id',
  'process',
  'unit',
  'uid',
] as const;
type SidedName = (typeof SIDED)[number];
export type FilterName = SidedName | `from_${SidedName}` | `to_${SidedName}` | (typeof PLAIN)[number];
export type FilterParams = { readonly [Name in FilterName | 'since' | 'until']?: readonly string[] };

/** Room for a list, not for a second copy of the directory. */
const VALUES_MAX = 100;
const PORT_MAX = 65_535;
const INT4_MAX = 0x7fff_ffff;

const refuse = (field: string, value: string, expected: string, fix: string): never => {
  throw weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(value)} is not ${expected}`, { field, value, fix });
};

const parseNumber = (field: string, text: string, max: number, what: string): number => {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  return value <= max ? value : refuse(field, text, what, `write a number from 0 to ${max}`);
};

const parseName = (field: string, text: string, table: NameTable): number =>
  (table.names.includes(text.toUpperCase()) && table.number(text)) ||
  refuse(field, text, `a ${field.replace('_', ' ')}`, `use one of ${table.names.join(', ')}`);

const parseDropReason = (field: string, text: string): number =>
  dropReasonCode(text) ??
  refuse(field, text, 'a drop reason', `use a code such as 133, or one of ${DROP_REASONS.names.join(', ')}`);

const parseProtocol = (field: string, text: string): number => {
  try {
    return protocolNumber(text);
  } catch (error) {
    const fix = isWeirError(error) ? error.facts.fix : undefined;
    return refuse(field, text, 'an IP protocol', fix ?? 'use a name such as TCP');
  }
};

const parseBoolean = (field: string, text: string): boolean => {
  if (text === 'true' || text === 'false') return text === 'true';
  return refuse(field, text, 'true or false', 'write true or false');
};

const parseIpOrCidr = (field: string, text: string): Cidr => {
  try {
    return parseCidr(text, { allowAddress: true });
  } catch (error) {
    const fix = isWeirError(error) ? error.facts.fix : undefined;
    return refuse(field, text, 'an IP address or a CIDR', fix ?? 'write it such as 10.0.0.1 or 2001:db8::/32');
  }
};

const parseIdentity = (field: string, text: string): number =>
  reservedIdentity(text) ?? parseNumber(field, text, INT4_MAX, 'an identity');

/** `prod/web`, `web`, or the id `prod.web`. */
const parseWorkload = (field: string, text: string): WorkloadRef => {
  const match = /^(?:([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)[./])?([A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)$/.exec(text);
  if (match === null) return refuse(field, text, 'a workload', 'write it as name or namespace/name');
  return { ...(match[1] === undefined ? {} : { namespace: match[1] }), name: match[2] as string };
};

/** As a workload; `*` at the end: what begins so. */
const parseService = (field: string, text: string): ServiceRef => {
  const match = /^(?:([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)[./])?((?:[A-Za-z0-9][A-Za-z0-9_-]*)?)(\*?)$/.exec(text);
  if (match === null || (match[2] === '' && match[3] === ''))
    return refuse(field, text, 'a service', 'write it as name or namespace/name, or with * at its end');
  const [, namespace, name = '', star] = match;
  return { ...(namespace === undefined ? {} : { namespace }), name, isPrefix: star === '*' };
};

const parseToken = (field: string, text: string): string =>
  /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?$/.test(text)
    ? text
    : refuse(field, text, 'a name', 'use letters, digits, dashes and dots');

const parseProcess = (field: string, text: string): BinaryRef => {
  const isPrefix = text.endsWith('*');
  const path = isPrefix ? text.slice(0, -1) : text;
  if (path.startsWith('/')) return { kind: isPrefix ? 'prefix' : 'path', text: path };
  if (isPrefix || text === '' || text.includes('/'))
    refuse(field, text, 'a binary', 'write its whole path, /opt/* for what begins so, or its last name alone');
  return { kind: 'name', text };
};

const parseExec = (field: string, text: string): ExecId =>
  parseExecId(text) ?? refuse(field, text, 'an exec id', 'copy it from a process or a flow');

const UID_MAX = 0xffff_ffff;

const each = <R>(field: string, texts: readonly string[], parse: (field: string, text: string) => R): R[] =>
  texts.map((text) => parse(field, text));

const sidedTerm = (kind: SidedName, side: Side, field: string, texts: readonly string[]): Term => {
  switch (kind) {
    case 'ip':
      return { kind, side, cidrs: each(field, texts, parseIpOrCidr) };
    case 'port':
      return { kind, side, values: texts.map((text) => parseNumber(field, text, PORT_MAX, 'a port')) };
    case 'identity':
      return { kind, side, values: each(field, texts, parseIdentity) };
    case 'label':
      return { kind, side, selectors: each(field, texts, parseLabelSelector) };
    case 'namespace':
      return { kind, side, names: each(field, texts, parseToken) };
    case 'workload':
      return { kind, side, refs: each(field, texts, parseWorkload) };
    case 'service':
      return { kind, side, refs: each(field, texts, parseService) };
  }
};

const plainTerm = (kind: (typeof PLAIN)[number], texts: readonly string[]): Term => {
  switch (kind) {
    case 'verdict':
      return { kind, values: texts.map((text) => parseName(kind, text, VERDICTS)) };
    case 'direction':
      return { kind, values: texts.map((text) => parseName(kind, text, DIRECTIONS)) };
    case 'protocol':
      return { kind, values: each(kind, texts, parseProtocol) };
    case 'drop_reason':
      return { kind, values: each(kind, texts, parseDropReason) };
    case 'rule_id':
    case 'pending_rule_id':
      return { kind, values: texts.map((text) => parseNumber(kind, text, INT4_MAX, 'a rule id')) };
    case 'source_xlated':
      return { kind, cidrs: each(kind, texts, parseIpOrCidr) };
    case 'pending':
      return { kind, values: texts.map((text) => parseName(kind, text, PENDING_VERDICTS)) };
    case 'host':
      return { kind, names: each(kind, texts, parseToken) };
    case 'exec_id':
      return { kind: 'owner', of: each(kind, texts, parseExec).map((id) => ({ by: kind, id })) };
    case 'process':
      return { kind: 'owner', of: each(kind, texts, parseProcess).map((ref) => ({ by: 'binary', ref })) };
    case 'unit':
      return { kind: 'owner', of: texts.map((name) => ({ by: kind, name })) };
    case 'uid':
      return {
        kind: 'owner',
        of: texts.map((text) => ({ by: kind, uid: parseNumber(kind, text, UID_MAX, 'the number of a user') })),
      };
    case 'is_reply': {
      const values = each(kind, texts, parseBoolean);
      if (new Set(values).size > 1) refuse(kind, texts.join(','), 'one value', 'leave it out to get both');
      return { kind, value: values[0] as boolean };
    }
  }
};

/** Throws INVALID_ARGUMENT naming the parameter, its value and what would work. */
export const parseFilter = (params: FilterParams, nowMs: number): FlowFilter => {
  const terms: Term[] = [];
  const values = (field: keyof FilterParams): readonly string[] => {
    const given = params[field] ?? [];
    if (given.length > VALUES_MAX) {
      refuse(field, String(given.length), `at most ${VALUES_MAX} values`, `give at most ${VALUES_MAX} values`);
    }
    return given;
  };
  for (const kind of PLAIN) if (values(kind).length > 0) terms.push(plainTerm(kind, values(kind)));
  for (const kind of SIDED) {
    for (const [side, field] of [
      ['any', kind],
      ['from', `from_${kind}`],
      ['to', `to_${kind}`],
    ] as const) {
      if (values(field).length > 0) terms.push(sidedTerm(kind, side, field, values(field)));
    }
  }
  const time = (field: 'since' | 'until'): number | undefined => {
    const text = values(field).at(-1);
    return text === undefined ? undefined : parseTimeUs(field, text, nowMs);
  };
  const sinceUs = time('since');
  const untilUs = time('until');
  if (sinceUs !== undefined && untilUs !== undefined && sinceUs >= untilUs) {
    refuse('until', String(values('until').at(-1)), 'after since', 'give an until that is later than since');
  }
  return { sinceUs, untilUs, terms };
};
