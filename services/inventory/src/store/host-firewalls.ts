// SPDX-License-Identifier: Apache-2.0
/** What hosts say of their own policies, and the record of what happened to them. */
import { noteChanges } from '@weir/bus/publishing';
import { type Database, withTransaction } from '@weir/db';
import { type Kysely, type Selectable, sql } from 'kysely';
import type { Tables } from './tables.ts';

export type HostFirewallRow = Selectable<Tables['host_firewalls']>;
export type HostFirewallEventRow = Selectable<Tables['host_firewall_events']>;

export interface ReportedFirewall extends Omit<HostFirewallRow, 'changed_at'> {
  readonly events: readonly (Omit<HostFirewallEventRow, 'host_id' | 'sequence' | 'time_ms'> & {
    readonly sequence: string;
    readonly time_ms: string;
  })[];
}

/** Of many hosts at once. What ends is told by each heartbeat a little differently: it is no change. */
export const saveFirewalls = async (db: Database<Tables>, reports: readonly ReportedFirewall[]): Promise<void> => {
  if (reports.length === 0) return;
  await withTransaction(db, async (trx) => {
    const { rows } = await sql<{ host_id: string }>`
      with told as (
        select t.* from jsonb_to_recordset(${JSON.stringify(reports)}::jsonb) as t (host_id text, state text,
            confirmed_by text, documents text[], last_good text[], until timestamptz, why text)
        join hosts h on h.id = t.host_id
      )
      insert into host_firewalls as f (host_id, state, confirmed_by, documents, last_good, until, why)
      select * from told order by host_id
      on conflict (host_id) do update set state = excluded.state, confirmed_by = excluded.confirmed_by,
        documents = excluded.documents, last_good = excluded.last_good, until = excluded.until, why = excluded.why,
        changed_at = now()
      where (f.state, f.confirmed_by, f.documents, f.last_good, f.why, f.until is null)
        is distinct from (excluded.state, excluded.confirmed_by, excluded.documents, excluded.last_good, excluded.why,
          excluded.until is null)
        or abs(extract(epoch from f.until - excluded.until)) > 5
      returning host_id`.execute(trx);
    await noteChanges(
      trx,
      rows.map(({ host_id: key }) => ({ kind: 'host', key, what: 'status' })),
    );
    if (!reports.some(({ events }) => events.length > 0)) return;
    await sql`
      insert into host_firewall_events (host_id, sequence, time_ms, act, by, why, documents)
      select r.host_id, e.* from jsonb_to_recordset(${JSON.stringify(reports)}::jsonb) as r (host_id text, events jsonb)
      join hosts h on h.id = r.host_id
      cross join lateral jsonb_to_recordset(r.events)
        as e (sequence bigint, time_ms bigint, act text, by text, why text, documents text[])
      order by r.host_id, e.time_ms, e.sequence
      on conflict do nothing`.execute(trx);
  });
};

export const listFirewalls = (
  db: Kysely<Tables>,
  { host, after }: { readonly host?: string | undefined; readonly after: string },
  limit: number,
): Promise<HostFirewallRow[]> =>
  db
    .selectFrom('host_firewalls')
    .selectAll()
    .where('host_id', '>', after)
    .$if(host !== undefined, (query) => query.where('host_id', '=', host as string))
    .orderBy('host_id')
    .limit(limit)
    .execute();

/** Of an event, as a cursor holds it: milliseconds, host, sequence. */
export type EventPlace = [number, string, number];

/** Newest first; `before` is left out. */
export const listFirewallEvents = async (
  db: Kysely<Tables>,
  { host, before }: { readonly host?: string | undefined; readonly before: EventPlace | undefined },
  limit: number,
): Promise<HostFirewallEventRow[]> => {
  const [timeMs, beforeHost, sequence] = before ?? [null, null, null];
  const { rows } = await sql<HostFirewallEventRow>`
    select * from host_firewall_events
    where (${host ?? null}::text is null or host_id = ${host ?? null})
      and (${timeMs}::bigint is null
        or (time_ms, host_id, sequence) < (${timeMs}::bigint, ${beforeHost}::text, ${sequence}::bigint))
    order by time_ms desc, host_id desc, sequence desc limit ${limit}`.execute(db);
  return rows;
};
