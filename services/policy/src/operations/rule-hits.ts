// SPDX-License-Identifier: Apache-2.0
/**
 * Rules in force with how often they decided, and which did not for a long time. A rule counts from when its version was applied,
 * or from when analytics began to count: before that nobody knows.
 */
import { timestampDate, timestampMs } from '@bufbuild/protobuf/wkt';
import { weirError } from '@weir/errors';
import { Cursors, type Page } from '@weir/http';
import { durationMs } from '@weir/net';
import { Type } from 'typebox';
import { listRules, type RuleFilter, type RuleWithVersion } from '../store/rules.ts';
import type { Operations } from './context.ts';
import type { PageRequest } from './policies.ts';

export interface RuleWithHits extends RuleWithVersion {
  readonly hits: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly firstHit: Date | null;
  readonly lastHit: Date | null;
  /** Hits are counted from here on. */
  readonly countedSince: Date;
}

export interface HitsFilter extends RuleFilter {
  /** Only rules that did not decide for as long, such as 30d. */
  readonly unusedFor?: string;
}

/** Rows looked at in one request, whatever is found among them: then the page ends, and its cursor goes on. */
const LOOKED_AT_MAX = 10_000;
const CHUNK = 1_000;
const HITS = new Cursors('hits', Type.Integer());

const withHits = async ({ ruleHits }: Operations, rows: readonly RuleWithVersion[]): Promise<RuleWithHits[]> => {
  if (rows.length === 0) return [];
  const { hits, countedSince } = await ruleHits(rows.map(({ id }) => id));
  const known = new Map(hits.map((one) => [one.ruleId, one]));
  const sinceMs = countedSince === undefined ? 0 : timestampMs(countedSince);
  return rows.map((row) => {
    const one = known.get(row.id);
    return {
      ...row,
      hits: one?.hits ?? 0n,
      packets: one?.packets ?? 0n,
      bytes: one?.bytes ?? 0n,
      firstHit: one?.firstHit === undefined ? null : timestampDate(one.firstHit),
      lastHit: one?.lastHit === undefined ? null : timestampDate(one.lastHit),
      countedSince: new Date(Math.max(sinceMs, row.made_at.getTime())),
    };
  });
};

const unusedMs = (text: string): number => {
  const ms = durationMs(text);
  if (ms !== undefined) return ms;
  throw weirError('INVALID_ARGUMENT', `unused_for ${JSON.stringify(text)} is not a duration`, {
    field: 'unused_for',
    value: text,
    fix: 'write how long, such as 30d or 12h',
  });
};

/** By number. With `unusedFor` a page may be short of its limit and still have a next one. */
export const pageOfRuleHits = async (
  operations: Operations,
  filter: HitsFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<RuleWithHits>> => {
  const { unusedFor, ...rest } = filter;
  const scope = { ...filter };
  const beforeMs = unusedFor === undefined ? undefined : Date.now() - unusedMs(unusedFor);
  const isWanted = ({ lastHit, countedSince }: RuleWithHits): boolean =>
    beforeMs === undefined || (lastHit ?? countedSince).getTime() <= beforeMs;
  const found: RuleWithHits[] = [];
  let after = HITS.decode(cursor, scope) ?? 0;
  for (let looked = 0; ; ) {
    const most = Math.min(CHUNK, Math.max(limit + 1, unusedFor === undefined ? 0 : CHUNK));
    const rows = await listRules(operations.db.kysely, rest, after, most);
    looked += rows.length;
    after = rows.at(-1)?.id ?? after;
    found.push(...(await withHits(operations, rows)).filter(isWanted));
    const isWhole = rows.length < most;
    if (found.length > limit || isWhole) break;
    if (looked >= LOOKED_AT_MAX) return { items: found, next_cursor: HITS.encode(after, scope) };
  }
  return HITS.page(
    found,
    limit,
    (row) => row,
    ({ id }) => id,
    scope,
  );
};
