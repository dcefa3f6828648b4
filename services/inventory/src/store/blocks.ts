// SPDX-License-Identifier: Apache-2.0
/**
 * Blocks of pools and who holds them. Whoever takes or gives back one holds BLOCK_LOCK to the end of his transaction, so
 * that two hosts that join at once wait for each other; the table refuses blocks that overlap, whoever asks.
 */
import { type Cidr, cidrContainsIp, type Family, parseCidr, parseIp } from '@weir/net';
import { type Selectable, sql, type Transaction } from 'kysely';
import { blockAt, blockBits, blockCount, blockIndex } from '../domain/pools.ts';
import type { PoolRow } from './pools.ts';
import type { Tables } from './tables.ts';

export type BlockRow = Selectable<Tables['blocks']>;

const BLOCK_LOCK = 0xb10c;

export const lockBlocks = async (trx: Transaction<Tables>): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${sql.lit(BLOCK_LOCK)})`.execute(trx);
};

/** CIDRs of the blocks that a host holds, IPv4 first: its document names them. */
export const poolsOfHost = async (trx: Transaction<Tables>, hostId: string): Promise<string[]> => {
  const rows = await trx.selectFrom('blocks').select('cidr').where('host_id', '=', hostId).orderBy('cidr').execute();
  return rows.map(({ cidr }) => cidr);
};

export const blocksOf = (trx: Transaction<Tables>, hostId: string, pool: string, family: Family): Promise<BlockRow[]> =>
  trx
    .selectFrom('blocks')
    .selectAll()
    .where('host_id', '=', hostId)
    .where('pool', '=', pool)
    .where(sql<boolean>`family(cidr) = ${family}`)
    .orderBy('cidr')
    .execute();

const give = (trx: Transaction<Tables>, cidr: string, hostId: string): Promise<BlockRow> =>
  trx
    .updateTable('blocks')
    .set({ host_id: hostId, next: 0n, changed_at: sql<Date>`now()` })
    .where('cidr', '=', cidr)
    .returningAll()
    .executeTakeFirstOrThrow();

const insert = (
  trx: Transaction<Tables>,
  pool: PoolRow,
  base: Cidr,
  index: bigint,
  hostId: string,
): Promise<BlockRow> =>
  trx
    .insertInto('blocks')
    .values({
      cidr: blockAt(base, blockBits(pool, base.family), index),
      pool: pool.name,
      base: base.text,
      index,
      host_id: hostId,
    })
    .returningAll()
    .executeTakeFirstOrThrow();

/** The lowest block that nobody had lately, else the one that rests longest; undefined when hosts hold all of them. */
export const takeBlock = async (
  trx: Transaction<Tables>,
  hostId: string,
  pool: PoolRow,
  family: Family,
): Promise<BlockRow | undefined> => {
  await lockBlocks(trx);
  for (const base of pool.cidrs.map((text) => parseCidr(text)).filter((cidr) => cidr.family === family)) {
    const { rows } = await sql<{ index: bigint }>`
      select min(i) as index from (
        select 0::bigint as i union all select index + 1 from blocks where base = ${base.text}::cidr
      ) candidate where not exists (select 1 from blocks b where b.base = ${base.text}::cidr and b.index = candidate.i)`.execute(
      trx,
    );
    const index = BigInt(rows[0]?.index ?? 0);
    if (index < blockCount(base, blockBits(pool, family))) return insert(trx, pool, base, index, hostId);
  }
  const resting = await trx
    .selectFrom('blocks')
    .select('cidr')
    .where('pool', '=', pool.name)
    .where('host_id', 'is', null)
    .where(sql<boolean>`family(cidr) = ${family}`)
    .orderBy('changed_at')
    .limit(1)
    .executeTakeFirst();
  return resting && give(trx, resting.cidr, hostId);
};

/** The block around an address of the pool: this host's already, or taken for it now; else who holds it. */
export const takeBlockAround = async (
  trx: Transaction<Tables>,
  hostId: string,
  pool: PoolRow,
  address: string,
): Promise<{ readonly block: BlockRow; readonly fresh: boolean }> => {
  await lockBlocks(trx);
  const found = await trx
    .selectFrom('blocks')
    .selectAll()
    .where(sql<boolean>`cidr::inet >>= ${address}::inet`)
    .executeTakeFirst();
  if (found?.host_id === null) return { block: await give(trx, found.cidr, hostId), fresh: true };
  if (found !== undefined) return { block: found, fresh: false };
  const bytes = parseIp(address);
  const base = pool.cidrs.map((text) => parseCidr(text)).find((cidr) => cidrContainsIp(cidr, bytes)) as Cidr;
  const index = blockIndex(base, blockBits(pool, base.family), bytes);
  return { block: await insert(trx, pool, base, index, hostId), fresh: true };
};

/** They rest before somebody else gets them. */
export const giveBack = async (trx: Transaction<Tables>, hostId: string, cidrs?: readonly string[]): Promise<void> => {
  await trx
    .updateTable('blocks')
    .set({ host_id: null, used: 0, changed_at: sql<Date>`now()` })
    .where('host_id', '=', hostId)
    .$if(cidrs !== undefined, (query) => query.where('cidr', 'in', cidrs ?? []))
    .execute();
};
