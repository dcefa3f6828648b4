// SPDX-License-Identifier: Apache-2.0
/**
 * Identity numbers. The unique hash of the label set is what makes a number fleet-wide: whoever loses a race
 * finds the winner's row. Numbers are given in order and are not reused while the table holds them.
 */
import { weirError } from '@weir/errors';
import { type Kysely, sql, type Transaction } from 'kysely';
import { labelsHash } from '../domain/labels.ts';
import { FIRST_IDENTITY, LAST_IDENTITY } from '../domain/reserved.ts';
import type { Tables } from './tables.ts';

export interface IdentityView {
  readonly identity: number;
  readonly labels: string[];
  readonly workloads: number;
}

export interface Allocated {
  readonly identity: number;
  /** Nobody had these labels before: the number must be published. */
  readonly fresh: boolean;
}

/** Serialises the choice of a new number; held until the transaction ends. */
const IDENTITY_LOCK = 0x1de47;

export const allocateIdentity = async (trx: Transaction<Tables>, labels: readonly string[]): Promise<Allocated> => {
  const hash = labelsHash(labels);
  const find = () => trx.selectFrom('identities').select('identity').where('labels_hash', '=', hash).executeTakeFirst();
  const known = await find();
  if (known) return { identity: known.identity, fresh: false };
  await sql`select pg_advisory_xact_lock(${sql.lit(IDENTITY_LOCK)})`.execute(trx);
  const meanwhile = await find();
  if (meanwhile) return { identity: meanwhile.identity, fresh: false };
  const { rows } = await sql<{ identity: number | null }>`
    select coalesce(
      (select max(identity) + 1 from identities having max(identity) < ${LAST_IDENTITY}),
      (select min(n) from generate_series(${sql.lit(FIRST_IDENTITY)}, ${sql.lit(LAST_IDENTITY)}) n
        where not exists (select 1 from identities i where i.identity = n))
    ) as identity`.execute(trx);
  const identity = rows[0]?.identity ?? FIRST_IDENTITY;
  const taken = await trx
    .selectFrom('identities')
    .select('identity')
    .where('identity', '=', identity)
    .executeTakeFirst();
  if (taken) {
    throw weirError('CONFLICT', `all identities from ${FIRST_IDENTITY} to ${LAST_IDENTITY} are taken`, {
      field: 'labels',
      fix: 'use fewer different label sets: labels that no policy selects need not be on workloads',
    });
  }
  await trx
    .insertInto('identities')
    .values({ identity, labels: [...labels], labels_hash: hash })
    .execute();
  return { identity, fresh: true };
};

/** `labels`: all of them, with their source. */
export const listIdentities = (
  db: Kysely<Tables>,
  labels: readonly string[],
  after: number,
  limit: number,
): Promise<IdentityView[]> =>
  db
    .selectFrom('identities as i')
    .select(['i.identity', 'i.labels'])
    .select((eb) =>
      eb
        .selectFrom('workloads as w')
        .select(sql<number>`count(*)::int`.as('n'))
        .whereRef('w.identity', '=', 'i.identity')
        .$asScalar()
        .as('workloads'),
    )
    .where('i.identity', '>', after)
    .where(sql<boolean>`i.labels @> ${labels}::text[]`)
    .orderBy('i.identity')
    .limit(limit)
    .execute() as Promise<IdentityView[]>;

export const getIdentity = async (db: Kysely<Tables>, identity: number): Promise<IdentityView | undefined> =>
  (await listIdentities(db, [], identity - 1, 1)).find((row) => row.identity === identity);
