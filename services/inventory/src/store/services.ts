// SPDX-License-Identifier: Apache-2.0
/** Services with their frontends and backends. */
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely';
import type { Verdict } from '../domain/backend-health.ts';
import type { Labels } from '../domain/labels.ts';
import type { BackendState, ServiceSpec } from '../domain/services.ts';
import type { Tables } from './tables.ts';

export type ServiceRow = Omit<Selectable<Tables['services']>, 'spec' | 'labels'> & {
  readonly spec: ServiceSpec;
  readonly labels: Labels;
};
export type FrontendRow = Selectable<Tables['service_frontends']>;
export type BackendRow = Omit<Selectable<Tables['service_backends']>, 'state' | 'verdict'> & {
  readonly state: BackendState;
  readonly verdict: Verdict;
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
};

export interface WholeService {
  readonly row: ServiceRow;
  readonly frontends: readonly FrontendRow[];
  readonly backends: readonly BackendRow[];
}

export interface ServiceFilter {
  readonly namespace?: string | undefined;
  /** All of them. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export const listServices = (
  db: Kysely<Tables>,
  { namespace, labels }: ServiceFilter,
  after: string,
  limit: number,
): Promise<ServiceRow[]> => {
  let query = db.selectFrom('services').selectAll().where('id', '>', after).orderBy('id').limit(limit);
  if (namespace !== undefined) query = query.where('namespace', '=', namespace);
  if (labels !== undefined) query = query.where(sql<boolean>`labels @> ${JSON.stringify(labels)}::jsonb`);
  return query.execute() as Promise<ServiceRow[]>;
};

/** In one order, so that two who lock several wait for each other. */
export const lockServices = (trx: Transaction<Tables>, ids: readonly string[]): Promise<ServiceRow[]> =>
  ids.length === 0
    ? Promise.resolve([])
    : (trx
        .selectFrom('services')
        .selectAll()
        .where('id', 'in', ids)
        .orderBy('id')
        .forUpdate()
        .execute() as unknown as Promise<ServiceRow[]>);

export const frontendsOf = (db: Kysely<Tables>, ids: readonly string[]): Promise<FrontendRow[]> =>
  db
    .selectFrom('service_frontends')
    .selectAll()
    .where('service_id', 'in', ids)
    .orderBy('service_id')
    .orderBy('position')
    .orderBy('number')
    .execute();

export const backendsOf = (db: Kysely<Tables>, ids: readonly string[]): Promise<BackendRow[]> =>
  db
    .selectFrom('service_backends as b')
    .innerJoin('backend_numbers as n', 'n.number', 'b.number')
    .selectAll('b')
    .select(['n.address', 'n.port', 'n.protocol'])
    .where('b.service_id', 'in', ids)
    .orderBy('b.service_id')
    .orderBy('b.port_name')
    .orderBy('b.number')
    .execute() as Promise<BackendRow[]>;

/** Each with its frontends and backends, in three queries however many there are. */
export const withParts = async (db: Kysely<Tables>, rows: readonly ServiceRow[]): Promise<WholeService[]> => {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const frontends = Map.groupBy(await frontendsOf(db, ids), ({ service_id }) => service_id);
  const backends = Map.groupBy(await backendsOf(db, ids), ({ service_id }) => service_id);
  return rows.map((row) => ({ row, frontends: frontends.get(row.id) ?? [], backends: backends.get(row.id) ?? [] }));
};

export const getService = async (db: Kysely<Tables>, id: string): Promise<WholeService | undefined> => {
  const row = await db.selectFrom('services').selectAll().where('id', '=', id).executeTakeFirst();
  return row === undefined ? undefined : (await withParts(db, [row as unknown as ServiceRow]))[0];
};

export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly protocol: string;
}

export const endpointKey = ({ address, port, protocol }: Endpoint): string => `${address} ${port} ${protocol}`;

/** Numbers of backends, by endpointKey; new ones get one. In order, so that two who add the same wait for each other. */
export const numbersOf = async (
  trx: Transaction<Tables>,
  endpoints: readonly Endpoint[],
): Promise<ReadonlyMap<string, bigint>> => {
  const sorted = [...new Map(endpoints.map((one) => [endpointKey(one), one]))].sort(([a], [b]) => (a < b ? -1 : 1));
  if (sorted.length === 0) return new Map();
  const list = sql`unnest(
    ${sorted.map(([, { address }]) => address)}::inet[], ${sorted.map(([, { port }]) => port)}::int[],
    ${sorted.map(([, { protocol }]) => protocol)}::text[])`;
  const find = async (): Promise<Map<string, bigint>> => {
    const { rows } = await sql<Endpoint & { number: bigint }>`
      select n.number, host(n.address) as address, n.port, n.protocol
      from ${list} as e (address, port, protocol) join backend_numbers n using (address, port, protocol)`.execute(trx);
    return new Map(rows.map((row) => [endpointKey(row), BigInt(row.number)]));
  };
  const known = await find();
  if (known.size === sorted.length) return known;
  // Those that are there take no number out of the sequence.
  await sql`
    insert into backend_numbers (address, port, protocol)
    select e.address, e.port, e.protocol from ${list} as e (address, port, protocol)
    where not exists (select 1 from backend_numbers n
      where n.address = e.address and n.port = e.port and n.protocol = e.protocol)
    on conflict do nothing`.execute(trx);
  return find();
};

export type NewBackend = Omit<Selectable<Tables['service_backends']>, 'service_id'>;

const json = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? part.toString() : part));

const HEALTH = sql`prober text, verdict text, verdict_reason text, verdict_boot bigint, verdict_sequence bigint,
  by_check boolean, share smallint, slow_since timestamptz`;

export const insertBackends = async (
  trx: Transaction<Tables>,
  service: string,
  backends: readonly NewBackend[],
): Promise<void> => {
  if (backends.length === 0) return;
  await sql`
    insert into service_backends (service_id, number, port_name, weight, state, reason, workload_id, host_id, zone, since,
      prober, verdict, verdict_reason, verdict_boot, verdict_sequence, by_check, share, slow_since)
    select ${service}, b.* from jsonb_to_recordset(${json(backends)}::jsonb) as b (number bigint, port_name text,
      weight integer, state text, reason text, workload_id text, host_id text, zone text, since timestamptz,
      ${HEALTH})`.execute(trx);
};

/** Standing and health of backends that are there, in one statement. */
export const saveStandings = async (trx: Transaction<Tables>, backends: readonly BackendRow[]): Promise<void> => {
  if (backends.length === 0) return;
  await sql`
    update service_backends b set state = r.state, weight = r.weight, reason = r.reason, since = r.since,
      prober = r.prober, verdict = r.verdict, verdict_reason = r.verdict_reason, verdict_boot = r.verdict_boot,
      verdict_sequence = r.verdict_sequence, by_check = r.by_check, share = r.share, slow_since = r.slow_since
    from jsonb_to_recordset(${json(backends)}::jsonb) as r (service_id text, number bigint, port_name text,
      state text, weight integer, reason text, since timestamptz, ${HEALTH})
    where b.service_id = r.service_id and b.port_name = r.port_name and b.number = r.number`.execute(trx);
};
