// SPDX-License-Identifier: Apache-2.0
/** Frontends in the store: who has an address, which node ports are free. */
import { sql, type Transaction } from 'kysely';
import type { ServiceSpec } from '../domain/services.ts';
import type { FrontendRow } from './services.ts';
import type { Tables } from './tables.ts';

/** A frontend of another service at the address that somebody asks for. */
export interface Neighbour {
  readonly service_id: string;
  readonly namespace: string;
  readonly type: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
  readonly scope: string;
  readonly pool: string | null;
  readonly spec: Pick<
    ServiceSpec,
    'sharing_key' | 'sharing_namespaces' | 'external_traffic_policy' | 'selector' | 'backends'
  >;
}

const NEIGHBOUR = sql`f.service_id, s.namespace, f.type, host(f.address) as address, f.port, f.protocol, f.scope, f.pool, s.spec`;

/** Frontends at `address`, of services other than `service`. */
export const neighboursAt = async (
  trx: Transaction<Tables>,
  address: string,
  service: string,
): Promise<readonly Neighbour[]> => {
  const { rows } = await sql<Neighbour>`
    select ${NEIGHBOUR} from service_frontends f join services s on s.id = f.service_id
    where f.address = ${address}::inet and f.service_id <> ${service} order by f.number`.execute(trx);
  return rows;
};

/** Addresses out of pools that services with this sharing key have for frontends of the type. */
export const sharedAddresses = async (
  trx: Transaction<Tables>,
  key: string,
  type: string,
  service: string,
): Promise<readonly string[]> => {
  const { rows } = await sql<{ address: string }>`
    select host(f.address) as address from service_frontends f join services s on s.id = f.service_id
    where s.spec->>'sharing_key' = ${key} and f.type = ${type} and f.pool is not null and f.service_id <> ${service}
    group by f.address order by min(f.number)`.execute(trx);
  return rows.map(({ address }) => address);
};

export const nodePortOwner = async (
  trx: Transaction<Tables>,
  port: number,
  protocol: string,
  service: string,
): Promise<string | undefined> =>
  (
    await trx
      .selectFrom('service_frontends')
      .select('service_id')
      .where('type', '=', 'node-port')
      .where('port', '=', port)
      .where('protocol', '=', protocol)
      .where('service_id', '<>', service)
      .executeTakeFirst()
  )?.service_id;

const HEALTH_PORT = sql`(s.spec->>'health_check_node_port')::integer`;

/** The service whose health hosts tell at the port. */
export const healthPortOwner = async (
  trx: Transaction<Tables>,
  port: number,
  service: string,
): Promise<string | undefined> => {
  const { rows } = await sql<{ id: string }>`
    select s.id from services s where ${HEALTH_PORT} = ${port} and ${HEALTH_PORT} <> 0 and s.id <> ${service}
    order by s.id limit 1`.execute(trx);
  return rows[0]?.id;
};

/** The lowest one that is free and not among `taken`. */
export const freeNodePort = async (
  trx: Transaction<Tables>,
  low: number,
  high: number,
  protocol: string,
  taken: readonly number[],
): Promise<number | undefined> => {
  const { rows } = await sql<{ port: number }>`
    select p.port from generate_series(${low}::int, ${high}::int) as p (port)
    where p.port <> all(${taken}::int[])
      and not exists (select 1 from service_frontends f
        where f.type = 'node-port' and f.port = p.port and f.protocol = ${protocol})
      and (${protocol} <> 'TCP' or not exists (select 1 from services s
        where ${HEALTH_PORT} = p.port and ${HEALTH_PORT} <> 0))
    order by p.port limit 1`.execute(trx);
  return rows[0]?.port;
};

export type WantedFrontend = Omit<FrontendRow, 'number' | 'service_id'>;

const keyOf = ({ type, address, port, protocol, scope, port_name }: WantedFrontend): string =>
  address === null && type !== 'node-port'
    ? `${type} pending ${port} ${protocol} ${scope} ${port_name}`
    : `${type} ${address ?? ''} ${port} ${protocol} ${scope}`;

/** What is there becomes what is wanted; a frontend that stays keeps its number. */
export const saveFrontends = async (
  trx: Transaction<Tables>,
  service: string,
  existing: readonly FrontendRow[],
  wanted: readonly WantedFrontend[],
): Promise<FrontendRow[]> => {
  const left = Map.groupBy(existing, keyOf);
  const pairs = wanted.map((one) => ({ one, row: left.get(keyOf(one))?.shift() }));
  const gone = [...left.values()].flat().map(({ number }) => number);
  if (gone.length > 0) await trx.deleteFrom('service_frontends').where('number', 'in', gone).execute();
  const saved: FrontendRow[] = [];
  for (const { one, row } of pairs) {
    if (row !== undefined) {
      const { position, port_name, pool } = one;
      if (row.position !== position || row.port_name !== port_name || row.pool !== pool) {
        await trx
          .updateTable('service_frontends')
          .set({ position, port_name, pool })
          .where('number', '=', row.number)
          .execute();
      }
      saved.push({ ...row, position, port_name, pool });
      continue;
    }
    saved.push(
      await trx
        .insertInto('service_frontends')
        .values({ service_id: service, ...one })
        .returningAll()
        .executeTakeFirstOrThrow(),
    );
  }
  return saved;
};
