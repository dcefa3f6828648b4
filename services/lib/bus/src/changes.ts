// SPDX-License-Identifier: Apache-2.0
/**
 * The log of changes: every object that was written or removed, in the transaction that did it, and every object whose
 * status changed. Whoever has a position can go on behind it, whichever replica he asks and however often it restarted.
 */
import { sql } from 'kysely';
import type { Executor } from './outbox.ts';

export interface Change {
  /** As the API calls it: host, workload, policy ... */
  readonly kind: string;
  readonly key: string;
  /** status: what is reported of the object, not the object itself. */
  readonly what: 'written' | 'removed' | 'status';
  readonly revision?: bigint;
}

export const changesChannel = (schema: string): string => `changes_${schema}`;

/** Positions that are kept; whoever is further behind reads the lists again. */
export const CHANGES_KEPT = 100_000;
/** Positions from one removal of old ones to the next. */
const PRUNE_EVERY = 1_000n;

/**
 * Notes changes. Call it last in the transaction, after enqueueConfig: writers wait for one another from here on, and
 * everybody takes the locks of objects, of the outbox and of this log in that order.
 */
export const noteChanges = async (trx: Executor, changes: readonly Change[]): Promise<void> => {
  if (changes.length === 0) return;
  // One statement: others wait for as long as this transaction holds the head.
  const { rows } = await sql<{ position: string | bigint }>`
    with head as (
      update change_head set position = position + ${changes.length} returning position
    ), noted as (
      insert into changes (position, kind, key, what, revision)
      select head.position - ${changes.length} + c.number, c.kind, c.key, c.what, c.revision
      from head, unnest(
        ${changes.map(({ kind }) => kind)}::text[],
        ${changes.map(({ key }) => key)}::text[],
        ${changes.map(({ what }) => what)}::text[],
        ${changes.map(({ revision }) => revision?.toString() ?? null)}::bigint[])
        with ordinality as c (kind, key, what, revision, number)
      on conflict (kind, key) where what = 'status' do update
        set position = excluded.position, revision = excluded.revision, made_at = excluded.made_at
    )
    select position, pg_notify(${changesChannel('')}::text || current_schema(), '') from head`.execute(trx);
  const row = rows[0];
  if (row === undefined) throw new Error('change_head is empty: its migration did not run');
  const last = BigInt(row.position);
  if (last / PRUNE_EVERY === (last - BigInt(changes.length)) / PRUNE_EVERY) return;
  await sql`delete from changes where position <= ${String(last - BigInt(CHANGES_KEPT))}::bigint`.execute(trx);
};
