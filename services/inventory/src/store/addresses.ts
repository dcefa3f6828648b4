// SPDX-License-Identifier: Apache-2.0
/**
 * Addresses of workloads: next fit in the host's pool, skipping what is taken or was given back lately. The row of
 * the host is locked meanwhile, so two workloads of one host wait for each other and never get the same.
 */
import { weirError } from '@weir/errors';
import { type Cidr, parseCidr } from '@weir/net';
import { sql, type Transaction } from 'kysely';
import { addressAt, capacity } from '../domain/pools.ts';
import type { Tables } from './tables.ts';

/** How long an address rests: longer than conntrack keeps what is not TCP, and than agents need to hear of it. */
export const COOLDOWN_S = 120;
/** In a pool that is full otherwise: at least until agents have heard that the last owner is gone. */
const MIN_REST_S = 5;
/** Candidates looked at in one query. */
const BATCH = 64n;

interface HostPool {
  readonly id: string;
  readonly next: bigint;
  readonly pool: Cidr;
}

export interface HostForAllocation {
  readonly id: string;
  readonly pool4: Cidr;
  readonly pool6: Cidr;
  readonly next4: bigint;
  readonly next6: bigint;
}

export const lockHost = async (trx: Transaction<Tables>, hostId: string): Promise<HostForAllocation | undefined> => {
  const row = await trx
    .selectFrom('hosts')
    .select(['id', 'pool4', 'pool6', 'next4', 'next6'])
    .where('id', '=', hostId)
    // Heartbeats refer to the row meanwhile: its key stays.
    .forNoKeyUpdate()
    .executeTakeFirst();
  return row && { ...row, pool4: parseCidr(row.pool4), pool6: parseCidr(row.pool6) };
};

/** Which of `addresses` can't be given now: they have an owner, or had one less than `restS` ago. */
const blocked = async (trx: Transaction<Tables>, addresses: readonly string[], restS: number): Promise<Set<string>> => {
  const { rows } = await sql<{ address: string }>`
    select host(ip4) as address from workloads where ip4 = any(${addresses}::inet[])
    union all select host(ip6) from workloads where ip6 = any(${addresses}::inet[])
    union all select host(address) from released_addresses
      where address = any(${addresses}::inet[]) and released_at > now() - make_interval(secs => ${restS})`.execute(trx);
  return new Set(rows.map((row) => row.address));
};

const nextFit = async (trx: Transaction<Tables>, host: HostPool): Promise<{ address: string; next: bigint }> => {
  const size = capacity(host.pool);
  for (const restS of [COOLDOWN_S, MIN_REST_S]) {
    for (let start = 0n; start < size && start < 65_536n; start += BATCH) {
      const indexes = Array.from(
        { length: Number(BATCH < size - start ? BATCH : size - start) },
        (_, i) => host.next + start + BigInt(i),
      );
      const candidates = indexes.map((index) => addressAt(host.pool, index));
      const taken = await blocked(trx, candidates, restS);
      const free = candidates.findIndex((address) => !taken.has(address));
      if (free >= 0) return { address: candidates[free] as string, next: ((indexes[free] as bigint) + 1n) % size };
    }
  }
  throw weirError('CONFLICT', `host ${host.id} has no free address in ${host.pool.text}`, {
    field: 'host',
    value: host.id,
    fix: `delete workloads of this host, wait ${MIN_REST_S} s if you just did, or place the workload on another host`,
  });
};

/** Is it the address of a host on the network between the hosts? */
export const isUnderlay = async (trx: Transaction<Tables>, address: string): Promise<boolean> => {
  const { rows } = await sql`
    select 1 from hosts where underlay_ip4 = ${address}::inet or underlay_ip6 = ${address}::inet limit 1`.execute(trx);
  return rows.length > 0;
};

export interface Assigned {
  readonly ip4: string;
  readonly ip6: string;
}

/** Wanted addresses were checked against the pool before; whether they are free is checked here. */
export const assignAddresses = async (
  trx: Transaction<Tables>,
  host: HostForAllocation,
  wanted: { readonly ip4?: string; readonly ip6?: string },
): Promise<Assigned> => {
  const fixed = [wanted.ip4, wanted.ip6].filter((address) => address !== undefined);
  const taken = await blocked(trx, fixed, 0);
  for (const [field, address] of Object.entries(wanted)) {
    if (address === undefined || !taken.has(address)) continue;
    throw weirError('CONFLICT', `${field} ${address} belongs to another workload`, {
      field,
      value: address,
      fix: 'choose another address or leave it out',
    });
  }
  const four = wanted.ip4 ? undefined : await nextFit(trx, { id: host.id, pool: host.pool4, next: host.next4 });
  const six = wanted.ip6 ? undefined : await nextFit(trx, { id: host.id, pool: host.pool6, next: host.next6 });
  await trx
    .updateTable('hosts')
    .set({ ...(four ? { next4: four.next } : {}), ...(six ? { next6: six.next } : {}), id: host.id })
    .where('id', '=', host.id)
    .execute();
  return { ip4: wanted.ip4 ?? (four?.address as string), ip6: wanted.ip6 ?? (six?.address as string) };
};

export const releaseAddresses = async (trx: Transaction<Tables>, addresses: readonly string[]): Promise<void> => {
  await sql`delete from released_addresses where released_at < now() - make_interval(secs => ${COOLDOWN_S})`.execute(
    trx,
  );
  await sql`
    insert into released_addresses (address) select unnest(${addresses}::inet[])
    on conflict (address) do update set released_at = now()`.execute(trx);
};
