// SPDX-License-Identifier: Apache-2.0
/**
 * What became of every flow of a host, over all runs of its agent: produced = stored + lost by place + on its way.
 * What a spool shed is counted by heartbeats and told in place by batches; a later run tells of an earlier one's.
 * The sum holds by construction: heartbeats are some seconds old, so what is known to exist is produced at least; what a
 * run produced and is nowhere is on its way while a spool may still hold it, and lost with the spool after that.
 */

import type { EventKind } from '@weir/bus';
import type pg from 'pg';
import type { Hosts } from './hosts.ts';
import { KINDS, type KindTables } from './kinds.ts';
import { gapsOf } from './runs.ts';

export interface Account {
  readonly host: string;
  readonly kind: EventKind;
  readonly runs: number;
  readonly produced: number;
  readonly stored: number;
  readonly lostThrottle: number;
  readonly lostRing: number;
  readonly lostSpool: number;
  readonly deadLetter: number;
  readonly onItsWay: number;
  /** Of the newest run. */
  readonly watermark: { readonly boot: number; readonly seq: number | null; readonly at: Date | null };
  readonly reportedAt: Date | null;
  readonly gaps: readonly { readonly boot: number; readonly first: number; readonly last: number }[];
}

/** Lists of hosts and of gaps end somewhere; nobody reads more. */
const HOSTS_MAX = 10_000;
const GAPS_MAX = 100;

/** A run of which nothing is left in its host's spool: its heartbeat is from `boot`, `spooled` are those that are. */
export const saveSpooledBoots = async (
  pool: pg.Pool,
  { agents }: KindTables,
  hosts: Hosts,
  reports: readonly { readonly host: string; readonly boot: number; readonly spooledBoots: readonly number[] }[],
): Promise<void> => {
  const ids = await hosts.known(reports.map(({ host }) => host));
  const nameOf = await hosts.namesOf(ids);
  const idOf = new Map([...nameOf].map(([id, name]) => [name, id]));
  const known = reports.filter(({ host }) => idOf.has(host));
  await pool.query(
    `update ${agents} agents set spool_gone = not (agents.boot::text = any (string_to_array(report.spooled, ',')))
       from unnest($1::int4[], $2::int8[], $3::text[]) as report (host_id, boot, spooled)
      where agents.host_id = report.host_id and agents.boot < report.boot
        and agents.spool_gone <> not (agents.boot::text = any (string_to_array(report.spooled, ',')))`,
    [
      known.map(({ host }) => idOf.get(host)),
      known.map(({ boot }) => boot),
      known.map(({ spooledBoots }) => spooledBoots.join(',')),
    ],
  );
};

const accountsOf = ({ agents, ingested, losses }: KindTables): string => `
with told as (
  select host_id, boot, sum(lost)::int8 as lost from ${losses} group by 1, 2
), counted as (
  select a.*, greatest(a.lost_spool, coalesce(t.lost, 0)) as spool
    from ${agents} a left join told t on t.host_id = a.host_id and t.boot = a.boot
), run as (
  select h.name, a.*, a.stored + a.lost_throttle + a.lost_ring + a.spool + a.dead_letter as known,
         row_number() over (partition by a.host_id order by a.boot desc) = 1 as newest,
         (select json_agg(json_build_array(first_seq, next_seq) order by first_seq)
            from ${ingested} i where i.host_id = a.host_id and i.boot = a.boot) as ranges
    from counted a join hosts h on h.id = a.host_id
   where $1::text[] is null or h.name = any($1)
), placed as (
  select *, greatest(produced - known, 0) as missing, spool_gone and not newest as settled from run
)
select name as host, count(*)::int8 as runs,
       sum(known + missing)::int8 as produced, sum(stored)::int8 as stored,
       sum(lost_throttle)::int8 as lost_throttle, sum(lost_ring)::int8 as lost_ring,
       sum(spool + case when settled then missing else 0 end)::int8 as lost_spool,
       sum(dead_letter)::int8 as dead_letter,
       sum(case when settled then 0 else missing end)::int8 as on_its_way,
       max(boot) as boot, max(committed_seq) filter (where newest) as committed_seq,
       max(committed_at) filter (where newest) as committed_at, max(reported_at) as reported_at,
       json_agg(json_build_array(boot, released_seq, ranges) order by boot) filter (where ranges is not null) as ranges
  from placed group by name order by name limit ${HOSTS_MAX}`;

type Ranges = readonly (readonly [first: number, next: number])[];

const readKind = async (pool: pg.Pool, tables: KindTables, hosts?: readonly string[]): Promise<Account[]> => {
  const { rows } = await pool.query(accountsOf(tables), [hosts ?? null]);
  return rows.map((row) => ({
    host: row.host,
    kind: tables.kind,
    runs: Number(row.runs),
    produced: Number(row.produced),
    stored: Number(row.stored),
    lostThrottle: Number(row.lost_throttle),
    lostRing: Number(row.lost_ring),
    lostSpool: Number(row.lost_spool),
    deadLetter: Number(row.dead_letter),
    onItsWay: Number(row.on_its_way),
    watermark: {
      boot: Number(row.boot),
      seq: row.committed_seq === null ? null : Number(row.committed_seq),
      at: row.committed_at,
    },
    reportedAt: row.reported_at,
    gaps: ((row.ranges ?? []) as readonly (readonly [boot: number, released: number, ranges: Ranges])[])
      .flatMap(([boot, released, ranges]) => gapsOf(ranges, released).map((gap) => ({ boot, ...gap })))
      .slice(-GAPS_MAX),
  }));
};

/** By host, of each kind that it ever told of. */
export const readAccounts = async (pool: pg.Pool, hosts?: readonly string[]): Promise<Account[]> => {
  const kinds = await Promise.all(Object.values(KINDS).map((tables) => readKind(pool, tables, hosts)));
  return kinds.flat().sort((a, b) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0));
};

/** How long events have been waiting to be stored; 0 while nothing waits. */
export const watermarkAgeS = ({ onItsWay, watermark }: Account, nowMs = Date.now()): number | null => {
  if (onItsWay === 0) return 0;
  return watermark.at === null ? null : Math.max(0, Math.round((nowMs - watermark.at.getTime()) / 1_000));
};
