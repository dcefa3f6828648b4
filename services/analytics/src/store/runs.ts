// SPDX-License-Identifier: Apache-2.0
/** Runs of agents: what their heartbeats count, and up to where their flows are settled. */
import type pg from 'pg';
import type { Hosts } from './hosts.ts';
import type { KindTables } from './kinds.ts';
import { LedgerConflict, type Run, type Settled, settleRuns } from './ledger.ts';

export interface RunReport {
  readonly host: string;
  readonly boot: number;
  readonly produced: number;
  readonly lostRing: number;
  readonly lostSpool: number;
  readonly lostThrottle: number;
  readonly published: number;
  readonly nextSeq: number;
  readonly releasedSeq: number;
}

export interface RunState {
  readonly host: string;
  readonly boot: number;
  readonly stored: number;
  readonly committedSeq: number | null;
  readonly committedAt: Date | null;
  readonly produced: number;
  readonly lostRing: number;
  readonly lostSpool: number;
  readonly lostThrottle: number;
  readonly published: number;
  readonly nextSeq: number;
  readonly reportedAt: Date | null;
  /** Ranges that are missing below what is stored; they may still come. */
  readonly gaps: readonly { readonly first: number; readonly last: number }[];
  /** Newest first. */
  readonly losses: readonly LossInterval[];
}

/** Neighbouring losses as one. Not all numbers in it need be missing: `lost` of them are. */
export interface LossInterval {
  readonly first: number;
  readonly last: number;
  readonly lost: number;
  readonly refused: number;
  readonly from: Date | null;
  readonly to: Date | null;
}

/** Of one run, shown. */
const LOSSES_MAX = 100;
/** Gaps shown of one run; more come into sight as these close. */
const GAPS_MAX = 1_000;

/** Runs that may still have flows in a spool: their watermarks are said again with each heartbeat. */
const RECENT = "interval '1 day'";

/** Counters only rise within a run, so reports may come in any order. */
export const saveReports = async (
  pool: pg.Pool,
  tables: KindTables,
  hosts: Hosts,
  reports: readonly RunReport[],
): Promise<void> => {
  const ids = await hosts.idsOf(reports.map(({ host }) => host));
  const runs = reports.map(({ host, boot }) => ({ hostId: ids.get(host) as number, boot }));
  await hosts.ensureAgents(tables, runs);
  await pool.query(
    `update ${tables.agents} agents set
       produced = greatest(agents.produced, report.produced),
       lost_ring = greatest(agents.lost_ring, report.lost_ring),
       lost_spool = greatest(agents.lost_spool, report.lost_spool),
       lost_throttle = greatest(agents.lost_throttle, report.lost_throttle),
       published = greatest(agents.published, report.published),
       next_seq = greatest(agents.next_seq, report.next_seq),
       released_seq = greatest(agents.released_seq, report.released_seq),
       reported_at = now()
       from unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[])
         as report (host_id, boot, produced, lost_ring, lost_spool, published, next_seq, released_seq, lost_throttle)
      where agents.host_id = report.host_id and agents.boot = report.boot`,
    [
      runs.map(({ hostId }) => hostId),
      reports.map(({ boot }) => boot),
      reports.map(({ produced }) => produced),
      reports.map(({ lostRing }) => lostRing),
      reports.map(({ lostSpool }) => lostSpool),
      reports.map(({ published }) => published),
      reports.map(({ nextSeq }) => nextSeq),
      reports.map(({ releasedSeq }) => releasedSeq),
      reports.map(({ lostThrottle }) => lostThrottle),
    ],
  );
};

/** Looks at gaps again: a report may have explained them, or they are too old by now. Returns all recent runs. */
export const settleHosts = async (
  pool: pg.Pool,
  tables: KindTables,
  hosts: Hosts,
  names: readonly string[],
): Promise<(Settled & { readonly host: string })[]> => {
  const ids = await hosts.known(names);
  const { rows } = await pool.query<{ host_id: number; boot: bigint; committed_seq: bigint | null; gap: boolean }>(
    `select a.host_id, a.boot, a.committed_seq,
            coalesce((select max(next_seq) - 1 from ${tables.ingested} i where i.host_id = a.host_id and i.boot = a.boot), 0)
              > coalesce(a.committed_seq, 0) as gap
       from ${tables.agents} a
      where a.host_id = any($1) and greatest(a.committed_at, a.reported_at, a.first_seen_at) > now() - ${RECENT}`,
    [ids],
  );
  const runs = rows.map((row) => ({
    hostId: row.host_id,
    boot: Number(row.boot),
    seq: Number(row.committed_seq ?? 0n),
    gap: row.gap,
  }));
  const open = runs.filter(({ gap }) => gap);
  const settled = open.length === 0 ? [] : await settleGaps(pool, tables, open);
  const nameOf = await hosts.namesOf(ids);
  return runs.map(({ gap: _gap, ...run }) => {
    const again = settled.find(({ hostId, boot }) => hostId === run.hostId && boot === run.boot);
    return { ...run, seq: Math.max(run.seq, again?.seq ?? 0), host: nameOf.get(run.hostId) as string };
  });
};

const settleGaps = async (pool: pg.Pool, tables: KindTables, runs: readonly Run[]): Promise<Settled[]> => {
  const client = await pool.connect();
  let failed = true;
  try {
    await client.query('begin');
    const settled = await settleRuns(client, tables, runs, Date.now());
    await client.query('commit');
    failed = false;
    return settled;
  } catch (error) {
    // A run was removed or stored to meanwhile: the next heartbeat comes soon.
    if (error instanceof LedgerConflict) return [];
    throw error;
  } finally {
    client.release(failed);
  }
};

export interface RunsRequest {
  readonly all: boolean;
  readonly hosts?: readonly string[];
  /** Goes on behind this one. */
  readonly after?: { readonly host: string; readonly boot: number };
  readonly limit: number;
}

/** Per host its newest run, or all of them, newest first. */
export const readRuns = async (pool: pg.Pool, options: RunsRequest): Promise<RunState[]> => {
  const { rows } = await pool.query(
    `select ${options.all ? '' : 'distinct on (h.name)'} h.name as host, a.*,
            (select json_agg(json_build_array(first_seq, next_seq) order by first_seq)
               from ingested i where i.host_id = a.host_id and i.boot = a.boot) as ranges,
            (select json_agg(l order by l.last desc)
               from (select min(first_seq) as first, max(next_seq) - 1 as last, sum(lost) as lost, sum(refused) as refused,
                            min(from_time) as from, max(to_time) as to
                       from (select *, sum(begins) over (order by first_seq) as island
                               from (select *, (lag(next_seq) over (order by first_seq) is distinct from first_seq)::int as begins
                                       from losses where host_id = a.host_id and boot = a.boot) single) joined
                      group by island order by 2 desc limit ${LOSSES_MAX}) l) as losses
       from agents a join hosts h on h.id = a.host_id
      where ($1::text[] is null or h.name = any($1))
        and ($2::text is null or h.name > $2 or (${options.all} and h.name = $2 and a.boot < $3::int8))
      order by h.name, a.boot desc
      limit $4`,
    [options.hosts ?? null, options.after?.host ?? null, options.after?.boot ?? null, options.limit],
  );
  return rows.map((row) => ({
    host: row.host,
    boot: Number(row.boot),
    stored: Number(row.stored),
    committedSeq: row.committed_seq === null ? null : Number(row.committed_seq),
    committedAt: row.committed_at,
    produced: Number(row.produced),
    lostRing: Number(row.lost_ring),
    lostSpool: Number(row.lost_spool),
    lostThrottle: Number(row.lost_throttle),
    published: Number(row.published),
    nextSeq: Number(row.next_seq),
    reportedAt: row.reported_at,
    gaps: gapsOf(row.ranges ?? [], Number(row.released_seq)).slice(0, GAPS_MAX),
    losses: (row.losses ?? []).map(lossInterval),
  }));
};

const lossInterval = (row: Record<'first' | 'last' | 'lost' | 'refused', number> & Record<'from' | 'to', string>) => ({
  ...row,
  from: row.from === null ? null : new Date(row.from),
  to: row.to === null ? null : new Date(row.to),
});

export const gapsOf = (ranges: readonly (readonly [number, number])[], releasedSeq: number): RunState['gaps'] => {
  const gaps: { first: number; last: number }[] = [];
  let next = releasedSeq + 1;
  for (const [first, end] of ranges) {
    if (first > next) gaps.push({ first: next, last: first - 1 });
    next = Math.max(next, end);
  }
  return gaps;
};
