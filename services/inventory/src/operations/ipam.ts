// SPDX-License-Identifier: Apache-2.0
/** Which pool a workload is of, and its addresses: asked for by name, reserved for it, or the next free ones. */
import { weirError } from '@weir/errors';
import type { Family } from '@weir/net';
import type { Transaction } from 'kysely';
import { checkAddress, checkUnicast } from '../domain/addresses.ts';
import { POOL_ANNOTATION } from '../domain/bandwidth.ts';
import type { Labels } from '../domain/labels.ts';
import type { NetworkSpec } from '../domain/network.ts';
import { DEFAULT_POOL } from '../domain/pools.ts';
import {
  type Asking,
  type Assigned,
  certainAddress,
  isUnderlay,
  lockAddress,
  nextAddressFor,
  requireFree,
  reservedFor,
} from '../store/addresses.ts';
import { lbPoolTouching } from '../store/lb-pools.ts';
import { lockPool, type PoolRow, poolTouching } from '../store/pools.ts';
import type { Tables } from '../store/tables.ts';
import { serviceAt } from './service-addresses.ts';

/** The workload's own choice, else its namespace's, else the default; it stays as it is until the transaction ends. */
export const poolFor = async (
  trx: Transaction<Tables>,
  given: string | undefined,
  namespaceLabels: Labels,
): Promise<PoolRow> => {
  const name = given ?? namespaceLabels[POOL_ANNOTATION] ?? DEFAULT_POOL;
  const pool = await lockPool(trx, name, 'share');
  if (pool) return pool;
  throw weirError('INVALID_ARGUMENT', `there is no pool ${JSON.stringify(name)}`, {
    field: 'pool',
    value: name,
    fix:
      given === undefined
        ? `correct the label ${POOL_ANNOTATION} of the namespace, or create the pool with PUT /v1/pools/${name}`
        : 'name one of GET /v1/pools, or create it with PUT /v1/pools/{name}',
  });
};

/** Of an address that no pool has: it is the operator's own, and the network between the hosts must know the way to it. */
const checkOwn = async (trx: Transaction<Tables>, field: string, address: string, id: string): Promise<void> => {
  const fix = 'give a free address of a pool, or a unicast address outside the pools';
  checkUnicast(field, address, fix);
  await lockAddress(trx, address);
  const pool = await poolTouching(trx, address);
  if (pool) {
    const why = `has just become one of ${pool.cidr} of pool ${pool.pool}`;
    throw weirError('CONFLICT', `${field} ${address} ${why}`, { field, value: address, fix: 'ask again' });
  }
  if (await isUnderlay(trx, address)) {
    throw weirError('CONFLICT', `${field} ${address} is a host's address`, { field, value: address, fix });
  }
  const block = await lbPoolTouching(trx, { start: address, stop: address });
  if (block) {
    const why = `lies in pool ${block.pool}, which belongs to services`;
    throw weirError('CONFLICT', `${field} ${address} ${why}`, { field, value: address, fix });
  }
  const service = await serviceAt(trx, address);
  if (service) {
    throw weirError('CONFLICT', `${field} ${address} is an address of service ${service}`, {
      field,
      value: address,
      fix,
    });
  }
  await requireFree(trx, field, address, id);
};

const assignOne = async (
  trx: Transaction<Tables>,
  asking: Asking,
  field: string,
  given: string | undefined,
): Promise<Assigned> => {
  const { family, pool, workload } = asking;
  const address = given === undefined ? await reservedFor(trx, workload, family) : checkAddress(field, given, family);
  if (address === undefined) return nextAddressFor(trx, asking);
  const touched = await poolTouching(trx, address);
  if (touched === undefined) {
    await checkOwn(trx, field, address, workload);
    return { address, grew: false };
  }
  const around = touched.pool === pool.name ? pool : await lockPool(trx, touched.pool, 'share');
  return certainAddress(trx, { ...asking, pool: around ?? pool }, field, address);
};

export interface Request {
  readonly host: string;
  readonly pool: PoolRow;
  readonly workload: string;
  readonly families: NetworkSpec['families'];
  readonly wanted: { readonly ip4?: string; readonly ip6?: string };
}

/** One address of each family that the fleet gives and the pool has, and of those that were asked for. */
export const assign = async (
  trx: Transaction<Tables>,
  { families, wanted, ...asking }: Request,
): Promise<{ readonly ip4: string | null; readonly ip6: string | null; readonly grew: boolean }> => {
  const found: { ip4: string | null; ip6: string | null; grew: boolean } = { ip4: null, ip6: null, grew: false };
  for (const [field, family, word] of [
    ['ip4', 4, 'ipv4'],
    ['ip6', 6, 'ipv6'],
  ] as const) {
    const given = wanted[field];
    const off = families !== 'dual' && families !== word;
    if (off && given !== undefined) {
      throw weirError('INVALID_ARGUMENT', `${field} ${given}: workloads of this fleet get ${families} addresses only`, {
        field,
        value: given,
        fix: 'leave it out, or set families with PUT /v1/network',
      });
    }
    const has = asking.pool.cidrs.some((cidr) => cidr.includes(':') === (family === 6));
    if (off || (!has && given === undefined)) continue;
    const { address, grew } = await assignOne(trx, { ...asking, family: family as Family }, field, given);
    found[field] = address;
    found.grew ||= grew;
  }
  if (found.ip4 === null && found.ip6 === null) {
    throw weirError(
      'INVALID_ARGUMENT',
      `pool ${asking.pool.name} has no ${families} addresses, and the fleet gives no others`,
      {
        field: 'pool',
        value: asking.pool.name,
        fix: `add a CIDR of that family with PUT /v1/pools/${asking.pool.name}, or choose another pool`,
      },
    );
  }
  return found;
};
