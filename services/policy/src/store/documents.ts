// SPDX-License-Identifier: Apache-2.0
/** Documents of any sort: those in force and every version there was. Each sort has two tables alike. */
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Tables } from './tables.ts';

type Current = 'policies' | 'runtime_policies';
interface VersionsOf {
  policies: 'policy_revisions';
  runtime_policies: 'runtime_policy_revisions';
}

export interface DocumentRow<C extends Current> {
  readonly key: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly policy_revision: bigint;
  readonly revision: bigint;
  readonly document: Tables[VersionsOf[C]]['document']['__select__'];
  readonly created_at: Date;
  readonly updated_at: Date;
}

export interface DocumentFilter {
  readonly kind?: string;
  readonly namespace?: string;
}

export const documentsOf = <C extends Current>(current: C, versions: VersionsOf[C]) => {
  type Row = DocumentRow<C>;

  const inForce = async (db: Kysely<Tables>, where: RawBuilder<boolean>, limit: number | null): Promise<Row[]> => {
    const { rows } = await sql<Row>`
      select p.key, p.kind, p.namespace, p.name, p.policy_revision, p.created_at, r.revision, r.document, r.made_at as updated_at
      from ${sql.table(current)} p join ${sql.table(versions)} r using (key, policy_revision)
      where ${where} order by p.key limit ${limit}`.execute(db);
    return rows;
  };

  const ofVersions = (db: Kysely<Tables>) => db.selectFrom(db.dynamic.table<VersionsOf[Current]>(versions).as('r'));

  return {
    find: async (db: Kysely<Tables>, keys: readonly string[]): Promise<Row[]> =>
      keys.length === 0 ? [] : inForce(db, sql<boolean>`p.key = any (${keys})`, null),

    /** By key, those behind `after`. */
    list: (db: Kysely<Tables>, { kind, namespace }: DocumentFilter, after: string, limit: number): Promise<Row[]> => {
      const terms = [sql<boolean>`p.key > ${after}`];
      if (kind !== undefined) terms.push(sql<boolean>`p.kind = ${kind}`);
      if (namespace !== undefined) terms.push(sql<boolean>`p.namespace = ${namespace}`);
      return inForce(db, sql<boolean>`${sql.join(terms, sql` and `)}`, limit);
    },

    /** A former version, or the one in force. Removals are no versions to show. */
    findVersion: async (db: Kysely<Tables>, key: string, policyRevision: bigint): Promise<Row | undefined> => {
      const row = await ofVersions(db)
        .select(['r.key', 'r.policy_revision', 'r.revision', 'r.document', 'r.made_at'])
        .where('r.key', '=', key)
        .where('r.policy_revision', '=', policyRevision)
        .where('r.document', 'is not', null)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const [kind = '', namespace = '', name = ''] = key.split('/');
      const { made_at: madeAt, ...facts } = row;
      return { ...facts, kind, namespace, name, created_at: madeAt, updated_at: madeAt } as Row;
    },

    /** Versions there were of each key, removals counted. */
    lastVersions: async (db: Kysely<Tables>, keys: readonly string[]): Promise<Map<string, bigint>> => {
      const rows = await ofVersions(db)
        .select(['r.key', ({ fn }) => fn.max('r.policy_revision').as('last')])
        .where(sql<boolean>`r.key = any (${keys})`)
        .groupBy('r.key')
        .execute();
      return new Map(rows.map(({ key, last }) => [key, BigInt(last)]));
    },
  };
};
