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
