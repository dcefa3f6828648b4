// SPDX-License-Identifier: Apache-2.0
/** What hosts say of themselves. What a reader would see change is noted in the log of changes; counters are not. */
import { noteChanges } from '@weir/bus/publishing';
import { type Database, withTransaction } from '@weir/db';
import { sql, type Transaction } from 'kysely';
import { STALE_AFTER_MS } from '../domain/liveness.ts';
import type { HostStatusRow } from './hosts.ts';
import type { Tables } from './tables.ts';

/** As it comes from a heartbeat; numbers wider than JSON's are text. */
export type ReportedStatus = Omit<HostStatusRow, 'realised' | 'flows' | 'counters' | 'stale'> & {
  readonly realised: unknown;
  readonly flows: unknown;
  readonly counters: unknown;
};

const note = (trx: Transaction<Tables>, hosts: readonly { readonly host_id: string }[]): Promise<void> =>
  noteChanges(
    trx,
    hosts.map(({ host_id: key }) => ({ kind: 'host', key, what: 'status' })),
  );

const json = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part));

/** Heartbeats of many hosts at once; one that was overtaken changes nothing. */
export const saveStatuses = async (db: Database<Tables>, statuses: readonly ReportedStatus[]): Promise<void> => {
  if (statuses.length === 0) return;
  await withTransaction(db, async (trx) => {
    const { rows } = await sql<{ host_id: string }>`
      with told as (
        select s.* from jsonb_to_recordset(${json(statuses)}::jsonb)
          as s (host_id text, last_seen_at timestamptz, boot bigint, version text, kernel text, realised jsonb,
                workloads_ready integer, workloads_total integer, flows jsonb, counters jsonb, features text[],
                egress_limiter text, egress_limiter_reason text)
          join hosts h on h.id = s.host_id
      ), before as (
        select b.* from host_status b join told using (host_id)
      ), saved as (
        insert into host_status (host_id, last_seen_at, boot, version, kernel, realised, workloads_ready, workloads_total,
            flows, counters, features, egress_limiter, egress_limiter_reason)
        select * from told order by host_id
        on conflict (host_id) do update set
          last_seen_at = excluded.last_seen_at, boot = excluded.boot, version = excluded.version, kernel = excluded.kernel,
          realised = excluded.realised, workloads_ready = excluded.workloads_ready,
          workloads_total = excluded.workloads_total, flows = excluded.flows, counters = excluded.counters,
          features = excluded.features, egress_limiter = excluded.egress_limiter,
          egress_limiter_reason = excluded.egress_limiter_reason, stale = false
        where host_status.last_seen_at <= excluded.last_seen_at
        returning host_id
      )
      select host_id from saved join told t using (host_id) left join before b using (host_id)
      where b.host_id is null or b.stale or
        (b.boot, b.version, b.kernel, b.realised, b.workloads_ready, b.workloads_total, b.features,
         b.egress_limiter, b.egress_limiter_reason) is distinct from
        (t.boot, t.version, t.kernel, t.realised, t.workloads_ready, t.workloads_total, t.features,
         t.egress_limiter, t.egress_limiter_reason)`.execute(trx);
    await note(trx, rows);
  });
};

/**
 * Of many hosts, sooner than by their next heartbeats. Of the boot that is known only: one that begins anew says so in
 * its heartbeat. Rows are locked in the order of their keys, as heartbeats lock them: the two meet all the time.
 */
export const saveRealised = async (
  db: Database<Tables>,
  hosts: readonly {
    readonly host_id: string;
    readonly boot: bigint;
    readonly realised: Readonly<Record<string, string>>;
  }[],
): Promise<void> => {
  if (hosts.length === 0) return;
  await withTransaction(db, async (trx) => {
    const { rows } = await sql<{ host_id: string }>`
      with told as (
        select * from unnest(${hosts.map(({ host_id }) => host_id)}::text[],
          ${hosts.map(({ boot }) => boot.toString())}::bigint[],
          ${hosts.map(({ realised }) => JSON.stringify(realised))}::jsonb[]) as s (host_id, boot, realised)
      ), locked as (
        select h.host_id, t.realised from host_status h
        join told t on t.host_id = h.host_id and t.boot = h.boot and t.realised <> h.realised
        order by h.host_id for no key update of h
      )
      update host_status h set realised = l.realised from locked l where h.host_id = l.host_id
      returning h.host_id`.execute(trx);
    await note(trx, rows);
  });
};

/** Notes hosts that have gone silent, once each time. Any replica may. */
export const saveSilence = (db: Database<Tables>, nowMs = Date.now()): Promise<void> =>
  withTransaction(db, async (trx) => {
    const { rows } = await sql<{ host_id: string }>`
      with silent as (
        select host_id from host_status
        where not stale and last_seen_at < ${new Date(nowMs - STALE_AFTER_MS)}
        order by host_id for no key update
      )
      update host_status h set stale = true from silent s where h.host_id = s.host_id returning h.host_id`.execute(trx);
    await note(trx, rows);
  });
