// SPDX-License-Identifier: Apache-2.0
/**
 * Pools of addresses that services get, and what is given of them. Whoever gives or takes such addresses holds lockLb() to
 * the end of his transaction, before he locks services: so no address is given twice, and none is found free that is not.
 */
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { LbPoolSpec, Range } from '../domain/lb-pools.ts';
import type { Tables } from './tables.ts';

export type LbPoolRow = Omit<Selectable<Tables['lb_pools']>, 'spec'> & {
  readonly spec: LbPoolSpec;
  readonly ranges: readonly Range[];
  /** Of its addresses, those that services have. */
  readonly used: number;
};

export const lockLb = async (trx: Transaction<Tables>): Promise<void> => {
  await sql`select pg_advisory_xact_lock(hashtextextended(current_schema() || ' lb_pools', 0))`.execute(trx);
};

const ranges = sql<
  Range[]
>`coalesce((select jsonb_agg(jsonb_build_object('start', host(b.start), 'stop', host(b.stop)) order by b.start)
  from lb_blocks b where b.pool = lb_pools.name), '[]'::jsonb)`;
const used = sql<number>`(select count(distinct f.address)::int from service_frontends f where f.pool = lb_pools.name)`;

export const listLbPools = (db: Kysely<Tables>, after: string, limit?: number): Promise<LbPoolRow[]> =>
  db
    .selectFrom('lb_pools')
    .selectAll()
    .select(ranges.as('ranges'))
    .select(used.as('used'))
    .where('name', '>', after)
    .orderBy('name')
    .$if(limit !== undefined, (query) => query.limit(limit as number))
    .execute() as unknown as Promise<LbPoolRow[]>;

export const getLbPool = (db: Kysely<Tables>, name: string): Promise<LbPoolRow | undefined> =>
  db
    .selectFrom('lb_pools')
    .selectAll()
    .select(ranges.as('ranges'))
    .select(used.as('used'))
    .where('name', '=', name)
    .executeTakeFirst() as unknown as Promise<LbPoolRow | undefined>;

export interface TouchedBlock extends Range {
  readonly pool: string;
}

/** The block of a pool of services that touches an address, a prefix or a range, other than those of `except`. */
export const lbPoolTouching = async (
  db: Kysely<Tables>,
  { start, stop }: Range,
  except = '',
): Promise<TouchedBlock | undefined> => {
  const { rows } = await sql<TouchedBlock>`
    select pool, host(start) as start, host(stop) as stop from lb_blocks
    where start <= ${stop}::inet and stop >= ${start}::inet and family(start) = family(${start}::inet) and pool <> ${except}
    order by start limit 1`.execute(db);
  return rows[0];
};

/**
 * The next free address of a range: behind the last that was given, so that addresses are not used again at once; when
 * there is none, the first gap. Addresses of hosts are nobody's.
 */
export const freeIn = async (trx: Transaction<Tables>, range: Range): Promise<string | undefined> => {
  const { rows } = await sql<{ address: string }>`
    with taken as (
      select address from service_frontends where address between ${range.start}::inet and ${range.stop}::inet
      union select underlay_ip4 from hosts where underlay_ip4 between ${range.start}::inet and ${range.stop}::inet
      union select underlay_ip6 from hosts where underlay_ip6 between ${range.start}::inet and ${range.stop}::inet
    ), candidate as (
      select ${range.start}::inet as address, false as last
      union all select address + 1, address = (select max(address) from taken) from taken where address < ${range.stop}::inet
    )
    select host(address) as address from candidate c
    where not exists (select 1 from taken t where t.address = c.address)
    order by last desc, address limit 1`.execute(trx);
  return rows[0]?.address;
};
