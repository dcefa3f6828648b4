// SPDX-License-Identifier: Apache-2.0
/** Hosts and what they last said of themselves. */
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { Labels } from '../domain/labels.ts';
import type { Tables } from './tables.ts';

export type HostRow = Selectable<Tables['hosts']>;
export type HostStatusRow = Selectable<Tables['host_status']>;
export type HostWithStatus = HostRow & {
  readonly [K in keyof Omit<HostStatusRow, 'host_id'>]: HostStatusRow[K] | null;
} & {
  /** Blocks that it holds. */
  readonly pools: string[];
};

export interface NewHost {
  readonly id: string;
  readonly labels: Labels;
  readonly underlay_ip4: string | null;
  readonly underlay_ip6: string | null;
}

/** Held by whoever gives a host an address, or says what addresses no host or pool may have. Taken before rows are locked. */
const UNDERLAY_LOCK = 0x0ddf;

export const lockUnderlay = async (trx: Transaction<Tables>): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${sql.lit(UNDERLAY_LOCK)})`.execute(trx);
};

export const insertHost = (trx: Transaction<Tables>, host: NewHost): Promise<HostRow> =>
  trx
    .insertInto('hosts')
    .values({ ...host, labels: JSON.stringify(host.labels), revision: 0n })
    .returningAll()
    .executeTakeFirstOrThrow();

export const saveHostRevision = async (trx: Transaction<Tables>, id: string, revision: bigint): Promise<void> => {
  await trx.updateTable('hosts').set({ revision }).where('id', '=', id).execute();
};

const withStatus = (db: Kysely<Tables>) =>
  db
    .selectFrom('hosts')
    .leftJoin('host_status as s', 's.host_id', 'hosts.id')
    .selectAll('hosts')
    .select(
      sql<string[]>`array(select b.cidr::text from blocks b where b.host_id = hosts.id order by b.cidr)`.as('pools'),
    )
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
      's.egress_limiter',
      's.egress_limiter_reason',
    ]);

export const listHosts = (db: Kysely<Tables>, after: string, limit: number): Promise<HostWithStatus[]> =>
  withStatus(db).where('hosts.id', '>', after).orderBy('hosts.id').limit(limit).execute() as Promise<HostWithStatus[]>;

export const getHost = (db: Kysely<Tables>, id: string): Promise<HostWithStatus | undefined> =>
  withStatus(db).where('hosts.id', '=', id).executeTakeFirst() as Promise<HostWithStatus | undefined>;
