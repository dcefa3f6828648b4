// SPDX-License-Identifier: Apache-2.0
/**
 * The filter indexes of a partition of flows: built when it has closed, since each of them costs as much for a row that
 * comes as the row itself. Which filters they serve in the order of time is told here too, beside them.
 */
import type { Condition } from '../domain/conditions.ts';
import type { Partition } from './partitions.ts';

/** Suffix of the name -> what is indexed. `time` takes BRIN's place once rows no longer come. */
export const CLOSED_INDEXES: Readonly<Record<string, string>> = {
  time: '(time)',
  source_identity: '(source_identity, time)',
  destination_identity: '(destination_identity, time)',
  source_ip: '(source_ip, time)',
  destination_ip: '(destination_ip, time)',
  source_port: '(source_port, time)',
  destination_port: '(destination_port, time)',
  // Nearly every flow is FORWARDED: an index of the others is small, and serves drops of any reason.
  verdict: '(verdict, time) where verdict <> 1',
  frontend: '(frontend, time) where frontend <> 0',
  owner: '(owner, time) where owner <> 0',
};

const FORWARDED = 1;
const ADDRESS_BITS = { 4: 32, 6: 128 } as const;

/** All are there and whole. */
export const isIndexed = ({ name, indexes }: Partition): boolean =>
  Object.keys(CLOSED_INDEXES).every((suffix) => indexes.includes(`${name}_${suffix}`));

/** What one index has in the order of time. `not`: rows that another alternative finds. */
export interface Alternative {
  readonly condition: Condition;
  readonly not?: Condition;
}

/** More would cost more than walking through time. */
const ALTERNATIVES_MAX = 8;

/** The condition for each value alone; undefined: no index has its rows in order. */
const singles = (condition: Condition): Condition[] | undefined => {
  switch (condition.kind) {
    case 'ip':
      return condition.cidrs.every(({ bits, family }) => bits === ADDRESS_BITS[family])
        ? condition.cidrs.map((cidr) => ({ ...condition, cidrs: [cidr] }))
        : undefined;
    case 'use':
      return condition.uses.map((use) => ({ ...condition, uses: [use] }));
    case 'port':
      return condition.values.map((value) => ({ ...condition, values: [value] }));
    case 'identity':
      return condition.local ? undefined : condition.values.map((value) => ({ ...condition, values: [value] }));
    case 'frontend':
    case 'owned':
      return condition.values.map((value) => ({ ...condition, values: [value] }));
    case 'in':
      return condition.column === 'verdict' && !condition.values.includes(FORWARDED)
        ? condition.values.map((value) => ({ ...condition, values: [value] }))
        : undefined;
    default:
      return undefined;
  }
};

const alternatives = (condition: Condition): readonly Alternative[] | undefined => {
  // A flow has one frontend, whichever end serves.
  if (!('side' in condition) || condition.side !== 'any' || condition.kind === 'frontend')
    return singles(condition)?.map((one) => ({ condition: one }));
  const from: Condition = { ...condition, side: 'from' };
  const to: Condition = { ...condition, side: 'to' };
  const both = [singles(from), singles(to)];
  if (both[0] === undefined || both[1] === undefined) return undefined;
  return [...both[0].map((one) => ({ condition: one })), ...both[1].map((one) => ({ condition: one, not: from }))];
};

/** From the rarest on. */
const ORDER = ['owned', 'use', 'frontend', 'ip', 'port', 'identity', 'in'] as const;

/**
 * A filter whose rows the indexes have in the order of time: together the alternatives are the condition at `index`,
 * each found by an index of its own. Undefined: none is.
 */
export const served = (
  conditions: readonly Condition[],
): { readonly index: number; readonly alternatives: readonly Alternative[] } | undefined => {
  for (const kind of ORDER) {
    for (const [index, condition] of conditions.entries()) {
      const found = condition.kind === kind ? alternatives(condition) : undefined;
      if (found && found.length > 0 && found.length <= ALTERNATIVES_MAX) return { index, alternatives: found };
    }
  }
  return undefined;
};
