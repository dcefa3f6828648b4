// SPDX-License-Identifier: Apache-2.0
/** When a revision passed each station. Kept for the newest revisions; all of it is for people who look. */
import { type Kysely, type Selectable, sql } from 'kysely';
import type { Tables } from './tables.ts';

export type RevisionStages = Selectable<Tables['revision_stages']>;
export type HostStages = Selectable<Tables['host_stages']>;

/** With a thousand hosts half a million rows of host_stages. */
const KEPT = 500;

/** In the transaction that makes the revisions. */
export const saveReceived = async (
  db: Kysely<Tables>,
  revisions: readonly bigint[],
  { traceId, receivedUs }: { readonly traceId: string | null; readonly receivedUs: number },
): Promise<void> => {
  if (revisions.length === 0) return;
  await sql`insert into revision_stages (revision, trace_id, received_us)
    select revision, ${traceId}, ${receivedUs} from unnest(${revisions.map(String)}::bigint[]) as revision`.execute(db);
};

export const saveCommitted = async (
  db: Kysely<Tables>,
  revisions: readonly bigint[],
  committedUs: number,
): Promise<void> => {
  if (revisions.length === 0) return;
  await sql`update revision_stages set committed_us = ${committedUs}
    where revision = any (${revisions.map(String)}::bigint[])`.execute(db);
};

/** Also forgets what is old, with what hosts told of it. */
export const savePublished = async (
  db: Kysely<Tables>,
  published: readonly { readonly revision: bigint; readonly atUs: number }[],
): Promise<void> => {
  if (published.length === 0) return;
  await sql`update revision_stages s set published_us = p.at_us
    from unnest(${published.map(({ revision }) => String(revision))}::bigint[], ${published.map(({ atUs }) => atUs)}::bigint[])
      as p (revision, at_us)
    where s.revision = p.revision`.execute(db);
  // They leave in the order of their revisions.
  const newest = published.at(-1)?.revision ?? 0n;
  await db
    .deleteFrom('revision_stages')
    .where('revision', '<=', newest - BigInt(KEPT))
    .execute();
};

/**
 * What was not known yet, of revisions that there are; a host tells the same several times, and the first time counts.
 * Returns those.
 */
export const saveHostStages = async (db: Kysely<Tables>, stages: readonly HostStages[]): Promise<HostStages[]> => {
  if (stages.length === 0) return [];
  const column = (name: keyof Omit<HostStages, 'host'>) => sql`${stages.map((stage) => String(stage[name]))}::bigint[]`;
  const { rows } = await sql<HostStages>`
    insert into host_stages
      (revision, host, received_us, started_us, compiled_us, written_us, acknowledged_us)
    select told.* from unnest(${column('revision')}, ${stages.map(({ host }) => host)}::text[], ${column('received_us')},
        ${column('started_us')}, ${column('compiled_us')}, ${column('written_us')}, ${column('acknowledged_us')})
      as told (revision, host, received_us, started_us, compiled_us, written_us, acknowledged_us)
      join revision_stages using (revision)
    on conflict (revision, host) do nothing
    returning *`.execute(db);
  return rows;
};

export const readStages = async (
  db: Kysely<Tables>,
  revision: bigint,
): Promise<{ revision: RevisionStages; hosts: HostStages[] } | undefined> => {
  const found = await db.selectFrom('revision_stages').selectAll().where('revision', '=', revision).executeTakeFirst();
  if (found === undefined) return undefined;
  const hosts = await db
    .selectFrom('host_stages')
    .selectAll()
    .where('revision', '=', revision)
    .orderBy('host')
    .execute();
  return { revision: found, hosts };
};
