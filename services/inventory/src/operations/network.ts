// SPDX-License-Identifier: Apache-2.0
/** How the hosts are joined: one object. It is refused when what exists in the fleet could not go on under it. */
import { enqueueConfig } from '@weir/bus/publishing';
import { withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { checked, requireMatch } from '@weir/http';
import { type Kysely, sql, type Transaction } from 'kysely';
import { networkDocument } from '../domain/documents.ts';
import { checkNetwork, NetworkPutSchema, type NetworkSpec } from '../domain/network.ts';
import { lockUnderlay } from '../store/hosts.ts';
import { type FleetObject, getObject, lockObject, saveObject } from '../store/objects.ts';
import type { Tables } from '../store/tables.ts';
import type { Operations } from './context.ts';

/** Key of the one network document. */
const FLEET = 'fleet';

export interface Network {
  readonly spec: NetworkSpec;
  readonly revision: bigint;
}

/** What was never set is as by default, also what an earlier version did not know. */
const networkOf = (row: FleetObject<object> | undefined): Network => ({
  spec: checked(NetworkPutSchema, structuredClone(row?.spec ?? {})) as NetworkSpec,
  revision: row?.revision ?? 0n,
});

export const readNetwork = async (db: Kysely<Tables>): Promise<Network> =>
  networkOf(await getObject(db, 'network', FLEET));

/** As it is until the end of the transaction: what a workload gets depends on it. */
export const holdNetwork = async (trx: Transaction<Tables>): Promise<NetworkSpec> =>
  networkOf(await lockObject(trx, 'network', FLEET, 'share')).spec;

const checkFamilies = async (trx: Transaction<Tables>, { families }: NetworkSpec): Promise<void> => {
  if (families === 'dual') return;
  const [gone, name] = families === 'ipv4' ? (['ip6', 'IPv6'] as const) : (['ip4', 'IPv4'] as const);
  const user = await trx
    .selectFrom('workloads')
    .select(['id', gone])
    .where(gone, 'is not', null)
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
  if (user === undefined) return;
  throw weirError(
    'CONFLICT',
    `families ${families}: ${name} addresses are in use, ${user[gone as 'ip4']} of workload ${user.id} among them`,
    {
      field: 'families',
      value: families,
      fix: `delete the workloads that have ${name} addresses first, or leave families at dual`,
    },
  );
};

const checkUnderlay = async (trx: Transaction<Tables>, { underlay, routing }: NetworkSpec): Promise<void> => {
  const [wanted, other] =
    underlay === 'ipv6' ? (['underlay_ip6', 'underlay_ip4'] as const) : (['underlay_ip4', 'underlay_ip6'] as const);
  const host = await trx
    .selectFrom('hosts')
    .select('id')
    .where(wanted, 'is', null)
    .where(other, 'is not', null)
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
  // Natively each family has its own way; a tunnel has one, and whoever lacks its address would be cut off.
  if (host === undefined || routing === 'native') return;
  throw weirError('CONFLICT', `underlay ${underlay}: host ${host.id} has no ${wanted}`, {
    field: 'underlay',
    value: underlay,
    fix: `give the host one (PATCH /v1/hosts/${host.id}), or choose the other family`,
  });
};

/** An address of the fleet under the prefix could not be reached any more. */
const checkNat64 = async (trx: Transaction<Tables>, { nat64: { prefix } }: NetworkSpec): Promise<void> => {
  if (prefix === '') return;
  const { rows } = await sql<{ cidr: string; pool: string }>`
    select cidr::text as cidr, pool from pool_cidrs where cidr && ${prefix}::cidr order by cidr limit 1`.execute(trx);
  const [taken] = rows;
  const refuse = (why: string): Error =>
    weirError('CONFLICT', `nat64.prefix ${prefix} ${why}`, {
      field: 'nat64.prefix',
      value: prefix,
      fix: 'give 64:ff9b::/96, or 96 bits that belong to no pool, host or service',
    });
  if (taken) throw refuse(`overlaps ${taken.cidr} of the pool ${taken.pool}`);
  const { rows: others } = await sql<{ why: string }>`
    select 'contains ' || host(underlay_ip6) || ', the address of host ' || id as why
      from hosts where underlay_ip6 <<= ${prefix}::inet
    union all select 'overlaps ' || host(start) || '-' || host(stop) || ' of the pool ' || pool || ' of services'
      from lb_blocks where start <= host(broadcast(${prefix}::inet))::inet and stop >= host(${prefix}::inet)::inet
        and family(start) = 6
    union all select 'contains ' || host(address) || ', which service ' || service_id || ' has'
      from service_frontends where address <<= ${prefix}::inet
    limit 1`.execute(trx);
  if (others[0]) throw refuse(others[0].why);
};

const checkNodePorts = async (trx: Transaction<Tables>, { services }: NetworkSpec): Promise<void> => {
  const { node_port_low: low, node_port_high: high } = services;
  const used = await trx
    .selectFrom('service_frontends')
    .select(['service_id', 'port'])
    .where('type', '=', 'node-port')
    .where((eb) => eb.or([eb('port', '<', low), eb('port', '>', high)]))
    .limit(1)
    .executeTakeFirst();
  if (used === undefined) return;
  const field = used.port < low ? 'services.node_port_low' : 'services.node_port_high';
  const value = used.port < low ? low : high;
  throw weirError('CONFLICT', `${field} ${value}: service ${used.service_id} has node port ${used.port}`, {
    field,
    value,
    fix: `give its frontend another port first, or keep ${used.port} in the range`,
  });
};

/** `given`: as the schema fills it in. */
export const putNetwork = ({ db }: Operations, given: NetworkSpec, ifMatch: string | undefined): Promise<Network> => {
  const spec = checkNetwork(given);
  return withTransaction(db, async (trx) => {
    // Hosts and pools that come meanwhile are checked against the network as it is then.
    await lockUnderlay(trx);
    const row = await lockObject<object>(trx, 'network', FLEET, 'update');
    requireMatch(ifMatch, row?.revision ?? 0n);
    await checkFamilies(trx, spec);
    await checkUnderlay(trx, spec);
    await checkNat64(trx, spec);
    await checkNodePorts(trx, spec);
    const { revision } = await enqueueConfig(trx, [networkDocument(spec)]);
    await saveObject(trx, 'network', FLEET, spec, revision);
    return { spec, revision };
  });
};
