// SPDX-License-Identifier: Apache-2.0
/** Hosts: joining, changing, leaving. */
import { enqueueConfig } from '@weir/bus/publishing';
import { isUniqueViolation, type Once, onlyOnce, withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { requireMatch } from '@weir/http';
import { cidrContainsIp, parseCidr, parseIp } from '@weir/net';
import type { Transaction } from 'kysely';
import { checkUnderlay, refused } from '../domain/addresses.ts';
import { hostDocument } from '../domain/documents.ts';
import { checkLabels, type Labels } from '../domain/labels.ts';
import { checkName } from '../domain/names.ts';
import { DEFAULT_POOL } from '../domain/pools.ts';
import type { PrefilterSpec } from '../domain/prefilters.ts';
import { giveBack, poolsOfHost, takeBlock } from '../store/blocks.ts';
import { getHost, type HostRow, type HostWithStatus, insertHost, lockUnderlay } from '../store/hosts.ts';
import { lbPoolTouching } from '../store/lb-pools.ts';
import { listObjects } from '../store/objects.ts';
import { lockPool, type PoolRow, poolTouching } from '../store/pools.ts';
import type { Tables } from '../store/tables.ts';
import { notFound, type Operations } from './context.ts';
import { holdNetwork, readNetwork } from './network.ts';
import { serviceAt } from './service-addresses.ts';
import { enqueueWith, followHost, ZONE_LABEL } from './service-backends.ts';

/** As many as anybody has; a bound on one query. */
const PREFILTERS_MAX = 10_000;

export interface HostInput {
  readonly name: string;
  readonly labels?: Labels;
  readonly underlay_ip4?: string | null;
  readonly underlay_ip6?: string | null;
}

/** An address that the hosts drop at their uplinks is none that a host can have. */
const refusePrefiltered = async (trx: Transaction<Tables>, input: Partial<HostInput>): Promise<void> => {
  const given = (['underlay_ip4', 'underlay_ip6'] as const).flatMap((field) => {
    const address = input[field];
    return address ? [{ field, address, bytes: parseIp(address) }] : [];
  });
  if (given.length === 0) return;
  for (const { name, spec } of await listObjects<PrefilterSpec>(trx, 'prefilter', '', PREFILTERS_MAX)) {
    for (const cidr of spec.cidrs.map((text) => parseCidr(text))) {
      const hit = given.find(({ bytes }) => cidrContainsIp(cidr, bytes));
      if (hit === undefined) continue;
      throw weirError('CONFLICT', `${hit.field} ${hit.address} lies in ${cidr.text}, which prefilter ${name} drops`, {
        field: hit.field,
        value: hit.address,
        fix: `take it out of the prefilter first (PUT /v1/prefilters/${name}), or give another address`,
      });
    }
  }
};

/** What a unique constraint means to whoever asked. */
const conflict = (error: unknown, id: string, input: Partial<HostInput>): unknown => {
  if (isUniqueViolation(error, 'hosts_pkey')) {
    return weirError('CONFLICT', `host ${id} exists`, {
      field: 'name',
      value: id,
      fix: 'choose another name, or change the host with PATCH',
      cause: error,
    });
  }
  for (const field of ['underlay_ip4', 'underlay_ip6'] as const) {
    if (!isUniqueViolation(error, `hosts_${field}_key`)) continue;
    return weirError('CONFLICT', `another host has ${field} ${input[field]}`, {
      field,
      value: input[field],
      fix: 'give the address of this host, or correct the other one first',
      cause: error,
    });
  }
  return error;
};

/** Addresses of workloads and services are none that a host can have. */
const refusePooled = async (trx: Transaction<Tables>, input: Partial<HostInput>): Promise<void> => {
  for (const field of ['underlay_ip4', 'underlay_ip6'] as const) {
    const address = input[field];
    if (!address) continue;
    const fix = "give the host's address on the network between the hosts, or leave it out";
    const pool = await poolTouching(trx, address);
    if (pool)
      throw refused(field, address, `lies in ${pool.cidr} of pool ${pool.pool}, which belongs to workloads`, fix);
    const block = await lbPoolTouching(trx, { start: address, stop: address });
    if (block) throw refused(field, address, `lies in pool ${block.pool}, which belongs to services`, fix);
    const service = await serviceAt(trx, address);
    if (service) throw refused(field, address, `is an address of service ${service}`, fix);
    const { prefix } = (await readNetwork(trx)).spec.nat64;
    if (prefix !== '' && cidrContainsIp(parseCidr(prefix), parseIp(address))) {
      throw refused(field, address, `lies in nat64.prefix ${prefix} of the network`, fix);
    }
  }
};

/** A block of the pool `default` for each family that workloads get. */
const firstBlocks = async (trx: Transaction<Tables>, id: string): Promise<void> => {
  const { families } = await holdNetwork(trx);
  const pool = (await lockPool(trx, DEFAULT_POOL, 'share')) as PoolRow;
  for (const family of [4, 6] as const) {
    const has = pool.cidrs.some((cidr) => cidr.includes(':') === (family === 6));
    if (!has || (families !== 'dual' && families !== `ipv${family}`)) continue;
    if (await takeBlock(trx, id, pool, family)) continue;
    throw weirError('CONFLICT', `all IPv${family} blocks of pool ${pool.name} are taken`, {
      field: 'name',
      value: id,
      fix: `delete hosts that are gone, or make the pool larger with PUT /v1/pools/${pool.name}: larger pools hold more hosts`,
    });
  }
};

export const createHost = async ({ db }: Operations, input: HostInput, once?: Once): Promise<HostWithStatus> => {
  checkName('name', input.name);
  checkLabels(input.labels ?? {}, 'labels');
  const host = {
    id: input.name,
    labels: input.labels ?? {},
    underlay_ip4: checkUnderlay('underlay_ip4', input.underlay_ip4),
    underlay_ip6: checkUnderlay('underlay_ip6', input.underlay_ip6),
  };
  try {
    const kept = await withTransaction(db, (trx) =>
      onlyOnce(trx, once, 'createHost', host, async () => {
        await lockUnderlay(trx);
        await refusePrefiltered(trx, host);
        await refusePooled(trx, host);
        const row = await insertHost(trx, host);
        await firstBlocks(trx, row.id);
        const { revision } = await enqueueConfig(trx, [hostDocument(row, await poolsOfHost(trx, row.id))]);
        await trx.updateTable('hosts').set({ revision }).where('id', '=', row.id).execute();
        // Only an answer that is kept is read while others wait for the locks.
        return once === undefined ? undefined : getHost(trx, row.id);
      }),
    );
    return kept ?? ((await getHost(db.kysely, input.name)) as HostWithStatus);
  } catch (error) {
    throw conflict(error, input.name, input);
  }
};

export const updateHost = async (
  { db }: Operations,
  id: string,
  change: Partial<Omit<HostInput, 'name'>>,
  ifMatch: string | undefined,
): Promise<HostWithStatus> => {
  if (change.labels) checkLabels(change.labels, 'labels');
  const underlay = {
    ...(change.underlay_ip4 === undefined ? {} : { underlay_ip4: checkUnderlay('underlay_ip4', change.underlay_ip4) }),
    ...(change.underlay_ip6 === undefined ? {} : { underlay_ip6: checkUnderlay('underlay_ip6', change.underlay_ip6) }),
  };
  try {
    await withTransaction(db, async (trx) => {
      if (change.underlay_ip4 || change.underlay_ip6) await lockUnderlay(trx);
      await refusePrefiltered(trx, change);
      await refusePooled(trx, change);
      const row = (await trx.selectFrom('hosts').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()) as
        | HostRow
        | undefined;
      if (!row) throw notFound('host', id);
      requireMatch(ifMatch, row.revision);
      const next: HostRow = { ...row, ...underlay, labels: change.labels ?? row.labels };
      const services = await followHost(trx, id, next.labels[ZONE_LABEL] ?? '');
      const [revision] = await enqueueWith(trx, [hostDocument(next, await poolsOfHost(trx, id))], services);
      await trx
        .updateTable('hosts')
        .set({
          labels: JSON.stringify(next.labels),
          underlay_ip4: next.underlay_ip4,
          underlay_ip6: next.underlay_ip6,
          revision: revision as bigint,
        })
        .where('id', '=', id)
        .execute();
    });
  } catch (error) {
    throw conflict(error, id, change);
  }
  return (await getHost(db.kysely, id)) as HostWithStatus;
};

export const deleteHost = ({ db }: Operations, id: string, ifMatch: string | undefined): Promise<void> =>
  withTransaction(db, async (trx) => {
    const row = await trx.selectFrom('hosts').select('revision').where('id', '=', id).forUpdate().executeTakeFirst();
    if (!row) throw notFound('host', id);
    requireMatch(ifMatch, row.revision);
    const workload = await trx
      .selectFrom('workloads')
      .select('id')
      .where('host_id', '=', id)
      .limit(1)
      .executeTakeFirst();
    if (workload) {
      throw weirError('CONFLICT', `host ${id} has workloads, ${workload.id} among them`, {
        field: 'id',
        value: id,
        fix: 'delete its workloads first',
      });
    }
    await giveBack(trx, id);
    // Somebody else is found soon.
    await trx.updateTable('service_backends').set({ prober: '' }).where('prober', '=', id).execute();
    await trx.deleteFrom('hosts').where('id', '=', id).execute();
    await enqueueConfig(trx, [{ kind: 'host', key: id }]);
  });
