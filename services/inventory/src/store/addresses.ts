// SPDX-License-Identifier: Apache-2.0
/**
 * Addresses of workloads: next fit in the host's blocks of a pool, skipping what is taken, reserved, or was given back
 * lately. The row of the host is locked meanwhile, so two workloads of one host wait for each other.
 */
import { weirError } from '@weir/errors';
import { type Family, parseCidr } from '@weir/net';
import { sql, type Transaction } from 'kysely';
import { STALE_AFTER_MS } from '../domain/liveness.ts';
import { addressAt, capacity, checkStatic } from '../domain/pools.ts';
import { type BlockRow, blocksOf, lockBlocks, takeBlock, takeBlockAround } from './blocks.ts';
import type { PoolRow } from './pools.ts';
import type { Tables } from './tables.ts';

/** How long an address rests: longer than conntrack keeps what is not TCP, and than agents need to hear of it. */
export const COOLDOWN_S = 120;
/** In a pool that is full otherwise: at least until agents have heard that the last owner is gone. */
const MIN_REST_S = 5;
/** Candidates looked at in one query. */
const BATCH = 64n;
/** Addresses looked at in one block before the next is tried. */
const SEARCH_MAX = 65_536n;
/** A host whose blocks have fewer free addresses gets another block before they are used up. */
const PREALLOCATE = 8n;

/** Held to the end of the transaction. */
export const lockHost = (trx: Transaction<Tables>, hostId: string) =>
  trx
    .selectFrom('hosts')
    .selectAll()
    .where('id', '=', hostId)
    // Heartbeats refer to the row meanwhile: its key stays.
    .forNoKeyUpdate()
    .executeTakeFirst();

/**
 * Until the end of the transaction nobody else gets this address: not the host in whose block it lies, not who asks for it
 * by name. Locks in the order of who gives addresses: the host, then the blocks.
 */
export const lockAddress = async (trx: Transaction<Tables>, address: string): Promise<void> => {
  const holder = async (): Promise<string | null | undefined> => {
    const block = trx.selectFrom('blocks').select('host_id').where(sql<boolean>`cidr::inet >>= ${address}::inet`);
    return (await block.executeTakeFirst())?.host_id;
  };
  const before = await holder();
  if (before) await lockHost(trx, before);
  await lockBlocks(trx);
  const now = await holder();
  if (now && now !== before) await lockHost(trx, now);
};

/** Which of `addresses` `workload` can't get now: they have an owner, are kept for another, or had an owner less than `restS` ago. */
const blocked = async (
  trx: Transaction<Tables>,
  addresses: readonly string[],
  restS: number,
  workload: string,
): Promise<Set<string>> => {
  const { rows } = await sql<{ address: string }>`
    select host(ip4) as address from workloads where ip4 = any(${addresses}::inet[])
    union all select host(ip6) from workloads where ip6 = any(${addresses}::inet[])
    union all select host(address) from reservations where address = any(${addresses}::inet[]) and workload <> ${workload}
    union all select host(address) from released_addresses
      where address = any(${addresses}::inet[]) and released_at > now() - make_interval(secs => ${restS})`.execute(trx);
  return new Set(rows.map((row) => row.address));
};

/** Is it the address of a host on the network between the hosts? */
export const isUnderlay = async (trx: Transaction<Tables>, address: string): Promise<boolean> => {
  const { rows } = await sql`
    select 1 from hosts where underlay_ip4 = ${address}::inet or underlay_ip6 = ${address}::inet limit 1`.execute(trx);
  return rows.length > 0;
};

export interface Asking {
  readonly host: string;
  readonly pool: PoolRow;
  readonly family: Family;
  /** Its id, namespace.name. */
  readonly workload: string;
}

interface Found {
  readonly address: string;
  readonly block: string;
  readonly next: bigint;
}

const searchBlock = async (
  trx: Transaction<Tables>,
  { cidr, next }: BlockRow,
  restS: number,
  workload: string,
): Promise<Found | undefined> => {
  const block = parseCidr(cidr);
  const size = capacity(block);
  for (let start = 0n; start < size && start < SEARCH_MAX; start += BATCH) {
    const count = Number(BATCH < size - start ? BATCH : size - start);
    const indexes = Array.from({ length: count }, (_, i) => next + start + BigInt(i));
    const candidates = indexes.map((index) => addressAt(block, index));
    const taken = await blocked(trx, candidates, restS, workload);
    const free = candidates.findIndex((address) => !taken.has(address));
    if (free >= 0) {
      return { address: candidates[free] as string, block: cidr, next: ((indexes[free] as bigint) + 1n) % size };
    }
  }
  return undefined;
};

const freeIn = ({ cidr, used }: BlockRow): bigint => capacity(parseCidr(cidr)) - BigInt(used);

export interface Assigned {
  readonly address: string;
  /** The host holds other blocks than before. */
  readonly grew: boolean;
}

/** The next free address: of blocks that the host has, of a new one, or at last one that rests a short while only. */
export const nextAddressFor = async (trx: Transaction<Tables>, asking: Asking): Promise<Assigned> => {
  const { host, pool, family, workload } = asking;
  const blocks = await blocksOf(trx, host, pool.name, family);
  let grew = false;
  const search = async (restS: number): Promise<Found | undefined> => {
    for (const block of blocks) {
      const found = freeIn(block) > 0n ? await searchBlock(trx, block, restS, workload) : undefined;
      if (found) return found;
    }
    return undefined;
  };
  const grow = async (): Promise<void> => {
    const block = await takeBlock(trx, host, pool, family);
    if (block) blocks.push(block);
    grew ||= block !== undefined;
  };
  let found = await search(COOLDOWN_S);
  if (!found) {
    await grow();
    found = (grew ? await search(COOLDOWN_S) : undefined) ?? (await search(MIN_REST_S));
  }
  if (!found) {
    throw weirError(
      'CONFLICT',
      `host ${host} has no free IPv${family} address in pool ${pool.name}, and the pool no free block`,
      {
        field: 'host',
        value: host,
        fix: `delete workloads of this host, wait ${MIN_REST_S} s if you just did, or add a CIDR with PUT /v1/pools/${pool.name}`,
      },
    );
  }
  const { block, next, address } = found;
  await sql`update blocks set used = used + 1, next = ${next}, changed_at = now() where cidr = ${block}::cidr`.execute(
    trx,
  );
  const free = blocks.reduce((sum, one) => sum + freeIn(one), -1n);
  if (free < PREALLOCATE && !grew) await grow();
  return { address, grew };
};

const taken = (field: string, address: string, why: string) =>
  weirError('CONFLICT', `${field} ${address} ${why}`, {
    field,
    value: address,
    fix: 'choose another address or leave it out',
  });

/** An address that was asked for, of the pool: in a block of this host, or in one that nobody holds, which it gets. */
export const certainAddress = async (
  trx: Transaction<Tables>,
  asking: Asking,
  field: string,
  address: string,
): Promise<Assigned> => {
  const { block, fresh } = await takeBlockAround(trx, asking.host, asking.pool, address);
  if (block.host_id !== asking.host) {
    throw weirError('INVALID_ARGUMENT', `${field} ${address} lies in ${block.cidr}, which is host ${block.host_id}'s`, {
      field,
      value: address,
      fix: `place the workload on ${block.host_id}, choose another address, or leave it out`,
    });
  }
  checkStatic(field, address, parseCidr(block.cidr));
  await requireFree(trx, field, address, asking.workload);
  await sql`update blocks set used = used + 1, changed_at = now() where cidr = ${block.cidr}::cidr`.execute(trx);
  return { address, grew: fresh };
};

/** Throws when the address has an owner or is kept for one. */
export const requireFree = async (
  trx: Transaction<Tables>,
  field: string,
  address: string,
  workload: string,
): Promise<void> => {
  if (!(await blocked(trx, [address], 0, workload)).has(address)) return;
  const { rows } = await sql<{ workload: string }>`
    select workload from reservations where address = ${address}::inet and workload <> ${workload}`.execute(trx);
  throw taken(field, address, rows[0] ? `is reserved for ${rows[0].workload}` : 'belongs to another workload');
};

/** What is reserved for a workload, of that family. */
export const reservedFor = async (
  trx: Transaction<Tables>,
  workload: string,
  family: Family,
): Promise<string | undefined> => {
  const { rows } = await sql<{ address: string }>`
    select host(address) as address from reservations
    where workload = ${workload} and family(address) = ${family} order by address limit 1`.execute(trx);
  return rows[0]?.address;
};

/** `identity`: whose they were. Say with noteRelease() in which revision hosts hear of it. */
export const releaseAddresses = async (
  trx: Transaction<Tables>,
  given: readonly (string | null)[],
  identity: number,
): Promise<void> => {
  const addresses = given.filter((address) => address !== null);
  await sql`delete from released_addresses where released_at < now() - make_interval(secs => ${COOLDOWN_S})`.execute(
    trx,
  );
  await sql`
    insert into released_addresses (address, identity) select unnest(${addresses}::inet[]), ${identity}
    on conflict (address) do update set released_at = now(), identity = excluded.identity, revision = null`.execute(
    trx,
  );
  for (const address of addresses) {
    await sql`
      update blocks set used = greatest(used - 1, 0), changed_at = now() where cidr::inet >>= ${address}::inet`.execute(
      trx,
    );
  }
};

/** Hosts that have realised `revision` do not know the addresses any more. */
export const noteRelease = async (
  trx: Transaction<Tables>,
  given: readonly (string | null)[],
  revision: bigint,
): Promise<void> => {
  const addresses = given.filter((address) => address !== null);
  await sql`update released_addresses set revision = ${revision} where address = any(${addresses}::inet[])`.execute(
    trx,
  );
};

export class StillKnown extends Error {
  override readonly name = 'StillKnown';
  readonly address: string;
  readonly hosts: readonly string[];

  constructor(address: string, hosts: readonly string[]) {
    super(`${address} is still another workload's for ${hosts.join(', ')}`);
    this.address = address;
    this.hosts = hosts;
  }
}

const HOSTS_NAMED = 5;

/**
 * Throws StillKnown while a host takes one of the addresses for that of a workload with another identity, whose access its next owner would
 * have there (S17). Hosts that were silent when it was given back are not waited for, and nobody longer than addresses rest.
 */
export const requireForgotten = async (
  trx: Transaction<Tables>,
  given: readonly (string | null)[],
  identity: number,
): Promise<void> => {
  const addresses = given.filter((address) => address !== null);
  const { rows } = await sql<{ address: string; host_id: string }>`
    select host(r.address) as address, s.host_id
    from released_addresses r
    join host_status s on s.last_seen_at > r.released_at - make_interval(secs => ${STALE_AFTER_MS / 1_000})
      and coalesce((s.realised ->> 'inventory')::bigint, 0) < r.revision
    where r.address = any(${addresses}::inet[]) and r.identity <> ${identity}
      and r.released_at > now() - make_interval(secs => ${COOLDOWN_S})
    order by r.address, s.host_id limit ${HOSTS_NAMED}`.execute(trx);
  const [first] = rows;
  if (first) throw new StillKnown(first.address, [...new Set(rows.map(({ host_id }) => host_id))]);
};
