// SPDX-License-Identifier: Apache-2.0
/**
 * Services: set as a whole, removed, and single backends taken out and put back. Locks are taken in one order: addresses
 * of hosts, the network, the namespace (so that no workload comes or goes unseen), the addresses of pools, services by their ids.
 */
import { isDeepStrictEqual } from 'node:util';
import { enqueueConfig } from '@weir/bus/publishing';
import { type Database, type Once, onlyOnce, withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { Cursors, type Page, requireMatch, requireNoneMatch } from '@weir/http';
import type { Transaction } from 'kysely';
import { Type } from 'typebox';
import { afterChange } from '../domain/backend-health.ts';
import { checkName } from '../domain/names.ts';
import type { NetworkSpec } from '../domain/network.ts';
import { equalLabels } from '../domain/selectors.ts';
import { checkService } from '../domain/service-checks.ts';
import type { BackendPatch, ServicePut, ServiceSpec } from '../domain/services.ts';
import { lockBlocks } from '../store/blocks.ts';
import { lockUnderlay } from '../store/hosts.ts';
import { lockLb } from '../store/lb-pools.ts';
import { lockNamespace } from '../store/namespaces.ts';
import {
  getService,
  listServices,
  lockServices,
  type ServiceFilter,
  type ServiceRow,
  saveStandings,
  type WholeService,
  withParts,
} from '../store/services.ts';
import type { Tables } from '../store/tables.ts';
import { notFound, type Operations } from './context.ts';
import { noteNamespace } from './namespaces.ts';
import { holdNetwork } from './network.ts';
import type { Conditions } from './objects.ts';
import type { PageRequest } from './pages.ts';
import { redirectsOf } from './redirects.ts';
import { assignBackends, enqueueWith, momentOf, termsOf } from './service-backends.ts';
import { assignFrontends } from './service-frontends.ts';

export const serviceId = (namespace: string, name: string): string => `${namespace}.${name}`;

const partsOf = (id: string): { readonly namespace: string; readonly name: string } => {
  const [namespace = '', name = '', ...more] = id.split('.');
  if (name === '' || more.length > 0) {
    throw weirError('INVALID_ARGUMENT', `id ${JSON.stringify(id)} is not namespace.name`, {
      field: 'id',
      value: id,
      fix: 'write it as shop.web',
    });
  }
  checkName('namespace', namespace);
  checkName('name', name);
  return { namespace, name };
};

/** Its tables live in the hosts' kernels: another algorithm would be another service. */
const refuseAlgorithm = ({ id, spec }: ServiceRow, { algorithm }: ServiceSpec): void => {
  if (spec.algorithm === algorithm) return;
  throw weirError('CONFLICT', `algorithm ${algorithm}: service ${id} was created with ${spec.algorithm}`, {
    field: 'algorithm',
    value: algorithm,
    fix: `leave it at ${spec.algorithm}, or delete the service and create it again`,
  });
};

const writeRow = async (
  trx: Transaction<Tables>,
  id: string,
  had: ServiceRow | undefined,
  spec: ServiceSpec,
): Promise<ServiceRow> => {
  const values = {
    labels: JSON.stringify(spec.labels),
    spec: JSON.stringify(spec),
    selects: spec.selector === undefined ? null : termsOf(equalLabels(spec.selector)),
  };
  const written =
    had === undefined
      ? trx.insertInto('services').values({ id, ...partsOf(id), ...values, revision: 0n })
      : trx.updateTable('services').set(values).where('id', '=', id);
  return (await written.returningAll().executeTakeFirstOrThrow()) as unknown as ServiceRow;
};

/** Of a service that is locked: all that follows from its row. */
const settle = async (
  trx: Transaction<Tables>,
  row: ServiceRow,
  before: WholeService | undefined,
  network: NetworkSpec,
  control: readonly string[],
): Promise<WholeService> => {
  await assignFrontends(trx, row, before?.frontends ?? [], network, control);
  await assignBackends(trx, row, before?.backends ?? []);
  return (await withParts(trx, [row]))[0] as WholeService;
};

const same = (a: WholeService, b: WholeService): boolean =>
  isDeepStrictEqual(a.row.spec, b.row.spec) &&
  isDeepStrictEqual(a.frontends, b.frontends) &&
  isDeepStrictEqual(a.backends, b.backends);

/** Redirects, which are locked, get the addresses that their services have by now. */
const follow = async (
  trx: Transaction<Tables>,
  redirects: readonly ServiceRow[],
  network: NetworkSpec,
): Promise<void> => {
  for (const before of await withParts(trx, redirects)) {
    const after = await settle(trx, before.row, before, network, []);
    if (!same(before, after)) await enqueueWith(trx, [], [after]);
  }
};

const pooledOf = (whole: WholeService | undefined): ReadonlySet<string | null> =>
  new Set(whole?.frontends.filter(({ pool }) => pool !== null).map(({ address }) => address));

interface Asked {
  readonly checked: ServiceSpec;
  /** Of it: what somebody said himself. */
  readonly given: ServicePut;
  /** Addresses of the control plane. */
  readonly control: readonly string[];
}

const read = async ({ controlAddresses }: Operations, given: ServicePut): Promise<Asked> => ({
  ...{ checked: checkService(given), given },
  control: await controlAddresses(),
});

/** `freed`: it gave an address of a pool back, for which others may wait. */
const put = async (
  trx: Transaction<Tables>,
  id: string,
  { checked, given: { maglev_size }, control }: Asked,
  check: (had: ServiceRow | undefined) => void,
): Promise<{ readonly freed: boolean }> => {
  const { namespace } = partsOf(id);
  const namesAddress = checked.frontends.some(({ address }) => address !== '');
  // Nobody else gets the addresses that it names while it is looked whose they are.
  if (namesAddress) await lockUnderlay(trx);
  const network = await holdNetwork(trx);
  const { made } = await lockNamespace(trx, namespace, 'update');
  if (namesAddress) await lockBlocks(trx);
  await lockLb(trx);
  const locked = await lockServices(trx, [id, ...(await redirectsOf(trx, id))]);
  const had = locked.find((one) => one.id === id);
  check(had);
  if (had) refuseAlgorithm(had, checked);
  // Another size moves almost every connection: it stays unless one is named.
  const spec = had && !maglev_size ? { ...checked, maglev_size: had.spec.maglev_size } : checked;
  const [before] = had ? await withParts(trx, [had]) : [];
  const row = await writeRow(trx, id, had, spec);
  const whole = await settle(trx, row, before, network, control);
  if (before === undefined || !same(before, whole)) await enqueueWith(trx, [], [whole]);
  await follow(
    trx,
    locked.filter((one) => one.id !== id),
    network,
  );
  if (made) await noteNamespace(trx, namespace, 'written');
  const has = pooledOf(whole);
  return { freed: [...pooledOf(before)].some((address) => !has.has(address)) };
};

export const createService = async (
  operations: Operations,
  { namespace, name, ...given }: ServicePut & { readonly namespace: string; readonly name: string },
  once?: Once,
): Promise<WholeService> => {
  checkName('name', name);
  checkName('namespace', namespace);
  const id = serviceId(namespace, name);
  const asked = await read(operations, given);
  const { db } = operations;
  const kept = await withTransaction(db, (trx) =>
    onlyOnce(trx, once, 'createService', { id, ...given }, async () => {
      await put(trx, id, asked, (had) => {
        if (had === undefined) return;
        throw weirError('CONFLICT', `service ${id} exists`, {
          field: 'name',
          value: name,
          fix: `choose another name, or replace it with PUT /v1/services/${id}`,
        });
      });
      // Only an answer that is kept is read while others wait for the locks.
      return once === undefined ? undefined : getService(trx, id);
    }),
  );
  return kept ?? ((await getService(db.kysely, id)) as WholeService);
};

/** Ends a transaction that was only to be tried. */
class Tried extends Error {
  readonly whole: WholeService;

  constructor(whole: WholeService) {
    super('tried');
    this.whole = whole;
  }
}

/** What is there already is not written again. `dryRun`: what would become of it, with all that would refuse it. */
export const putService = async (
  operations: Operations,
  id: string,
  given: ServicePut,
  { ifMatch, ifNoneMatch }: Conditions,
  dryRun = false,
): Promise<WholeService> => {
  partsOf(id);
  const asked = await read(operations, given);
  const { db } = operations;
  try {
    const { freed } = await withTransaction(db, async (trx) => {
      const done = await put(trx, id, asked, (had) => {
        requireMatch(ifMatch, had?.revision);
        requireNoneMatch(ifNoneMatch, had?.revision);
      });
      if (dryRun) throw new Tried((await getService(trx, id)) as WholeService);
      return done;
    });
    if (freed) await assignPending(db);
  } catch (error) {
    if (error instanceof Tried) return error.whole;
    throw error;
  }
  return (await getService(db.kysely, id)) as WholeService;
};

export const deleteService = async ({ db }: Operations, id: string, ifMatch: string | undefined): Promise<void> => {
  await withTransaction(db, async (trx) => {
    const network = await holdNetwork(trx);
    await lockLb(trx);
    const locked = await lockServices(trx, [id, ...(await redirectsOf(trx, id))]);
    const row = locked.find((one) => one.id === id);
    if (row === undefined) throw notFound('service', id);
    requireMatch(ifMatch, row.revision);
    await trx.deleteFrom('services').where('id', '=', id).execute();
    await enqueueConfig(trx, [{ kind: 'service', key: id }]);
    await follow(
      trx,
      locked.filter((one) => one !== row),
      network,
    );
  });
  await assignPending(db);
};

export const findService = async ({ db }: Operations, id: string): Promise<WholeService> => {
  const found = await getService(db.kysely, id);
  if (found === undefined) throw notFound('service', id);
  return found;
};

const SERVICES = new Cursors('services', Type.String());

export const pageOfServices = async (
  { db }: Operations,
  filter: ServiceFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<WholeService>> => {
  const scope = { ...filter };
  const rows = await listServices(db.kysely, filter, SERVICES.decode(cursor, scope) ?? '', limit + 1);
  return SERVICES.page(
    await withParts(db.kysely, rows),
    limit,
    (one) => one,
    ({ row }) => row.id,
    scope,
  );
};

/** State and weight of one backend, under whatever port names the service has it. */
export const patchBackend = async (
  { db }: Operations,
  id: string,
  number: number,
  change: BackendPatch,
  ifMatch: string | undefined,
): Promise<WholeService> => {
  await withTransaction(db, async (trx) => {
    const [row] = await lockServices(trx, [id]);
    if (row === undefined) throw notFound('service', id);
    requireMatch(ifMatch, row.revision);
    const [whole] = await withParts(trx, [row]);
    const mine = whole?.backends.filter((one) => one.number === BigInt(number)) ?? [];
    if (mine.length === 0) {
      throw weirError('NOT_FOUND', `service ${id} has no backend ${number}`, {
        field: 'number',
        value: number,
        fix: `use the number of one of its backends: GET /v1/services/${id}`,
      });
    }
    const moment = momentOf(row.spec);
    await saveStandings(
      trx,
      mine.map((now) => afterChange(now, change, moment)),
    );
    await enqueueWith(trx, [], await withParts(trx, [row]));
  });
  return (await getService(db.kysely, id)) as WholeService;
};

/** Services that get addresses in one transaction. */
const PENDING_AT_ONCE = 200;

const hasPending = async (db: Database<Tables>): Promise<boolean> =>
  (await db.kysely
    .selectFrom('service_frontends')
    .select('number')
    .where('address', 'is', null)
    .where('type', '<>', 'node-port')
    .limit(1)
    .executeTakeFirst()) !== undefined;

/** Frontends that wait for an address get one, if there is any by now. How many services changed. */
export const assignPending = async (db: Database<Tables>): Promise<number> => {
  let changed = 0;
  let after = '';
  if (!(await hasPending(db))) return 0;
  for (;;) {
    const ids = await withTransaction(db, async (trx) => {
      const network = await holdNetwork(trx);
      await lockLb(trx);
      const found = await trx
        .selectFrom('service_frontends')
        .select('service_id')
        .distinct()
        .where('address', 'is', null)
        .where('type', '<>', 'node-port')
        .where('service_id', '>', after)
        .orderBy('service_id')
        .limit(PENDING_AT_ONCE)
        .execute();
      const rows = await lockServices(
        trx,
        found.map(({ service_id }) => service_id),
      );
      const got: ServiceRow[] = [];
      for (const { row, frontends } of await withParts(trx, rows)) {
        const now = await assignFrontends(trx, row, frontends, network);
        const waits = (all: typeof now): number => all.filter((one) => one.address === null).length;
        if (waits(now) < waits([...frontends])) got.push(row);
      }
      await enqueueWith(trx, [], await withParts(trx, got));
      changed += got.length;
      return rows.map(({ id }) => id);
    });
    after = ids.at(-1) ?? after;
    if (ids.length < PENDING_AT_ONCE) return changed;
  }
};
