// SPDX-License-Identifier: Apache-2.0
/**
 * Backends of services: those that are given, and workloads of the same namespace whose labels the selector matches. When
 * a workload comes, changes or goes, the services that it concerns are found by an index, and only its own backends are
 * made anew. A backend that stays keeps weight and state. A workload that its host has not connected yet waits in quarantine.
 */
import { enqueueConfig, type OutboxDocument } from '@weir/bus/publishing';
import { type Database, withTransaction } from '@weir/db';
import { sql, type Transaction } from 'kysely';
import { afterChange, askedBy, type BackendHealth, type Moment, UNASKED, unasked } from '../domain/backend-health.ts';
import { firstStanding } from '../domain/backend-states.ts';
import type { Labels } from '../domain/labels.ts';
import { equalLabels, selects } from '../domain/selectors.ts';
import { serviceDocument } from '../domain/service-document.ts';
import type { ServiceSpec } from '../domain/services.ts';
import {
  type BackendRow,
  type Endpoint,
  endpointKey,
  insertBackends,
  lockServices,
  type NewBackend,
  numbersOf,
  type ServiceRow,
  type WholeService,
  withParts,
} from '../store/services.ts';
import type { Tables } from '../store/tables.ts';
import type { WorkloadRow } from '../store/workloads.ts';

export const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** A backend before it has its number. */
type Candidate = Omit<NewBackend, 'number' | keyof BackendHealth> & BackendHealth & Endpoint;
export type SelectedWorkload = Pick<
  WorkloadRow,
  'id' | 'namespace' | 'host_id' | 'labels' | 'ip4' | 'ip6' | 'ports'
> & {
  readonly zone: string;
  /** Its host has connected it. */
  readonly ready: boolean;
};

/** Why a workload that nobody could reach yet gets no connections. */
export const UNCONNECTED = 'its host has not connected it yet';

const slotOf = (one: Endpoint & { readonly port_name: string }): string => `${one.port_name} ${endpointKey(one)}`;

/** Where selected workloads listen: as it is said, or at the ports of the frontends. */
const targetsOf = ({ targets, frontends }: ServiceSpec): ServiceSpec['targets'] => {
  if (targets.length > 0) return targets;
  const found = new Map<string, ServiceSpec['targets'][number]>();
  for (const { port, port_name, protocol } of frontends) {
    const key = `${port_name} ${protocol}`;
    if (port !== 0 && !found.has(key)) found.set(key, { port, port_name, protocol });
  }
  return [...found.values()];
};

/** Families that frontends can have: a backend of another one is never reached. */
const familiesOf = ({ frontends, families }: ServiceSpec): { readonly v4: boolean; readonly v6: boolean } => {
  const has = (family: 'ipv4' | 'ipv6'): boolean =>
    frontends.some(({ type, address, service }) => {
      // Where the service that it redirects is, in whatever family.
      if (service) return true;
      if (type === 'node-port') return true;
      return address === '' ? families.includes(family) : address.includes(':') === (family === 'ipv6');
    });
  return { v4: has('ipv4'), v6: has('ipv6') };
};

const candidatesOf = (spec: ServiceSpec, workload: SelectedWorkload): Candidate[] => {
  if (spec.selector === undefined || !selects(spec.selector, workload.labels)) return [];
  const { v4, v6 } = familiesOf(spec);
  const addresses = [v4 ? workload.ip4 : null, v6 ? workload.ip6 : null].flatMap((address) => address ?? []);
  return targetsOf(spec).flatMap(({ port_name, port, protocol }) => {
    const number =
      typeof port === 'number'
        ? port
        : workload.ports.find((one) => one.name === port && one.protocol === protocol)?.port;
    if (number === undefined) return [];
    return addresses.map((address) => ({
      address,
      port: number,
      protocol,
      port_name,
      ...UNASKED,
      ...firstStanding(workload.ready ? {} : { state: 'quarantined' }),
      since: new Date(),
      reason: workload.ready ? '' : UNCONNECTED,
      workload_id: workload.id,
      host_id: workload.host_id,
      zone: workload.zone,
    }));
  });
};

const WORKLOAD = sql`w.id, w.namespace, w.host_id, w.labels, host(w.ip4) as ip4, host(w.ip6) as ip6, w.ports,
  coalesce(h.labels->>${ZONE_LABEL}, '') as zone, coalesce(s.state = 'ready', false) as ready`;

/** Those that may match: what the selector gives as equal is asked of the database. */
const workloadsFor = async (trx: Transaction<Tables>, { namespace, spec }: ServiceRow): Promise<SelectedWorkload[]> => {
  if (spec.selector === undefined) return [];
  const equal = equalLabels(spec.selector);
  const { rows } = await sql<SelectedWorkload>`
    select ${WORKLOAD} from workloads w join hosts h on h.id = w.host_id
    left join workload_status s on s.workload_id = w.id
    where w.namespace = ${namespace} and w.labels @> ${JSON.stringify(equal)}::jsonb order by w.id`.execute(trx);
  return rows;
};

/** Hosts of addresses that were given: of a workload, or of the host itself. */
const hostsOf = async (
  trx: Transaction<Tables>,
  addresses: readonly string[],
): Promise<ReadonlyMap<string, { readonly host: string; readonly zone: string }>> => {
  if (addresses.length === 0) return new Map();
  const { rows } = await sql<{ address: string; host: string; zone: string }>`
    select host(a.address) as address, h.id as host, coalesce(h.labels->>${ZONE_LABEL}, '') as zone
    from unnest(${addresses}::inet[]) as a (address)
    join hosts h on h.underlay_ip4 = a.address or h.underlay_ip6 = a.address
      or h.id in (select w.host_id from workloads w where w.ip4 = a.address or w.ip6 = a.address)`.execute(trx);
  return new Map(rows.map(({ address, host, zone }) => [address, { host, zone }]));
};

/** All backends of a service, as its specification and the workloads are now. */
export const assignBackends = async (
  trx: Transaction<Tables>,
  service: ServiceRow,
  existing: readonly BackendRow[],
): Promise<void> => {
  const { spec } = service;
  const known = new Map(existing.map((row) => [slotOf(row), row]));
  const places = await hostsOf(
    trx,
    spec.backends.map(({ address }) => address),
  );
  const wanted = new Map<string, Candidate>();
  const moment = momentOf(spec);
  for (const [i, { state, weight, zone, ...given }] of spec.backends.entries()) {
    const place = places.get(given.address);
    const had = known.get(slotOf(given));
    const at = `backends[${i}].`;
    const asked = { ...(state === undefined ? {} : { state }), ...(weight === undefined ? {} : { weight }) };
    const standing = had
      ? healthOnly(afterChange(had, asked, moment, at))
      : { ...UNASKED, ...firstStanding(asked, at), since: moment.at, reason: '' };
    wanted.set(slotOf(given), {
      ...given,
      ...standing,
      workload_id: null,
      host_id: place?.host ?? null,
      zone: zone || (place?.zone ?? ''),
    });
  }
  for (const workload of await workloadsFor(trx, service)) {
    for (const candidate of candidatesOf(spec, workload)) {
      const slot = slotOf(candidate);
      if (!wanted.has(slot)) wanted.set(slot, keepStanding(candidate, known.get(slot)));
    }
  }
  await replaceBackends(trx, service, undefined, [...wanted.values()]);
};

const healthOnly = (row: BackendRow): BackendHealth => {
  const { weight, state, reason, since, prober, verdict, verdict_reason } = row;
  const { verdict_boot, verdict_sequence, by_check, share, slow_since } = row;
  return {
    ...{ weight, state, reason, since, prober, verdict, verdict_reason },
    ...{ verdict_boot, verdict_sequence, by_check, share, slow_since },
  };
};

const keepStanding = (candidate: Candidate, had: BackendRow | undefined): Candidate =>
  had ? { ...candidate, ...healthOnly(had) } : candidate;

export const momentOf = ({ health_check }: ServiceSpec): Moment => ({
  at: new Date(),
  slowStartMs: health_check?.slow_start_ms ?? 0,
});

/** Who asks it: at first the host that has it; where there is none, or it can't, somebody else is found soon. */
const withProber = (spec: ServiceSpec, candidate: Candidate): Candidate => {
  if (spec.health_check === undefined) return unasked(candidate, momentOf(spec));
  return candidate.prober === null ? askedBy(candidate, candidate.host_id ?? '') : candidate;
};

/** `workload`: only the backends that it is; undefined: all. */
const replaceBackends = async (
  trx: Transaction<Tables>,
  service: ServiceRow,
  workload: string | undefined,
  wanted: readonly Candidate[],
): Promise<void> => {
  await trx
    .deleteFrom('service_backends')
    .where('service_id', '=', service.id)
    .$if(workload !== undefined, (query) => query.where('workload_id', '=', workload as string))
    .execute();
  const numbers = await numbersOf(trx, wanted);
  await insertBackends(
    trx,
    service.id,
    wanted.map((one) => {
      const { address, port, protocol, ...rest } = withProber(service.spec, one);
      return {
        ...rest,
        number: numbers.get(endpointKey({ address, port, protocol })) as bigint,
      };
    }),
  );
};

export const saveServiceRevisions = async (
  trx: Transaction<Tables>,
  ids: readonly string[],
  revisions: readonly bigint[],
): Promise<void> => {
  if (ids.length === 0) return;
  await sql`update services s set revision = c.revision
    from unnest(${ids}::text[], ${revisions.map(String)}::bigint[]) as c (id, revision) where s.id = c.id`.execute(trx);
};

/** Queues documents with those of services behind them; gives the revisions of the former. */
export const enqueueWith = async (
  trx: Transaction<Tables>,
  documents: readonly OutboxDocument[],
  services: readonly WholeService[],
): Promise<readonly bigint[]> => {
  if (documents.length + services.length === 0) return [];
  const { revisions } = await enqueueConfig(trx, [...documents, ...services.map(serviceDocument)]);
  await saveServiceRevisions(
    trx,
    services.map(({ row }) => row.id),
    revisions.slice(documents.length),
  );
  return revisions.slice(0, documents.length);
};

/** As `services.selects` has them. */
export const termsOf = (labels: Labels): string[] => Object.entries(labels).map(([key, value]) => `${key}=${value}`);

const concerned = async (
  trx: Transaction<Tables>,
  id: string,
  after: SelectedWorkload | undefined,
): Promise<string[]> => {
  const labels = termsOf(after?.labels ?? {});
  const { rows } = await sql<{ id: string }>`
    select service_id as id from service_backends where workload_id = ${id}
    union select id from services where selects is not null and selects <@ ${labels}::text[]
      and namespace = ${after?.namespace ?? null}`.execute(trx);
  return rows.map((row) => row.id);
};

const placeOf = async (
  trx: Transaction<Tables>,
  { id, host_id }: Pick<SelectedWorkload, 'id' | 'host_id'>,
): Promise<Pick<SelectedWorkload, 'zone' | 'ready'>> => {
  const found = await trx
    .selectFrom('hosts as h')
    .leftJoin('workload_status as s', (join) => join.on('s.workload_id', '=', id))
    .select(['h.labels', 's.state'])
    .where('h.id', '=', host_id)
    .executeTakeFirst();
  return { zone: found?.labels[ZONE_LABEL] ?? '', ready: found?.state === 'ready' };
};

const sameSlots = (mine: readonly BackendRow[], wanted: readonly Candidate[]): boolean =>
  mine.length === wanted.length && wanted.every((one) => mine.some((row) => slotOf(row) === slotOf(one)));

/**
 * After a workload was written (`after`) or removed: its services, where that changed something, as they are now. The
 * caller holds the workload's namespace, and queues their documents with enqueueWith().
 */
export const followWorkload = async (
  trx: Transaction<Tables>,
  id: string,
  after: Omit<SelectedWorkload, 'zone' | 'ready'> | undefined,
): Promise<WholeService[]> => {
  const workload = after && { ...after, ...(await placeOf(trx, after)) };
  const rows = await lockServices(trx, await concerned(trx, id, workload));
  const changed: ServiceRow[] = [];
  for (const { row, backends } of await withParts(trx, rows)) {
    const mine = backends.filter(({ workload_id }) => workload_id === id);
    const others = new Set(backends.filter(({ workload_id }) => workload_id !== id).map(slotOf));
    const wanted = (workload ? candidatesOf(row.spec, workload) : []).filter((one) => !others.has(slotOf(one)));
    if (sameSlots(mine, wanted)) continue;
    const known = new Map(mine.map((one) => [slotOf(one), one]));
    const kept = wanted.map((one) => keepStanding(one, known.get(slotOf(one))));
    await replaceBackends(trx, row, id, kept);
    changed.push(row);
  }
  return withParts(trx, changed);
};

/** After a host's labels changed: services with backends on it, if it is in another zone now. */
export const followHost = async (trx: Transaction<Tables>, host: string, zone: string): Promise<WholeService[]> => {
  const found = await trx
    .selectFrom('service_backends')
    .select('service_id')
    .distinct()
    .where('host_id', '=', host)
    .where('workload_id', 'is not', null)
    .where('zone', '<>', zone)
    .execute();
  const rows = await lockServices(
    trx,
    found.map(({ service_id }) => service_id),
  );
  if (rows.length === 0) return [];
  await trx
    .updateTable('service_backends')
    .set({ zone })
    .where('host_id', '=', host)
    .where('workload_id', 'is not', null)
    .execute();
  return withParts(trx, rows);
};

/** Services written in one transaction. */
const CONNECTED_AT_ONCE = 200;

/** Workloads that their hosts have connected since: their backends get connections from now on. How many services changed. */
export const admitConnected = async (db: Database<Tables>): Promise<number> => {
  for (let changed = 0; ; ) {
    const { rows: waiting } = await sql<{ service_id: string }>`
      select distinct b.service_id from service_backends b join workload_status s on s.workload_id = b.workload_id
      where b.reason = ${sql.lit(UNCONNECTED)} and b.state = 'quarantined' and s.state = 'ready'
      order by b.service_id limit ${CONNECTED_AT_ONCE}`.execute(db.kysely);
    if (waiting.length === 0) return changed;
    changed += await withTransaction(db, async (trx) => {
      const rows = await lockServices(
        trx,
        waiting.map(({ service_id }) => service_id),
      );
      await sql`
        update service_backends b set since = now(), by_check = b.verdict = 'unhealthy',
          state = case b.verdict when 'unhealthy' then 'quarantined' else 'active' end,
          reason = case b.verdict when 'unhealthy' then 'health check: ' || b.verdict_reason else '' end
        from workload_status s
        where s.workload_id = b.workload_id and s.state = 'ready' and b.reason = ${UNCONNECTED}
          and b.state = 'quarantined' and b.service_id = any(${rows.map(({ id }) => id)}::text[])`.execute(trx);
      await enqueueWith(trx, [], await withParts(trx, rows));
      return rows.length;
    });
  }
};
