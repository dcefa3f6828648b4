// SPDX-License-Identifier: Apache-2.0
/** Documents in force and their versions. Writers hold one lock, so that what they have read stays true. */
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import { type DocumentRow, documentsOf } from './documents.ts';
import type { Tables } from './tables.ts';

export type RuleRow = Selectable<Tables['rules']>;

export type PolicyRow = DocumentRow<'policies'>;

/** Class of the advisory lock of all writers; the second key is the schema. */
const WRITE_LOCK = 0x0901;
/** Rows in one statement, which is made in one go: a thousand would hold up everybody else for a tenth of a second. */
const CHUNK = 100;

export const lockPolicies = async (trx: Transaction<Tables>): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${WRITE_LOCK}::integer, hashtext(current_schema()))`.execute(trx);
};

export const {
  find: findPolicies,
  list: listPolicies,
  findVersion,
  lastVersions,
} = documentsOf('policies', 'policy_revisions');

export interface VersionRow {
  readonly policy_revision: bigint;
  readonly revision: bigint;
  readonly removed: boolean;
  readonly made_at: Date;
  readonly author: string | null;
  readonly reason: string | null;
}

/** The newest first, removals too. */
export const listVersions = (
  db: Kysely<Tables>,
  key: string,
  before: bigint | undefined,
  limit: number,
): Promise<VersionRow[]> => {
  let query = db
    .selectFrom('policy_revisions')
    .select(['policy_revision', 'revision', 'made_at', 'author', 'reason'])
    .select(sql<boolean>`document is null`.as('removed'))
    .where('key', '=', key);
  if (before !== undefined) query = query.where('policy_revision', '<', before);
  return query.orderBy('policy_revision', 'desc').limit(limit).execute();
};

/** Who changes something and why, as they say. */
export interface Attribution {
  /** What becomes of established connections that the change refuses: cut (default), or they may end by themselves. */
  readonly established?: 'cut' | 'drain' | undefined;
  readonly author?: string | undefined;
  readonly reason?: string | undefined;
}

export interface NewVersion extends Attribution {
  readonly key: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly policyRevision: bigint;
  readonly revision: bigint;
  /** Null: removed. */
  readonly document: unknown;
  readonly rules: readonly Omit<RuleRow, 'key' | 'policy_revision'>[];
}

const chunks = <T>(items: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(items.length / CHUNK) }, (_, index) =>
    items.slice(index * CHUNK, (index + 1) * CHUNK),
  );

export const saveVersions = async (trx: Transaction<Tables>, versions: readonly NewVersion[]): Promise<void> => {
  for (const part of chunks(versions)) {
    await trx
      .insertInto('policy_revisions')
      .values(
        part.map(({ key, policyRevision, revision, document, author, reason }) => ({
          key,
          policy_revision: policyRevision,
          revision,
          document: document === null ? null : JSON.stringify(document),
          author: author || null,
          reason: reason || null,
        })),
      )
      .execute();
  }
  for (const part of chunks(versions.filter(({ document }) => document !== null))) {
    await trx
      .insertInto('policies')
      .values(
        part.map(({ key, kind, namespace, name, policyRevision }) => ({
          key,
          kind,
          namespace,
          name,
          policy_revision: policyRevision,
        })),
      )
      .onConflict((conflict) =>
        conflict.column('key').doUpdateSet({ policy_revision: (eb) => eb.ref('excluded.policy_revision') }),
      )
      .execute();
  }
  const removed = versions.flatMap(({ key, document }) => (document === null ? [key] : []));
  if (removed.length > 0) await trx.deleteFrom('policies').where(sql<boolean>`key = any (${removed})`).execute();
  const rules = versions.flatMap(({ key, policyRevision, rules: own }) =>
    own.map((rule) => ({ ...rule, key, policy_revision: policyRevision })),
  );
  for (const part of chunks(rules)) await trx.insertInto('rules').values(part).execute();
};
