// SPDX-License-Identifier: Apache-2.0
/**
 * Groups of a closed partition, added up once: whoever judges stored flows again reads them instead of the flows. A flow that comes
 * late takes its partition's sums out of force in the transaction that stores it; upkeep then adds up anew. While it does, it
 * keeps writers of that partition waiting, so nothing falls in between.
 */
import type pg from 'pg';
import { FIRST_ALLOCATED, FIRST_LOCAL } from '../domain/identities.ts';

type Queryable = Pick<pg.ClientBase, 'query'>;

/** Of WHAT and of what stands in the table: sums of another format are not read. */
const FORMAT = 1;
/** With fewer flows to a group than that, the sums would be no shorter than the flows. */
const WORTH = 4;
/** In one turn of upkeep, which has more to do. */
const AT_ONCE = 64;
/** A late batch is being stored there: the next turn adds it up. */
const LOCK_WAIT_MS = 500;

/**
 * What tells groups of two ends apart, in one number: Postgres takes half as long for two keys as for ten. From above: port of
 * the server, protocol, verdict, drop reason, direction and reply (the upper bits of flows.detail), related, type of ICMP.
 */
export const WHAT = `(case when detail < 0 then source_port else destination_port end)::int8 << 32
  | (protocol::int8 << 24) | (least(verdict::int8, 15) << 20) | (least(drop_reason::int8, 255) << 12)
  | ((detail >> 29 & 7)::int8 << 9) | case when (detail >> 21 & 15) = 4 then 256 else 0 end
  | case when protocol in (1, 58) then detail >> 8 & 255 else 0 end`;

export const ENDS = 'source_identity::int8 << 32 | destination_identity';

const outside = (end: string): string =>
  `case when ${end}_identity < ${FIRST_ALLOCATED} or ${end}_identity >= ${FIRST_LOCAL} then ${end}_ip end`;

/** Addresses that tell groups apart: those of ends outside of the fleet. */
export const OUTSIDE_IPS = [outside('source'), outside('destination')] as const;

/** Names of partitions whose sums are as good as their flows. */
export const readSummed = async (client: Queryable): Promise<ReadonlySet<string>> => {
  const { rows } = await client.query<{ partition: string }>(
    'select partition from flow_groups_done where summed and format = $1',
    [FORMAT],
  );
  return new Set(rows.map(({ partition }) => partition));
};

/** In the transaction that stored flows there, after they were written. */
export const outdateSums = async (client: Queryable, partitions: readonly string[]): Promise<void> => {
  if (partitions.length === 0) return;
  await client.query('delete from flow_groups_done where partition = any($1)', [[...partitions].sort()]);
};

/** Adds up those of the closed `partitions` that have no sums; forgets all that are not in `all`. Returns their names. */
export const sumClosed = async (
  client: Queryable,
  partitions: readonly string[],
  all: readonly string[],
): Promise<string[]> => {
  for (const table of ['flow_groups_done', 'flow_groups'])
    await client.query(`delete from ${table} where partition <> all($1)`, [all]);
  const { rows } = await client.query<{ partition: string }>(
    'select partition from flow_groups_done where format = $1',
    [FORMAT],
  );
  const done = new Set(rows.map(({ partition }) => partition));
  const summed: string[] = [];
  const missing = partitions.filter((partition) => !done.has(partition));
  // The newest first: those are asked for.
  for (const partition of missing.slice(-AT_ONCE).reverse()) if (await sum(client, partition)) summed.push(partition);
  return summed;
};

/** False: it is being written to. */
const sum = async (client: Queryable, partition: string): Promise<boolean> => {
  await client.query('begin');
  try {
    await client.query(`set local lock_timeout = ${LOCK_WAIT_MS}`);
    // Readers and other upkeep go on; whoever stores a late flow waits, and finds the sums when he takes them out of force.
    await client.query(`lock table ${partition} in share mode`);
    await client.query('set local lock_timeout = 0');
    await client.query("set local enable_sort = off; set local work_mem = '64MB'; set local jit = off");
    await client.query('delete from flow_groups where partition = $1', [partition]);
    const { rows } = await client.query<{ groups: bigint; flows: bigint }>(
      `with added as (
         insert into flow_groups (partition, ends, what, source_ip, destination_ip, flows, packets, bytes, last)
         select $1, ${ENDS}, ${WHAT}, ${OUTSIDE_IPS.join(', ')}, count(*), sum(packets), sum(bytes), max(time)
           from ${partition} group by 2, 3, 4, 5
         returning flows)
       select count(*)::int8 as groups, coalesce(sum(flows), 0)::int8 as flows from added`,
      [partition],
    );
    const { groups = 0n, flows = 0n } = rows[0] ?? {};
    const isWorth = groups * BigInt(WORTH) <= flows;
    if (!isWorth) await client.query('delete from flow_groups where partition = $1', [partition]);
    await client.query(
      `insert into flow_groups_done (partition, format, summed) values ($1, $2, $3)
       on conflict (partition) do update set format = excluded.format, summed = excluded.summed, done_at = now()`,
      [partition, FORMAT, isWorth],
    );
    await client.query('commit');
    return true;
  } catch (error) {
    await client.query('rollback');
    if ((error as { code?: string }).code === '55P03') return false;
    throw error;
  }
};
