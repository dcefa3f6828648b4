// SPDX-License-Identifier: Apache-2.0
/** Rules of all versions, by number and by document. */
import { type Kysely, sql, type Transaction } from 'kysely';
import type { RuleRow } from './policies.ts';
import type { Tables } from './tables.ts';

export interface RuleWithVersion extends RuleRow {
  readonly revision: bigint;
  readonly current: boolean;
  /** When its version was applied. */
  readonly made_at: Date;
}

export const takeRuleIds = async (trx: Transaction<Tables>, count: number): Promise<number[]> => {
  const { rows } = await sql<{ id: bigint }>`
    select nextval('rule_ids') as id from generate_series(1, ${count}::integer)`.execute(trx);
  return rows.map(({ id }) => Number(id));
};

const withVersion = (db: Kysely<Tables>) =>
  db
    .selectFrom('rules as u')
    .innerJoin('policy_revisions as r', (join) =>
      join.onRef('r.key', '=', 'u.key').onRef('r.policy_revision', '=', 'u.policy_revision'),
    )
    .leftJoin('policies as p', (join) =>
      join.onRef('p.key', '=', 'u.key').onRef('p.policy_revision', '=', 'u.policy_revision'),
    )
    .selectAll('u')
    .select(['r.revision', 'r.made_at', sql<boolean>`p.key is not null`.as('current')]);

export const findRules = (db: Kysely<Tables>, ids: readonly number[]): Promise<RuleWithVersion[]> =>
  withVersion(db).where(sql<boolean>`u.id = any (${ids}::integer[])`).orderBy('u.id').execute();

export interface RuleFilter {
  /** Key of their document. */
  readonly policy?: string;
  readonly kind?: string;
  readonly namespace?: string;
}

export interface RulePlace {
  readonly key: string;
  readonly policyRevision: bigint;
  readonly path: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

/** Rows in one statement, as in saveVersions. */
const CHUNK = 500;

/** Says anew where rules of versions that exist are written. */
export const placeRules = async (trx: Transaction<Tables>, places: readonly RulePlace[]): Promise<void> => {
  for (let at = 0; at < places.length; at += CHUNK) {
    const part = places.slice(at, at + CHUNK);
    await sql`
      update rules u set file = w.file, line_number = w.line, column_number = w.col
      from unnest(
        ${part.map(({ key }) => key)}::text[],
        ${part.map(({ policyRevision }) => policyRevision.toString())}::bigint[],
        ${part.map(({ path }) => path)}::text[],
        ${part.map(({ file }) => file)}::text[],
        ${part.map(({ line }) => line)}::integer[],
        ${part.map(({ column }) => column)}::integer[]
      ) as w (key, policy_revision, path, file, line, col)
      where u.key = w.key and u.policy_revision = w.policy_revision and u.path = w.path
        and (u.file, u.line_number, u.column_number) is distinct from (w.file, w.line, w.col)`.execute(trx);
  }
};

/** Those in force, from behind number `after` on. */
export const listRules = (
  db: Kysely<Tables>,
  { policy, kind, namespace }: RuleFilter,
  after: number,
  limit: number,
): Promise<RuleWithVersion[]> => {
  let query = withVersion(db).where('p.key', 'is not', null).where('u.id', '>', after);
  if (policy !== undefined) query = query.where('p.key', '=', policy);
  if (kind !== undefined) query = query.where('p.kind', '=', kind);
  if (namespace !== undefined) query = query.where('p.namespace', '=', namespace);
  return query.orderBy('u.id').limit(limit).execute();
};

/** Rules of versions, each list in the order of the document. */
export const rulesOf = async (
  db: Kysely<Tables>,
  versions: readonly { readonly key: string; readonly policy_revision: bigint }[],
): Promise<Map<string, RuleRow[]>> => {
  const rules = new Map<string, RuleRow[]>(versions.map(({ key }) => [key, []]));
  if (versions.length === 0) return rules;
  const rows = await sql<RuleRow>`
    select u.* from rules u
    join unnest(
      ${versions.map(({ key }) => key)}::text[],
      ${versions.map(({ policy_revision: version }) => version.toString())}::bigint[]
    ) as wanted (key, policy_revision) using (key, policy_revision)
    order by u.id`.execute(db);
  for (const row of rows.rows) rules.get(row.key)?.push(row);
  return rules;
};
