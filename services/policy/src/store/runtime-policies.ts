// SPDX-License-Identifier: Apache-2.0
/** Runtime policies in force and their versions. Writers hold the lock of all documents (policies.ts). */
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Tables } from './tables.ts';

export interface RuntimePolicyRow {
  readonly key: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly policy_revision: bigint;
  readonly revision: bigint;
  readonly document: Tables['runtime_policy_revisions']['document']['__select__'];
  readonly created_at: Date;
  readonly updated_at: Date;
}

const inForce = (db: Kysely<Tables>) =>
  db
    .selectFrom('runtime_policies as p')
    .innerJoin('runtime_policy_revisions as r', (join) =>
      join.onRef('r.key', '=', 'p.key').onRef('r.policy_revision', '=', 'p.policy_revision'),
    )
    .select([
      'p.key',
      'p.kind',
      'p.namespace',
      'p.name',
      'p.policy_revision',
      'p.created_at',
      'r.revision',
      'r.document',
      'r.made_at as updated_at',
    ]);

export const findRuntimePolicies = (db: Kysely<Tables>, keys: readonly string[]): Promise<RuntimePolicyRow[]> =>
  keys.length === 0 ? Promise.resolve([]) : inForce(db).where(sql<boolean>`p.key = any (${keys})`).execute();

export const listRuntimePolicies = (db: Kysely<Tables>, after: string, limit: number): Promise<RuntimePolicyRow[]> =>
  inForce(db).where('p.key', '>', after).orderBy('p.key').limit(limit).execute();

/** A former version, or the one in force. Removals are no versions to show. */
export const findRuntimeVersion = async (
  db: Kysely<Tables>,
  key: string,
  policyRevision: bigint,
): Promise<RuntimePolicyRow | undefined> => {
  const row = await db
    .selectFrom('runtime_policy_revisions')
    .selectAll()
    .where('key', '=', key)
    .where('policy_revision', '=', policyRevision)
    .where('document', 'is not', null)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const [kind = '', namespace = '', name = ''] = key.split('/');
  const { made_at: madeAt } = row;
  return { ...row, kind, namespace, name, created_at: madeAt, updated_at: madeAt };
};

/** Versions there were of each key, removals counted. */
export const lastRuntimeVersions = async (
  db: Kysely<Tables>,
  keys: readonly string[],
): Promise<Map<string, bigint>> => {
  const rows = await db
    .selectFrom('runtime_policy_revisions')
    .select(['key', ({ fn }) => fn.max('policy_revision').as('last')])
    .where(sql<boolean>`key = any (${keys})`)
    .groupBy('key')
    .execute();
  return new Map(rows.map(({ key, last }) => [key, BigInt(last)]));
};

export interface NewRuntimeVersion {
  readonly key: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly policyRevision: bigint;
  readonly revision: bigint;
  /** Null: removed. */
  readonly document: unknown;
}

export const saveRuntimeVersion = async (trx: Transaction<Tables>, version: NewRuntimeVersion): Promise<void> => {
  const { key, kind, namespace, name, policyRevision, revision, document } = version;
  const text = document === null ? null : JSON.stringify(document);
  await trx
    .insertInto('runtime_policy_revisions')
    .values({ key, policy_revision: policyRevision, revision, document: text })
    .execute();
  if (document === null) {
    await trx.deleteFrom('runtime_policies').where('key', '=', key).execute();
    return;
  }
  await trx
    .insertInto('runtime_policies')
    .values({ key, kind, namespace, name, policy_revision: policyRevision })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ policy_revision: policyRevision }))
    .execute();
};
