// SPDX-License-Identifier: Apache-2.0
/**
 * What becomes of blocks over time. At the start: the pool `default` is made of the settings, and what hosts had before
 * there were pools is sorted into it, and hosts' documents of an earlier version learn of health endpoints. Later: blocks that stay empty are given back, and rest before they are anybody's.
 */
import { fromBinary } from '@bufbuild/protobuf';
import { configSubject } from '@weir/bus';
import { type Database, withTransaction } from '@weir/db';
import { cidrContains, parseCidr } from '@weir/net';
import { ConfigDocumentSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import { sql, type Transaction } from 'kysely';
import { blockBits, blockIndex, capacity, DEFAULT_POOL, keptAddress, type PoolSpec } from '../domain/pools.ts';
import { COOLDOWN_S, lockHost } from '../store/addresses.ts';
import { giveBack, lockBlocks } from '../store/blocks.ts';
import { lockPool } from '../store/pools.ts';
import type { Tables } from '../store/tables.ts';
import { republish } from './pools.ts';

/** Free addresses that a host keeps when a block is taken from it: as many as make it get another one, and some more. */
const KEEP_FREE = 16n;

/** Blocks that no CIDR of the pool holds become CIDRs of their own: their hosts keep them. */
const sortIn = async (trx: Transaction<Tables>, spec: PoolSpec): Promise<void> => {
  const bases = spec.cidrs.map((text) => parseCidr(text));
  const orphans = await trx.selectFrom('blocks').select('cidr').where('base', 'is', null).execute();
  for (const { cidr } of orphans) {
    const block = parseCidr(cidr);
    const base = bases.find((one) => cidrContains(one, block)) ?? block;
    if (base === block) await trx.insertInto('pool_cidrs').values({ cidr, pool: DEFAULT_POOL }).execute();
    const index = blockIndex(base, blockBits(spec, base.family), block.addr);
    await trx.updateTable('blocks').set({ base: base.text, index }).where('cidr', '=', cidr).execute();
  }
};

/** Once; from then on the pool is what the API made of it. Returns its CIDRs. */
export const ensureDefaultPool = (db: Database<Tables>, spec: PoolSpec): Promise<readonly string[]> =>
  withTransaction(db, async (trx) => {
    const row = await lockPool(trx, DEFAULT_POOL, 'update');
    if (row !== undefined && row.cidrs.length > 0) return row.cidrs;
    await lockBlocks(trx);
    for (const cidr of spec.cidrs) await trx.insertInto('pool_cidrs').values({ cidr, pool: DEFAULT_POOL }).execute();
    await sortIn(trx, spec);
    return spec.cidrs;
  });

/** Hosts written at once. */
const REFRESHED = 100;

/** Documents that an earlier version made do not name the health endpoint; how many were written again. */
export const nameHealthEndpoints = async (db: Database<Tables>): Promise<number> => {
  const hosts = await db.kysely.selectFrom('hosts').select('id').orderBy('id').execute();
  const { rows } = await sql<{ document: Buffer }>`
    select document from bus_document
    where subject = any(${hosts.map(({ id }) => configSubject('host', id))}::text[]) order by subject`.execute(
    db.kysely,
  );
  const unnamed = rows.flatMap(({ document }) => {
    const { body } = fromBinary(ConfigDocumentSchema, document);
    if (body.case !== 'host') return [];
    const { id, pools, healthIp4, healthIp6 } = body.value;
    return healthIp4 === keptAddress(pools, 4) && healthIp6 === keptAddress(pools, 6) ? [] : [id];
  });
  for (let at = 0; at < unnamed.length; at += REFRESHED) {
    await withTransaction(db, (trx) => republish(trx, unnamed.slice(at, at + REFRESHED)));
  }
  return unnamed.length;
};

const emptyFor = (graceS: number) => sql<boolean>`changed_at < now() - make_interval(secs => ${graceS})`;

/** Of one host: what is empty and not needed for its next workloads. Of the default pool it keeps one block at least. */
const reclaimOf = (db: Database<Tables>, host: string, graceS: number): Promise<number> =>
  withTransaction(db, async (trx) => {
    if (!(await lockHost(trx, host))) return 0;
    await lockBlocks(trx);
    const blocks = await trx
      .selectFrom('blocks')
      .select(['cidr', 'pool', 'used'])
      .select(sql<number>`family(cidr)`.as('family'))
      .select(sql<boolean>`used = 0 and ${emptyFor(graceS)}`.as('idle'))
      .where('host_id', '=', host)
      .orderBy('cidr')
      .execute();
    const gone: string[] = [];
    for (const block of blocks.filter(({ idle }) => idle).reverse()) {
      const others = blocks.filter(
        (one) => one !== block && one.pool === block.pool && one.family === block.family && !gone.includes(one.cidr),
      );
      const free = others.reduce((sum, one) => sum + capacity(parseCidr(one.cidr)) - BigInt(one.used), 0n);
      const unused = block.pool !== DEFAULT_POOL && others.every(({ used }) => used === 0);
      if (unused || free >= KEEP_FREE) gone.push(block.cidr);
    }
    if (gone.length === 0) return 0;
    await giveBack(trx, host, gone);
    await republish(trx, [host]);
    return gone.length;
  });

/** Blocks that hosts gave back, empty for `graceS`; how many. Those that have rested are forgotten. */
export const reclaimBlocks = async (db: Database<Tables>, graceS: number): Promise<number> => {
  await db.kysely.deleteFrom('blocks').where('host_id', 'is', null).where(emptyFor(COOLDOWN_S)).execute();
  const { rows } = await sql<{ host_id: string }>`
    select distinct host_id from blocks where host_id is not null and used = 0 and ${emptyFor(graceS)}
    order by host_id`.execute(db.kysely);
  let count = 0;
  for (const { host_id } of rows) count += await reclaimOf(db, host_id, graceS);
  return count;
};
