// SPDX-License-Identifier: Apache-2.0
/** Values of `weir NOUN set FIELD=VALUE`, as the API takes them; what is none ends the command as wrong usage. */
import { isWeirError } from '@weir/errors';
import { CliFailure, EXIT } from '../failure.ts';
import { readGateways, readSelector, readWorkloads } from '../selectors.ts';

/** `selector`, `blocks`, `workloads` and `gateways` are read as listings show them; `amount` may be none. */
export type FieldKind =
  | 'text'
  | 'number'
  | 'flag'
  | 'texts'
  | 'numbers'
  | 'amount'
  | 'blocks'
  | 'selector'
  | 'workloads'
  | 'gateways';

export const usage = (message: string, fix: string): CliFailure =>
  new CliFailure(EXIT.usage, `error: ${message}\n  fix: ${fix}`);

const numberOf = (field: string, text: string): number => {
  const number = Number(text);
  if (/^-?\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw usage(`${field}: ${JSON.stringify(text)} is not a whole number`, `write it as ${field}=24`);
};

const flagOf = (field: string, text: string): boolean => {
  if (text === 'true' || text === 'false') return text === 'true';
  throw usage(`${field}: ${JSON.stringify(text)} is neither true nor false`, `write ${field}=true or ${field}=false`);
};

/** `192.0.2.0/24`, `192.0.2.10-192.0.2.20` or one address. */
const blockOf = (text: string): object => {
  if (text.includes('/')) return { cidr: text };
  const [start = '', stop] = text.split('-');
  return stop === undefined ? { start } : { start, stop };
};

const asUsage = <T>(read: () => T): T => {
  try {
    return read();
  } catch (error) {
    if (!isWeirError(error)) throw error;
    throw usage(error.message, error.facts.fix ?? '');
  }
};

export const readValue = (kind: FieldKind, field: string, text: string): unknown => {
  const items = text === '' ? [] : text.split(',').map((item) => item.trim());
  switch (kind) {
    case 'text':
      return text;
    case 'amount':
      return text === '' || text === 'none' ? null : text;
    case 'number':
      return numberOf(field, text);
    case 'flag':
      return flagOf(field, text);
    case 'texts':
      return items;
    case 'numbers':
      return items.map((item) => numberOf(field, item));
    case 'blocks':
      return items.map(blockOf);
    case 'selector':
      return asUsage(() => readSelector(field, text));
    case 'workloads':
      return asUsage(() => readWorkloads(field, text));
    case 'gateways': {
      const gateways = asUsage(() => readGateways(field, text));
      if (gateways !== undefined) return gateways;
      const fix = `write it as ${field}='192.0.2.7 of zone=edge | eth1 of rack in (a,b)'`;
      throw usage(`${field}: ${JSON.stringify(text)} does not say which hosts are gateways`, fix);
    }
  }
};
