// SPDX-License-Identifier: Apache-2.0
/** Pools of addresses: made, changed and removed without stranding an address that somebody has. */
import { enqueueConfig, noteChanges, type OutboxDocument } from '@weir/bus/publishing';
import { withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { Cursors, type Page, requireMatch, requireNoneMatch } from '@weir/http';
import { type Cidr, cidrContains, formatIp, lastAddress, parseCidr } from '@weir/net';
import { sql, type Transaction } from 'kysely';
import { Type } from 'typebox';
import { hostDocument } from '../domain/documents.ts';
import { checkName } from '../domain/names.ts';
import { checkPool, DEFAULT_POOL, type PoolSpec } from '../domain/pools.ts';
import { lockHost } from '../store/addresses.ts';
import { giveBack, lockBlocks, poolsOfHost } from '../store/blocks.ts';
import { type HostRow, lockUnderlay, saveHostRevision } from '../store/hosts.ts';
import { lbPoolTouching } from '../store/lb-pools.ts';
import { getPool, listPools, lockPool, type PoolRow, type PoolWithUse, poolTouching } from '../store/pools.ts';
import type { Tables } from '../store/tables.ts';
import { notFound, type Operations } from './context.ts';
import { readNetwork } from './network.ts';
import type { Conditions } from './objects.ts';
import type { PageRequest } from './pages.ts';

const POOLS = new Cursors('pools', Type.String());

export const pageOfPools = async ({ db }: Operations, { limit, cursor }: PageRequest): Promise<Page<PoolWithUse>> => {
  const rows = await listPools(db.kysely, POOLS.decode(cursor) ?? '', limit + 1);
  return POOLS.page(
    rows,
    limit,
    (row) => row,
    ({ name }) => name,
  );
};

export const findPool = async ({ db }: Operations, name: string): Promise<PoolWithUse> => {
  const row = await getPool(db.kysely, name);
  if (row === undefined) throw notFound('pool', name);
  return row;
};

/** Documents of hosts whose blocks changed, with the hosts' new revisions; their rows are locked. */
export const republish = async (trx: Transaction<Tables>, hosts: readonly string[]): Promise<void> => {
  const documents: OutboxDocument[] = [];
  for (const id of hosts) {
    const row = (await lockHost(trx, id)) as HostRow | undefined;
    if (row) documents.push(hostDocument(row, await poolsOfHost(trx, id)));
  }
  if (documents.length === 0) return;
  const { revisions } = await enqueueConfig(trx, documents);
  for (const [i, { key }] of documents.entries()) await saveHostRevision(trx, key, revisions[i] as bigint);
};

const cidrsTouch = (a: Cidr, b: Cidr): boolean => cidrContains(a, b) || cidrContains(b, a);

const refuse = (field: string, value: string, why: string, fix: string) =>
  weirError('CONFLICT', `${field} ${value} ${why}`, { field, value, fix });

/** A CIDR that is new to the pool must be nobody's: no other pool's, no host's, no workload's own, none of NAT64. */
const admitCidr = async (trx: Transaction<Tables>, pool: string, field: string, cidr: string): Promise<void> => {
  const other = await poolTouching(trx, cidr, pool);
  if (other)
    throw refuse(field, cidr, `overlaps ${other.cidr} of pool ${other.pool}`, 'choose a range that no pool has');
  const { nat64 } = (await readNetwork(trx)).spec;
  if (nat64.prefix !== '' && cidrsTouch(parseCidr(nat64.prefix), parseCidr(cidr))) {
    const fix = 'choose another range, or another prefix with PUT /v1/network';
    throw refuse(field, cidr, `overlaps nat64.prefix ${nat64.prefix} of the network`, fix);
  }
  const { addr } = parseCidr(cidr);
  const services = await lbPoolTouching(trx, { start: formatIp(addr), stop: formatIp(lastAddress(parseCidr(cidr))) });
  if (services) {
    const why = `overlaps ${services.start}-${services.stop} of pool ${services.pool}, which belongs to services`;
    throw refuse(field, cidr, why, 'choose a range that no pool has');
  }
  const { rows } = await sql<{ whose: string; address: string }>`
    select 'host ' || id as whose, host(underlay_ip4) as address from hosts where underlay_ip4 <<= ${cidr}::inet
    union all select 'host ' || id, host(underlay_ip6) from hosts where underlay_ip6 <<= ${cidr}::inet
    union all select 'workload ' || w.id, host(a.address)
      from workloads w cross join lateral (values (w.ip4), (w.ip6)) a (address)
      where a.address <<= ${cidr}::inet
        and not exists (select 1 from blocks b where b.cidr::inet >>= a.address)
    limit 1`.execute(trx);
  const [found] = rows;
  if (found) {
    const fix = 'choose a range without it: addresses of pools belong to workloads that got them from there';
    throw refuse(field, cidr, `contains ${found.address}, the address of ${found.whose}`, fix);
  }
};

/** CIDRs that leave the pool: their blocks are taken from hosts, unless somebody has an address of them. */
const withdraw = async (trx: Transaction<Tables>, pool: PoolRow, gone: readonly string[]): Promise<string[]> => {
  if (gone.length === 0) return [];
  const held = () => trx.selectFrom('blocks').select(['cidr', 'host_id', 'used']).where('base', 'in', gone).execute();
  for (const id of [...new Set((await held()).map(({ host_id }) => host_id))].sort()) if (id) await lockHost(trx, id);
  await lockBlocks(trx);
  const blocks = await held();
  const used = blocks.find((block) => block.used > 0);
  if (used) {
    throw refuse(
      'cidrs',
      pool.cidrs.join(','),
      `must keep what is in use: host ${used.host_id} has ${used.used} workloads in ${used.cidr}`,
      'delete or move those workloads first, or leave the CIDR in the pool',
    );
  }
  const hosts = [...new Set(blocks.flatMap(({ host_id }) => host_id ?? []))].sort();
  for (const id of hosts)
    await giveBack(
      trx,
      id,
      blocks.filter((block) => block.host_id === id).map(({ cidr }) => cidr),
    );
  await trx.deleteFrom('blocks').where('base', 'in', gone).execute();
  await trx.deleteFrom('pool_cidrs').where('cidr', 'in', gone).execute();
  return hosts;
};

/** Blocks of one CIDR have one size: a change would cut through those that hosts have. */
const checkSizes = async (trx: Transaction<Tables>, row: PoolRow, spec: PoolSpec): Promise<void> => {
  for (const [field, family] of [
    ['block_bits4', 4],
    ['block_bits6', 6],
  ] as const) {
    if (row[field] === spec[field]) continue;
    const block = await trx
      .selectFrom('blocks')
      .select(['cidr', 'host_id'])
      .where('pool', '=', row.name)
      .where(sql<boolean>`family(cidr) = ${family}`)
      .limit(1)
      .executeTakeFirst();
    if (!block) continue;
    throw weirError(
      'CONFLICT',
      `${field} stays ${row[field]}: ${block.cidr} is ${block.host_id ? `host ${block.host_id}'s` : 'at rest'}`,
      {
        field,
        value: spec[field],
        fix: 'make another pool with blocks of that size',
      },
    );
  }
};

export const putPool = (
  { db }: Operations,
  name: string,
  given: PoolSpec,
  { ifMatch, ifNoneMatch }: Conditions,
): Promise<PoolWithUse> => {
  checkName('name', name);
  const spec = checkPool(given);
  return withTransaction(db, async (trx) => {
    await lockUnderlay(trx);
    const row = await lockPool(trx, name, 'update');
    requireMatch(ifMatch, row?.revision);
    requireNoneMatch(ifNoneMatch, row?.revision);
    const { block_bits4, block_bits6 } = spec;
    if (row) {
      const hosts = await withdraw(
        trx,
        row,
        row.cidrs.filter((cidr) => !spec.cidrs.includes(cidr)),
      );
      await checkSizes(trx, row, spec);
      await republish(trx, hosts);
    } else await trx.insertInto('pools').values({ name, block_bits4, block_bits6 }).execute();
    // Whoever gets an address of his own outside the pools has it now, or finds this pool.
    await lockBlocks(trx);
    for (const [i, cidr] of spec.cidrs.entries()) {
      if (row?.cidrs.includes(cidr)) continue;
      await admitCidr(trx, name, `cidrs[${i}]`, cidr);
      await trx.insertInto('pool_cidrs').values({ cidr, pool: name }).execute();
    }
    const revision = (row?.revision ?? 0n) + 1n;
    await trx.updateTable('pools').set({ block_bits4, block_bits6, revision }).where('name', '=', name).execute();
    await noteChanges(trx, [{ kind: 'pool', key: name, what: 'written' }]);
    return (await getPool(trx, name)) as PoolWithUse;
  });
};

export const deletePool = ({ db }: Operations, name: string, ifMatch: string | undefined): Promise<void> =>
  withTransaction(db, async (trx) => {
    await lockUnderlay(trx);
    const row = await lockPool(trx, name, 'update');
    if (row === undefined) throw notFound('pool', name);
    requireMatch(ifMatch, row.revision);
    if (name === DEFAULT_POOL) throw refuse('name', name, 'always exists', 'change its CIDRs instead');
    const user = await trx.selectFrom('workloads').select('id').where('pool', '=', name).limit(1).executeTakeFirst();
    if (user)
      throw refuse('name', name, `is in use, by workload ${user.id} among others`, 'delete its workloads first');
    const hosts = await withdraw(trx, row, row.cidrs);
    await republish(trx, hosts);
    await trx.deleteFrom('pools').where('name', '=', name).execute();
    await noteChanges(trx, [{ kind: 'pool', key: name, what: 'removed' }]);
  });
