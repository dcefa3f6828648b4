// SPDX-License-Identifier: Apache-2.0
/**
 * Address pools: the cluster's pools are cut into slots, one for each host (a /24 and a /112), and a host's
 * workloads get addresses from its slot, next fit. Pure arithmetic; who has what is in the store.
 */
import { weirError } from '@weir/errors';
import { type Cidr, formatIp, parseCidr } from '@weir/net';

export interface Pools {
  readonly pool4: Cidr;
  readonly pool6: Cidr;
}

export const HOST_BITS4 = 24;
export const HOST_BITS6 = 112;
/** Skipped at the beginning of a slot: the network itself and a gateway; at the end: broadcast. */
const FIRST_OFFSET = 2n;
const ADDRESS_BITS = 128;

const toNumber = (addr: Uint8Array): bigint => BigInt(`0x${Buffer.from(addr).toString('hex')}`);
const toBytes = (value: bigint): Uint8Array => Buffer.from(value.toString(16).padStart(32, '0'), 'hex');

export const parsePools = (pool4: string, pool6: string): Pools => {
  const four = parseCidr(pool4);
  const six = parseCidr(pool6);
  const refuse = (field: string, value: string, fix: string) => {
    throw weirError('INVALID_ARGUMENT', `${field} ${value} can't be cut into host pools`, { field, value, fix });
  };
  if (four.family !== 4 || four.bits > HOST_BITS4) refuse('pool4', pool4, 'give an IPv4 prefix of at most 24 bits');
  if (six.family !== 6 || six.bits > HOST_BITS6) refuse('pool6', pool6, 'give an IPv6 prefix of at most 112 bits');
  return { pool4: four, pool6: six };
};

/** How many hosts fit; the smaller family decides. */
export const slotCount = ({ pool4, pool6 }: Pools): number => {
  const bits = Math.min(HOST_BITS4 - pool4.bits, HOST_BITS6 - pool6.bits, 24);
  return 2 ** bits;
};

const slice = (pool: Cidr, hostBits: number, slot: number): string => {
  const suffix = pool.family === 4 ? 32 - hostBits : ADDRESS_BITS - hostBits;
  return `${formatIp(toBytes(toNumber(pool.addr) + (BigInt(slot) << BigInt(suffix))))}/${hostBits}`;
};

export const hostPools = (pools: Pools, slot: number): { pool4: string; pool6: string } => ({
  pool4: slice(pools.pool4, HOST_BITS4, slot),
  pool6: slice(pools.pool6, HOST_BITS6, slot),
});

/** Addresses of a host's pool that may be given to workloads. */
export const capacity = (pool: Cidr): bigint => (1n << BigInt(ADDRESS_BITS - pool.bits128)) - FIRST_OFFSET - 1n;

/** The `index`th of them (wraps), as text. */
export const addressAt = (pool: Cidr, index: bigint): string =>
  formatIp(toBytes(toNumber(pool.addr) + FIRST_OFFSET + (index % capacity(pool))));

/** Throws unless `address` may be given out from the pool. */
export const checkStatic = (field: string, address: string, pool: Cidr): void => {
  const offset = toNumber(parseCidr(`${address}/${pool.family === 4 ? 32 : 128}`).addr) - toNumber(pool.addr);
  if (offset >= FIRST_OFFSET && offset < FIRST_OFFSET + capacity(pool)) return;
  throw weirError('INVALID_ARGUMENT', `${field} ${address} is not a free address of the host's pool ${pool.text}`, {
    field,
    value: address,
    fix: `choose from ${addressAt(pool, 0n)} to ${addressAt(pool, capacity(pool) - 1n)}, or leave it out`,
  });
};
