// SPDX-License-Identifier: Apache-2.0
/** Workloads, joined with what their host's agent last said of them. */
import { noteChanges } from '@weir/bus/publishing';
import { type Database, withTransaction } from '@weir/db';
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { Tables } from './tables.ts';

export type WorkloadRow = Selectable<Tables['workloads']>;
export type WorkloadStatusRow = Selectable<Tables['workload_status']>;
export type WorkloadWithStatus = WorkloadRow & {
  readonly [K in 'state' | 'message' | 'local_id' | 'policy_enabled' | 'policy_entries']: WorkloadStatusRow[K] | null;
} & {
  /** With which its host has it. */
  readonly reported_identity: number | null;
};

export interface WorkloadFilter {
  readonly host?: string;
  readonly namespace?: string;
  readonly identity?: number;
  /** All of them. */
  readonly labels?: Readonly<Record<string, string>>;
}

const withStatus = (db: Kysely<Tables>) =>
  db
    .selectFrom('workloads as w')
    .leftJoin('workload_status as s', 's.workload_id', 'w.id')
    .selectAll('w')
    .select(['s.state', 's.message', 's.local_id', 's.policy_enabled', 's.policy_entries'])
    .select('s.identity as reported_identity');

export const listWorkloads = (
  db: Kysely<Tables>,
  filter: WorkloadFilter,
  after: string,
  limit: number,
): Promise<WorkloadWithStatus[]> => {
  let query = withStatus(db).where('w.id', '>', after).orderBy('w.id').limit(limit);
  if (filter.host !== undefined) query = query.where('w.host_id', '=', filter.host);
  if (filter.namespace !== undefined) query = query.where('w.namespace', '=', filter.namespace);
  if (filter.identity !== undefined) query = query.where(sql<boolean>`w.identity = ${filter.identity}::bigint`);
  if (filter.labels !== undefined)
    query = query.where(sql<boolean>`w.labels @> ${JSON.stringify(filter.labels)}::jsonb`);
  return query.execute() as Promise<WorkloadWithStatus[]>;
};

export const getWorkload = (db: Kysely<Tables>, id: string): Promise<WorkloadWithStatus | undefined> =>
  withStatus(db).where('w.id', '=', id).executeTakeFirst() as Promise<WorkloadWithStatus | undefined>;

/** For a change: the row is locked until the transaction ends. */
export const lockWorkload = (trx: Transaction<Tables>, id: string): Promise<WorkloadRow | undefined> =>
  trx.selectFrom('workloads').selectAll().where('id', '=', id).forUpdate().executeTakeFirst() as Promise<
    WorkloadRow | undefined
  >;

/** In one order, so that two who lock several wait for each other. */
export const lockWorkloadsOf = (trx: Transaction<Tables>, namespace: string): Promise<WorkloadRow[]> =>
  trx
    .selectFrom('workloads')
    .selectAll()
    .where('namespace', '=', namespace)
    .orderBy('id')
    .forUpdate()
    .execute() as Promise<WorkloadRow[]>;

export const saveIdentities = async (
  trx: Transaction<Tables>,
  rows: readonly WorkloadRow[],
  revision: bigint,
): Promise<void> => {
  await sql`
    update workloads w set identity = c.identity, revision = ${revision}
    from unnest(${rows.map(({ id }) => id)}::text[], ${rows.map(({ identity }) => identity)}::int[]) as c (id, identity)
    where w.id = c.id`.execute(trx);
};

export interface StatusOfWorkload {
  /** Who says it. */
  readonly host_id: string;
  readonly workload_id: string;
  readonly state: string;
  readonly message: string;
  readonly local_id: number;
  readonly policy_enabled: string;
  readonly policy_entries: number;
  readonly identity: number;
}

/**
 * States as hosts told them; only of workloads that are theirs. A host tells all of its workloads each time, and of
 * nearly all what is known: those are not written.
 */
export const saveWorkloadStatuses = async (
  db: Database<Tables>,
  statuses: readonly StatusOfWorkload[],
): Promise<void> => {
  if (statuses.length === 0) return;
  await withTransaction(db, async (trx) => {
    const { rows } = await sql<{ workload_id: string }>`
    insert into workload_status as k
      (workload_id, state, message, local_id, policy_enabled, policy_entries, identity)
    select s.workload_id, s.state, s.message, s.local_id, s.policy_enabled, s.policy_entries, s.identity
    from jsonb_to_recordset(${JSON.stringify(statuses)}::jsonb)
      as s (host_id text, workload_id text, state text, message text, local_id integer, policy_enabled text,
            policy_entries integer, identity integer)
    join workloads w on w.id = s.workload_id and w.host_id = s.host_id
    left join workload_status o on o.workload_id = s.workload_id
    where (o.state, o.message, o.local_id, o.policy_enabled, o.policy_entries, o.identity) is distinct from
      (s.state, s.message, s.local_id, s.policy_enabled, s.policy_entries, s.identity)
    order by s.workload_id
    on conflict (workload_id) do update set
      state = excluded.state, message = excluded.message, local_id = excluded.local_id,
      policy_enabled = excluded.policy_enabled, policy_entries = excluded.policy_entries,
      identity = excluded.identity, seen_at = now()
    returning workload_id`.execute(trx);
    await noteChanges(
      trx,
      rows.map(({ workload_id: key }) => ({ kind: 'workload', key, what: 'status' })),
    );
  });
};
