// SPDX-License-Identifier: Apache-2.0
/** Pools with their CIDRs, and what is taken of them. */
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { Tables } from './tables.ts';

export type PoolRow = Selectable<Tables['pools']> & {
  /** IPv4 first, in order. */
  readonly cidrs: string[];
};

export interface PoolWithUse extends PoolRow {
  /** Held by hosts. */
  readonly blocks: number;
  /** Of them, given to workloads. */
  readonly addresses: number;
}

const cidrsOf = sql<string[]>`array(select c.cidr::text from pool_cidrs c where c.pool = pools.name order by c.cidr)`;

const withUse = (db: Kysely<Tables>) =>
  db
    .selectFrom('pools')
    .selectAll()
    .select(cidrsOf.as('cidrs'))
    .select(
      sql<number>`(select count(*)::int from blocks b where b.pool = pools.name and b.host_id is not null)`.as(
        'blocks',
      ),
    )
    .select(sql<number>`(select coalesce(sum(used), 0)::int from blocks b where b.pool = pools.name)`.as('addresses'));

export const listPools = (db: Kysely<Tables>, after: string, limit: number): Promise<PoolWithUse[]> =>
  withUse(db).where('name', '>', after).orderBy('name').limit(limit).execute();

export const getPool = (db: Kysely<Tables>, name: string): Promise<PoolWithUse | undefined> =>
  withUse(db).where('name', '=', name).executeTakeFirst();

/** `share`: its CIDRs stay as they are until the end of the transaction. */
export const lockPool = async (
  trx: Transaction<Tables>,
  name: string,
  mode: 'share' | 'update',
): Promise<PoolRow | undefined> => {
  const query = trx.selectFrom('pools').selectAll().where('name', '=', name);
  const row = await (mode === 'share' ? query.forShare() : query.forUpdate()).executeTakeFirst();
  if (row === undefined) return undefined;
  const { rows } = await sql<{
    cidr: string;
  }>`select cidr::text from pool_cidrs where pool = ${name} order by cidr`.execute(trx);
  return { ...row, cidrs: rows.map(({ cidr }) => cidr) };
};

export interface PoolCidr {
  readonly pool: string;
  readonly cidr: string;
}

/** The pool that an address or prefix touches, other than `except`. */
export const poolTouching = async (trx: Kysely<Tables>, prefix: string, except = ''): Promise<PoolCidr | undefined> => {
  const { rows } = await sql<PoolCidr>`
    select pool, cidr::text as cidr from pool_cidrs
    where cidr::inet && ${prefix}::inet and pool <> ${except} order by cidr limit 1`.execute(trx);
  return rows[0];
};
