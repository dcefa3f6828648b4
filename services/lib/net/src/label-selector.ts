// SPDX-License-Identifier: Apache-2.0
/**
 * Label selectors of the flow filters, in Kubernetes' syntax: terms joined by commas must all hold; a term is
 * `key=value`, `key!=value`, `key`, `!key`, `key in (a,b)` or `key notin (a,b)`. A key without a source
 * matches labels of every source (`app` = `k8s:app`); `reserved:world` alone is a label by itself.
 */
import { weirError } from '@weir/errors';

export interface LabelTerm {
  readonly key: string;
  /** True: the term must not hold. */
  readonly not: boolean;
  /** Undefined: the key alone is asked for. */
  readonly values?: readonly string[];
}

export interface LabelSelector {
  readonly text: string;
  readonly terms: readonly LabelTerm[];
}

const KEY = /^(?:[a-zA-Z0-9_-]+:)?[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,315}[A-Za-z0-9])?$/;
const VALUE = /^[A-Za-z0-9_.:/-]{0,253}$/;
const SET_TERM = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const SOURCES = ['any:', ''];

const refuse = (field: string, value: string, why: string): never => {
  throw weirError('INVALID_ARGUMENT', `${field} ${JSON.stringify(value)} is not a label selector: ${why}`, {
    field,
    value,
    fix: 'write it such as app=web, k8s:app=web,tier!=db, app, !app or "app in (web, api)"',
  });
};

/** Commas inside parentheses belong to the term. */
const splitTerms = (text: string): string[] => {
  const terms: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')') depth -= 1;
    else if (text[at] === ',' && depth === 0) {
      terms.push(text.slice(from, at));
      from = at + 1;
    }
  }
  return [...terms, text.slice(from)].map((term) => term.trim());
};

const parseTerm = (term: string): LabelTerm => {
  const set = SET_TERM.exec(term);
  if (set !== null) {
    const values = (set[3] as string).split(',').map((value) => value.trim());
    return { key: set[1] as string, not: set[2] === 'notin', values };
  }
  const equals = term.indexOf('=');
  if (equals > 0) {
    const not = term[equals - 1] === '!';
    const value = term.slice(term[equals + 1] === '=' ? equals + 2 : equals + 1).trim();
    return { key: term.slice(0, not ? equals - 1 : equals).trim(), not, values: [value] };
  }
  return term.startsWith('!') ? { key: term.slice(1).trim(), not: true } : { key: term, not: false };
};

export const parseLabelSelector = (field: string, text: string): LabelSelector => {
  const terms = splitTerms(text).map(parseTerm);
  for (const { key, values } of terms) {
    if (!KEY.test(key)) refuse(field, text, `${JSON.stringify(key)} is not a label key`);
    const wrong = values?.find((value) => !VALUE.test(value));
    if (wrong !== undefined) refuse(field, text, `${JSON.stringify(wrong)} is not a label value`);
  }
  return { text, terms };
};

const sourceAndKey = (label: string): { source: string; rest: string } => {
  const colon = label.indexOf(':');
  const equals = label.indexOf('=');
  // A colon behind the equals sign is part of the value.
  if (colon < 0 || (equals >= 0 && colon > equals)) return { source: '', rest: label };
  return { source: label.slice(0, colon + 1), rest: label.slice(colon + 1) };
};

const termHolds = ({ key, values }: LabelTerm, labels: readonly string[]): boolean => {
  const wanted = sourceAndKey(key);
  return labels.some((label) => {
    const { source, rest } = sourceAndKey(label);
    if (!SOURCES.includes(wanted.source) && wanted.source !== source) return false;
    const equals = rest.indexOf('=');
    if ((equals < 0 ? rest : rest.slice(0, equals)) !== wanted.rest) return false;
    return values === undefined || values.includes(equals < 0 ? '' : rest.slice(equals + 1));
  });
};

export const selectorMatches = ({ terms }: LabelSelector, labels: readonly string[]): boolean =>
  terms.every((term) => termHolds(term, labels) !== term.not);
