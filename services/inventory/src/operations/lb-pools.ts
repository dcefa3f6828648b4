// SPDX-License-Identifier: Apache-2.0
/** Pools of addresses that services get: made, changed and removed without taking an address from a service that has it. */
import { noteChanges } from '@weir/bus/publishing';
import { withTransaction } from '@weir/db';
import { type WeirError, weirError } from '@weir/errors';
import { Cursors, type Page, requireMatch, requireNoneMatch } from '@weir/http';
import { compareIp, ipFamily, lastAddress, parseCidr, parseIp } from '@weir/net';
import { sql, type Transaction } from 'kysely';
import { Type } from 'typebox';
import { checkLbPool, type LbPoolPut, type Range } from '../domain/lb-pools.ts';
import { checkName } from '../domain/names.ts';
import { lockBlocks } from '../store/blocks.ts';
import { lockUnderlay } from '../store/hosts.ts';
import { getLbPool, type LbPoolRow, lbPoolTouching, listLbPools, lockLb } from '../store/lb-pools.ts';
import type { Tables } from '../store/tables.ts';
import { notFound, type Operations } from './context.ts';
import { readNetwork } from './network.ts';
import type { Conditions } from './objects.ts';
import type { PageRequest } from './pages.ts';
import { assignPending } from './services.ts';

const NOUN = 'lb-pool';
const CURSORS = new Cursors('lb-pools', Type.String());

const refuse = (field: string, value: string, why: string, fix: string): WeirError =>
  weirError('CONFLICT', `${field} ${value} ${why}`, { field, value, fix });

const familyOf = (address: string): number => ipFamily(parseIp(address));

const contains = ({ start, stop }: Range, address: string): boolean =>
  familyOf(start) === familyOf(address) &&
  compareIp(parseIp(start), parseIp(address)) <= 0 &&
  compareIp(parseIp(address), parseIp(stop)) <= 0;

const touches = ({ start, stop }: Range, prefix: string): boolean => {
  const cidr = parseCidr(prefix);
  if (cidr.family !== familyOf(start)) return false;
  return compareIp(cidr.addr, parseIp(stop)) <= 0 && compareIp(parseIp(start), lastAddress(cidr)) <= 0;
};

/** A range is nobody else's: no other pool's, no workloads', no host's. */
const admit = async (
  trx: Transaction<Tables>,
  pool: string,
  at: string,
  range: Range,
  control: readonly string[],
): Promise<void> => {
  const { start, stop } = range;
  const value = `${start}-${stop}`;
  const other = await lbPoolTouching(trx, range, pool);
  const fix = 'choose a range that no pool, host or workload has';
  if (other) throw refuse(at, value, `overlaps ${other.start}-${other.stop} of pool ${other.pool}`, fix);
  const inside = control.find((address) => contains(range, address));
  if (inside) throw refuse(at, value, `contains ${inside}, an address of the control plane`, fix);
  const { prefix } = (await readNetwork(trx)).spec.nat64;
  if (prefix !== '' && touches(range, prefix)) {
    throw refuse(at, value, `overlaps nat64.prefix ${prefix} of the network`, fix);
  }
  const { rows } = await sql<{ whose: string }>`
    select 'overlaps ' || cidr::text || ' of pool ' || pool || ', which belongs to workloads' as whose from pool_cidrs
      where family(cidr) = family(${start}::inet) and set_masklen(cidr::inet, case family(cidr) when 4 then 32 else 128 end) <= ${stop}::inet
        and host(broadcast(cidr::inet))::inet >= ${start}::inet
    union all select 'contains ' || host(a.address) || ', the address of host ' || h.id
      from hosts h cross join lateral (values (h.underlay_ip4), (h.underlay_ip6)) a (address)
      where a.address between ${start}::inet and ${stop}::inet
    union all select 'contains ' || host(a.address) || ', the address of workload ' || w.id
      from workloads w cross join lateral (values (w.ip4), (w.ip6)) a (address)
      where a.address between ${start}::inet and ${stop}::inet
    union all select 'contains ' || host(f.address) || ', which service ' || f.service_id || ' has without a pool'
      from service_frontends f
      where f.address between ${start}::inet and ${stop}::inet and f.pool is null and f.type in ('load-balancer', 'cluster-ip')
    limit 1`.execute(trx);
  const [found] = rows;
  if (found) throw refuse(at, value, found.whose, fix);
};

/** An address that a service has stays in the pool. */
const checkUsed = async (trx: Transaction<Tables>, pool: string, ranges: readonly Range[]): Promise<void> => {
  const { rows } = await sql<{ address: string; service_id: string }>`
    select host(f.address) as address, f.service_id from service_frontends f
    where f.pool = ${pool} and not exists (
      select 1 from unnest(${ranges.map(({ start }) => start)}::inet[], ${ranges.map(({ stop }) => stop)}::inet[]) as r (start, stop)
      where f.address between r.start and r.stop)
    order by f.address limit 1`.execute(trx);
  const [user] = rows;
  if (user === undefined) return;
  const fix = 'keep the address in a block, or take it from the service first';
  throw refuse('blocks', user.address, `must stay: service ${user.service_id} has it`, fix);
};

export const putLbPool = async (
  { db, controlAddresses }: Operations,
  name: string,
  given: LbPoolPut,
  { ifMatch, ifNoneMatch }: Conditions,
): Promise<LbPoolRow> => {
  checkName('name', name);
  const { spec, ranges } = checkLbPool(given);
  const control = await controlAddresses();
  await withTransaction(db, async (trx) => {
    await lockUnderlay(trx);
    await lockBlocks(trx);
    await lockLb(trx);
    const row = await getLbPool(trx, name);
    requireMatch(ifMatch, row?.revision);
    requireNoneMatch(ifNoneMatch, row?.revision);
    if (row && row.used > 0 && row.spec.frontend_type !== spec.frontend_type) {
      const fix = 'make another pool for the other type';
      throw refuse('frontend_type', spec.frontend_type, `can't be: services have ${row.used} addresses of it`, fix);
    }
    if (row) await checkUsed(trx, name, ranges);
    for (const [i, range] of ranges.entries()) await admit(trx, name, `blocks[${i}]`, range, control);
    const values = { spec: JSON.stringify(spec) };
    if (row === undefined)
      await trx
        .insertInto('lb_pools')
        .values({ name, ...values })
        .execute();
    else {
      await trx
        .updateTable('lb_pools')
        .set({ ...values, revision: row.revision + 1n })
        .where('name', '=', name)
        .execute();
    }
    await trx.deleteFrom('lb_blocks').where('pool', '=', name).execute();
    await trx
      .insertInto('lb_blocks')
      .values(ranges.map((range) => ({ pool: name, ...range })))
      .execute();
    await noteChanges(trx, [{ kind: 'lbPool', key: name, what: 'written' }]);
  });
  await assignPending(db);
  return (await getLbPool(db.kysely, name)) as LbPoolRow;
};

export const deleteLbPool = ({ db }: Operations, name: string, ifMatch: string | undefined): Promise<void> =>
  withTransaction(db, async (trx) => {
    await lockLb(trx);
    const row = await getLbPool(trx, name);
    if (row === undefined) throw notFound(NOUN, name);
    requireMatch(ifMatch, row.revision);
    if (row.used > 0) {
      const user = await trx
        .selectFrom('service_frontends')
        .select('service_id')
        .where('pool', '=', name)
        .limit(1)
        .executeTakeFirst();
      const fix = 'delete those services first, or give them other addresses';
      throw refuse('name', name, `is in use, by service ${user?.service_id} among others`, fix);
    }
    await trx.deleteFrom('lb_pools').where('name', '=', name).execute();
    await noteChanges(trx, [{ kind: 'lbPool', key: name, what: 'removed' }]);
  });

export const findLbPool = async ({ db }: Operations, name: string): Promise<LbPoolRow> => {
  const row = await getLbPool(db.kysely, name);
  if (row === undefined) throw notFound(NOUN, name);
  return row;
};

export const pageOfLbPools = async ({ db }: Operations, { limit, cursor }: PageRequest): Promise<Page<LbPoolRow>> => {
  const rows = await listLbPools(db.kysely, CURSORS.decode(cursor) ?? '', limit + 1);
  return CURSORS.page(
    rows,
    limit,
    (row) => row,
    ({ name }) => name,
  );
};
