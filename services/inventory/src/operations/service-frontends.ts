// SPDX-License-Identifier: Apache-2.0
/**
 * Which addresses and ports a service gets: those that it names when they are free to it, otherwise free ones of pools and of
 * the range of node ports. An address belongs to one service, unless all that have it share it by key and their ports differ.
 * The caller holds lockLb().
 */
import { isDeepStrictEqual } from 'node:util';
import { type WeirError, weirError } from '@weir/errors';
import type { Transaction } from 'kysely';
import type { NetworkSpec } from '../domain/network.ts';
import { selects } from '../domain/selectors.ts';
import { POOLED } from '../domain/service-checks.ts';
import type { FrontendSpec } from '../domain/services.ts';
import {
  freeNodePort,
  healthPortOwner,
  type Neighbour,
  neighboursAt,
  nodePortOwner,
  saveFrontends,
  sharedAddresses,
  type WantedFrontend,
} from '../store/frontends.ts';
import { freeIn, type LbPoolRow, lbPoolTouching, listLbPools } from '../store/lb-pools.ts';
import type { FrontendRow, ServiceRow } from '../store/services.ts';
import type { Tables } from '../store/tables.ts';
import { REDIRECT, redirectedPlaces } from './redirects.ts';
import { admitAddress } from './service-addresses.ts';

type Owner = Pick<ServiceRow, 'id' | 'namespace' | 'name' | 'labels' | 'spec'>;

const conflict = (field: string, value: string, why: string, fix: string): WeirError =>
  weirError('CONFLICT', `${field} ${value} ${why}`, { field, value, fix });

/** As Cilium has them: so a pool may be one namespace's or one service's. */
const labelsFor = ({ namespace, name, labels }: Owner) => ({
  ...labels,
  'io.kubernetes.service.namespace': namespace,
  'io.kubernetes.service.name': name,
});

const serves = ({ spec }: LbPoolRow, type: string, service: Owner): boolean =>
  spec.frontend_type === type &&
  (spec.service_selector === undefined || selects(spec.service_selector, labelsFor(service)));

const meet = (a: Pick<WantedFrontend, 'port' | 'protocol' | 'scope'>, b: typeof a): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.scope === '' || b.scope === '' || a.scope === b.scope);

const lets = (spec: Neighbour['spec'], own: string, other: string): boolean =>
  own === other || spec.sharing_namespaces.includes('*') || spec.sharing_namespaces.includes(other);

/** Why `service` can't have an address that `other` has; undefined when the two may share it. */
const unshared = ({ spec, namespace }: Owner, other: Neighbour): string | undefined => {
  if (spec.sharing_key === '' || spec.sharing_key !== other.spec.sharing_key)
    return 'they have no sharing_key in common';
  if (!lets(spec, namespace, other.namespace) || !lets(other.spec, other.namespace, namespace)) {
    return 'they do not both allow the other namespace in sharing_namespaces';
  }
  const local = spec.external_traffic_policy === 'local' || other.spec.external_traffic_policy === 'local';
  const same =
    spec.external_traffic_policy === other.spec.external_traffic_policy &&
    isDeepStrictEqual(spec.selector, other.spec.selector) &&
    isDeepStrictEqual(spec.backends, other.spec.backends);
  return local && !same ? 'external_traffic_policy local needs the same policy and backends in both' : undefined;
};

/** A redirect lies over what other services of its namespace have: it takes nothing from anybody who does not set them himself. */
const isOver = ({ namespace }: Owner, own: Pick<WantedFrontend, 'type'>, other: Neighbour): boolean =>
  namespace === other.namespace && (own.type === REDIRECT) !== (other.type === REDIRECT);

/** Throws CONFLICT when somebody else has the frontend, or the address for himself. */
const admit = async (trx: Transaction<Tables>, service: Owner, at: string, wanted: WantedFrontend): Promise<void> => {
  const { address, port, protocol, type } = wanted;
  for (const other of await neighboursAt(trx, address ?? '', service.id)) {
    if (isOver(service, wanted, other)) continue;
    if (meet(wanted, other)) {
      const fix = `give another port or address, or take it from service ${other.service_id} first`;
      throw conflict(at, `${address}:${port}/${protocol}`, `belongs to service ${other.service_id}`, fix);
    }
    const isForeign = other.namespace !== service.namespace && type !== 'host-port';
    if (!isForeign && !POOLED.includes(type) && !POOLED.includes(other.type)) continue;
    const why = unshared(service, other);
    if (why === undefined) continue;
    const fix = 'give both the same sharing_key, or another address';
    throw conflict(`${at}.address`, address ?? '', `belongs to service ${other.service_id}: ${why}`, fix);
  }
};

/** The pool of an address that was asked for. */
const poolOf = async (
  trx: Transaction<Tables>,
  service: Owner,
  at: string,
  { type, address }: FrontendSpec,
  pools: readonly LbPoolRow[],
): Promise<string | null> => {
  const field = `${at}.address`;
  const touched = await lbPoolTouching(trx, { start: address, stop: address });
  const pool = pools.find(({ name }) => name === touched?.pool);
  if (pool === undefined) {
    if (type !== 'load-balancer') return null;
    throw weirError('INVALID_ARGUMENT', `${field} ${address} lies in no pool`, {
      field,
      value: address,
      fix: 'give an address of a pool (GET /v1/lb-pools), leave it out to get a free one, or add it to a pool with PUT /v1/lb-pools/{name}',
    });
  }
  if (!POOLED.includes(type)) return null;
  if (!serves(pool, type, service)) {
    const fix = 'give the service the labels that the pool selects, or an address of another pool';
    throw conflict(field, address, `lies in pool ${pool.name}, which is not for this service`, fix);
  }
  if (pool.spec.disabled) {
    throw conflict(field, address, `lies in pool ${pool.name}, which is disabled`, 'give an address of another pool');
  }
  return pool.name;
};

interface Given {
  readonly address: string;
  readonly pool: string;
}

const fits = async (
  trx: Transaction<Tables>,
  service: Owner,
  address: string,
  group: readonly FrontendSpec[],
): Promise<boolean> => {
  const others = await neighboursAt(trx, address, service.id);
  return others.every(
    (other) =>
      group.every((one) => isOver(service, one, other)) ||
      ((!POOLED.includes(other.type) || unshared(service, other) === undefined) &&
        !group.some((one) => meet(one, other))),
  );
};

/** An address for all frontends of one type and family that name none: the one that they have, a shared one, or a free one. */
const find = async (
  trx: Transaction<Tables>,
  service: Owner,
  group: readonly FrontendSpec[],
  family: 'ipv4' | 'ipv6',
  existing: readonly FrontendRow[],
  pools: readonly LbPoolRow[],
): Promise<Given | undefined> => {
  const type = group[0]?.type ?? '';
  const ofFamily = (address: string): boolean => address.includes(':') === (family === 'ipv6');
  const had = existing.find((row) => row.type === type && row.pool !== null && ofFamily(row.address ?? ''));
  if (had?.address && had.pool && (await fits(trx, service, had.address, group))) {
    return { address: had.address, pool: had.pool };
  }
  const usable = pools.filter((pool) => !pool.spec.disabled && serves(pool, type, service));
  const { sharing_key } = service.spec;
  const shared = sharing_key === '' ? [] : await sharedAddresses(trx, sharing_key, type, service.id);
  for (const address of shared.filter(ofFamily)) {
    const touched = await lbPoolTouching(trx, { start: address, stop: address });
    const pool = usable.find(({ name }) => name === touched?.pool);
    if (pool && (await fits(trx, service, address, group))) return { address, pool: pool.name };
  }
  for (const { name, ranges } of usable) {
    for (const range of ranges.filter(({ start }) => ofFamily(start))) {
      const address = await freeIn(trx, range);
      if (address !== undefined) return { address, pool: name };
    }
  }
  return undefined;
};

const nodePort = async (
  trx: Transaction<Tables>,
  service: Owner,
  at: string,
  { port, protocol, port_name }: FrontendSpec,
  existing: readonly FrontendRow[],
  wanted: readonly WantedFrontend[],
  { node_port_low: low, node_port_high: high }: NetworkSpec['services'],
): Promise<number> => {
  const inRange = (one: number): boolean => one >= low && one <= high;
  if (port !== 0) {
    if (!inRange(port)) {
      throw weirError('INVALID_ARGUMENT', `${at}.port ${port} is not in the range of node ports, ${low}-${high}`, {
        field: `${at}.port`,
        value: port,
        fix: `give one from ${low} to ${high}, 0 for a free one, or change services.node_port_low and _high with PUT /v1/network`,
      });
    }
    const owner = await nodePortOwner(trx, port, protocol, service.id);
    const teller = protocol === 'TCP' ? await healthPortOwner(trx, port, service.id) : undefined;
    if (teller !== undefined) {
      const why = `is where hosts tell the health of service ${teller}`;
      throw conflict(at, `node port ${port}/${protocol}`, why, 'give another one, or 0');
    }
    if (owner === undefined) return port;
    throw conflict(at, `node port ${port}/${protocol}`, `belongs to service ${owner}`, 'give another one, or 0');
  }
  const mine = [...wanted, ...service.spec.frontends]
    .filter((one) => one.type === 'node-port' && one.protocol === protocol)
    .map((one) => one.port)
    .concat(protocol === 'TCP' ? service.spec.health_check_node_port : []);
  const had = existing.find(
    (row) =>
      row.type === 'node-port' &&
      row.protocol === protocol &&
      row.port_name === port_name &&
      inRange(row.port) &&
      !mine.includes(row.port),
  );
  const found = had?.port ?? (await freeNodePort(trx, low, high, protocol, mine));
  if (found !== undefined) return found;
  throw conflict(
    at,
    `${protocol}`,
    `gets no node port: ${low}-${high} are all taken`,
    'make the range larger with PUT /v1/network',
  );
};

/** Hosts listen there: no other service's node port, nor where its health is told. */
const admitHealthPort = async (trx: Transaction<Tables>, { id, spec }: Owner): Promise<void> => {
  const port = spec.health_check_node_port;
  if (port === 0) return;
  const field = 'health_check_node_port';
  const fix = 'give another port';
  const owner = await nodePortOwner(trx, port, 'TCP', id);
  if (owner) throw conflict(field, String(port), `is a node port of service ${owner}`, fix);
  const teller = await healthPortOwner(trx, port, id);
  if (teller) throw conflict(field, String(port), `is where hosts tell the health of service ${teller}`, fix);
};

/** Gives every frontend its address and port, and stores them. `control`: addresses of the control plane. */
export const assignFrontends = async (
  trx: Transaction<Tables>,
  service: Owner,
  existing: readonly FrontendRow[],
  network: NetworkSpec,
  control: readonly string[] = [],
): Promise<FrontendRow[]> => {
  const { services: range } = network;
  const { frontends, families } = service.spec;
  await admitHealthPort(trx, service);
  const pools = await listLbPools(trx, '');
  const found = new Map<string, Given | undefined>();
  const wanted: WantedFrontend[] = [];
  for (const [position, frontend] of frontends.entries()) {
    const at = `frontends[${position}]`;
    const { type, protocol, scope, port_name, port } = frontend;
    const common = { position, type, protocol, scope, port_name, port };
    if (frontend.service !== '') {
      for (const found of await redirectedPlaces(trx, service, frontend)) {
        const one = { ...common, ...found, pool: null };
        if (wanted.some((other) => other.address === one.address && meet(other, one))) continue;
        await admit(trx, service, at, one);
        wanted.push(one);
      }
      continue;
    }
    if (type === 'node-port') {
      const given = await nodePort(trx, service, at, frontend, existing, wanted, range);
      wanted.push({ ...common, port: given, address: null, pool: null });
      continue;
    }
    if (frontend.address !== '') {
      const has = existing.find((row) => row.type === type && row.address === frontend.address);
      if (!has) await admitAddress(trx, at, frontend, network, control);
      const pool = has ? has.pool : await poolOf(trx, service, at, frontend, pools);
      const one = { ...common, address: frontend.address, pool };
      await admit(trx, service, at, one);
      wanted.push(one);
      continue;
    }
    for (const family of families) {
      const key = `${type} ${family}`;
      if (!found.has(key)) {
        const group = frontends.filter((one) => one.type === type && one.address === '');
        found.set(key, await find(trx, service, group, family, existing, pools));
      }
      const given = found.get(key);
      wanted.push({ ...common, address: given?.address ?? null, pool: given?.pool ?? null });
    }
  }
  return saveFrontends(trx, service.id, existing, wanted);
};
