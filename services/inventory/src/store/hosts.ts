// SPDX-License-Identifier: Apache-2.0
/** Hosts and what they last said of themselves. */
import { weirError } from '@weir/errors';
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { Labels } from '../domain/labels.ts';
import { hostPools, type Pools, slotCount } from '../domain/pools.ts';
import type { Tables } from './tables.ts';

export type HostRow = Selectable<Tables['hosts']>;
export type HostStatusRow = Selectable<Tables['host_status']>;
export type HostWithStatus = HostRow & {
  readonly [K in keyof Omit<HostStatusRow, 'host_id'>]: HostStatusRow[K] | null;
};

export interface NewHost {
  readonly id: string;
  readonly labels: Labels;
  readonly underlay_ip4: string | null;
  readonly underlay_ip6: string | null;
}

const SLOT_LOCK = 0x510;

/** The lowest free slot; serialised, because two hosts that join at once must not get the same. */
export const insertHost = async (
  trx: Transaction<Tables>,
  host: NewHost,
  pools: Pools,
  revision: bigint,
): Promise<HostRow> => {
  await sql`select pg_advisory_xact_lock(${sql.lit(SLOT_LOCK)})`.execute(trx);
  const { rows } = await sql<{ slot: number }>`
    select min(slot) as slot from (
      select 0 as slot union all select slot + 1 from hosts
    ) candidate where not exists (select 1 from hosts h where h.slot = candidate.slot)`.execute(trx);
  const slot = rows[0]?.slot ?? 0;
  if (slot >= slotCount(pools)) {
    throw weirError('CONFLICT', `all ${slotCount(pools)} host slots of the address pools are taken`, {
      field: 'name',
      value: host.id,
      fix: 'delete hosts that are gone, or start inventory with larger pools',
    });
  }
  return trx
    .insertInto('hosts')
    .values({ ...host, labels: JSON.stringify(host.labels), ...hostPools(pools, slot), slot, revision })
    .returningAll()
    .executeTakeFirstOrThrow();
};

const withStatus = (db: Kysely<Tables>) =>
  db
    .selectFrom('hosts')
    .leftJoin('host_status as s', 's.host_id', 'hosts.id')
    .selectAll('hosts')
    .select([
      's.last_seen_at',
      's.boot',
      's.version',
      's.kernel',
      's.realised',
      's.workloads_ready',
      's.workloads_total',
      's.flows',
      's.counters',
      's.features',
    ]);

export const listHosts = (db: Kysely<Tables>, after: string, limit: number): Promise<HostWithStatus[]> =>
  withStatus(db).where('hosts.id', '>', after).orderBy('hosts.id').limit(limit).execute() as Promise<HostWithStatus[]>;

export const getHost = (db: Kysely<Tables>, id: string): Promise<HostWithStatus | undefined> =>
  withStatus(db).where('hosts.id', '=', id).executeTakeFirst() as Promise<HostWithStatus | undefined>;

/** Heartbeats of many hosts at once; one that was overtaken changes nothing. */
export const saveStatuses = async (
  db: Kysely<Tables>,
  statuses: readonly Omit<HostStatusRow, 'realised' | 'flows' | 'counters'>[] &
    readonly { realised: unknown; flows: unknown; counters: unknown }[],
): Promise<void> => {
  if (statuses.length === 0) return;
  await sql`
    insert into host_status (host_id, last_seen_at, boot, version, kernel, realised, workloads_ready, workloads_total, flows, counters, features)
    select s.* from jsonb_to_recordset(${JSON.stringify(statuses, (_, v) => (typeof v === 'bigint' ? v.toString() : v))}::jsonb)
      as s (host_id text, last_seen_at timestamptz, boot bigint, version text, kernel text, realised jsonb,
            workloads_ready integer, workloads_total integer, flows jsonb, counters jsonb, features text[])
    join hosts h on h.id = s.host_id
    order by s.host_id
    on conflict (host_id) do update set
      last_seen_at = excluded.last_seen_at, boot = excluded.boot, version = excluded.version, kernel = excluded.kernel,
      realised = excluded.realised, workloads_ready = excluded.workloads_ready, workloads_total = excluded.workloads_total,
      flows = excluded.flows, counters = excluded.counters, features = excluded.features
    where host_status.last_seen_at <= excluded.last_seen_at`.execute(db);
};

/**
 * Of many hosts, sooner than by their next heartbeats. Of the boot that is known only: one that begins anew says so in
 * its heartbeat. Rows are locked in the order of their keys, as heartbeats lock them: the two meet all the time.
 */
export const saveRealised = async (
  db: Kysely<Tables>,
  hosts: readonly {
    readonly host_id: string;
    readonly boot: bigint;
    readonly realised: Readonly<Record<string, string>>;
  }[],
): Promise<void> => {
  if (hosts.length === 0) return;
  await sql`
    with told as (
      select * from unnest(${hosts.map(({ host_id }) => host_id)}::text[],
        ${hosts.map(({ boot }) => boot.toString())}::bigint[],
        ${hosts.map(({ realised }) => JSON.stringify(realised))}::jsonb[]) as s (host_id, boot, realised)
    ), locked as (
      select h.host_id, t.realised from host_status h
      join told t on t.host_id = h.host_id and t.boot = h.boot and t.realised <> h.realised
      order by h.host_id for no key update of h
    )
    update host_status h set realised = l.realised from locked l where h.host_id = l.host_id`.execute(db);
};
