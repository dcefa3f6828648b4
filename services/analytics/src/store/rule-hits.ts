// SPDX-License-Identifier: Apache-2.0
/** Hits per rule: added to in the transaction that stores the flows, read by number. */
import type pg from 'pg';
import type { RuleHits } from '../domain/rule-hits.ts';

const US_PER_S = 1_000_000;

/** Must come sorted by number: writers then wait for each other instead of ending in a deadlock. */
export const saveRuleHits = async (client: Pick<pg.ClientBase, 'query'>, rules: readonly RuleHits[]): Promise<void> => {
  if (rules.length === 0) return;
  const column = (value: (rule: RuleHits) => number): string => `{${rules.map(value).join()}}`;
  await client.query(
    `insert into rule_hits as h (rule_id, hits, packets, bytes, first_hit, last_hit)
     select rule_id, hits, packets, bytes, to_timestamp(first_s), to_timestamp(last_s)
       from unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::float8[], $6::float8[])
         as new (rule_id, hits, packets, bytes, first_s, last_s)
     on conflict (rule_id) do update set
       hits = h.hits + excluded.hits,
       packets = h.packets + excluded.packets,
       bytes = h.bytes + excluded.bytes,
       first_hit = least(h.first_hit, excluded.first_hit),
       last_hit = greatest(h.last_hit, excluded.last_hit)`,
    [
      column(({ ruleId }) => ruleId),
      column(({ hits }) => hits),
      column(({ packets }) => packets),
      column(({ bytes }) => bytes),
      column(({ firstUs }) => firstUs / US_PER_S),
      column(({ lastUs }) => lastUs / US_PER_S),
    ],
  );
};

export interface StoredHits {
  readonly ruleId: number;
  readonly hits: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
  readonly firstHit: Date;
  readonly lastHit: Date;
}

/** Rules that never decided are not among them. `since`: nobody counted before. */
export const readRuleHits = async (
  pool: pg.Pool,
  ids: readonly number[],
): Promise<{ readonly since: Date; readonly rules: readonly StoredHits[] }> => {
  const [counted, hits] = await Promise.all([
    pool.query<{ since: Date }>('select since from rule_hits_since'),
    pool.query<StoredHits>(
      `select rule_id as "ruleId", hits, packets, bytes, first_hit as "firstHit", last_hit as "lastHit"
         from rule_hits where rule_id = any($1::int4[]) order by rule_id`,
      [ids],
    ),
  ]);
  return { since: (counted.rows[0] as { since: Date }).since, rules: hits.rows };
};
