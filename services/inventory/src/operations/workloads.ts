// SPDX-License-Identifier: Apache-2.0
/** Workloads: an identity by their labels, addresses of their host, and a document that tells its agent to wire them. */
import { enqueueConfig } from '@weir/bus';
import { isUniqueViolation, type Once, onlyOnce, withTransaction } from '@weir/db';
import { type FieldIssue, weirError } from '@weir/errors';
import { requireMatch } from '@weir/http';
import { cidrContainsIp, parseIp } from '@weir/net';
import type { Transaction } from 'kysely';
import { checkAddress, checkUnicast } from '../domain/addresses.ts';
import { identityDocuments, workloadDocument } from '../domain/documents.ts';
import { checkLabels, type Labels, securityLabels } from '../domain/labels.ts';
import { checkCgroup, checkName, checkNetns, workloadId } from '../domain/names.ts';
import { checkStatic, type Pools } from '../domain/pools.ts';
import { assignAddresses, type HostForAllocation, isUnderlay, lockHost, releaseAddresses } from '../store/addresses.ts';
import { allocateIdentity } from '../store/identities.ts';
import type { PortRow, Tables } from '../store/tables.ts';
import { getWorkload, lockWorkload, type WorkloadWithStatus } from '../store/workloads.ts';
import { notFound, type Operations } from './context.ts';
import { noteNamespace, useNamespace } from './namespaces.ts';

export interface WorkloadInput {
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly labels?: Labels;
  readonly netns?: string;
  readonly cgroup?: string;
  readonly ip4?: string;
  readonly ip6?: string;
  readonly ports?: readonly PortRow[];
}

/** A name stands for one port of one protocol: otherwise a policy that uses it would mean two things. */
const checkPorts = (ports: readonly PortRow[]): void => {
  const issues: FieldIssue[] = [];
  const seen = new Set<string>();
  for (const [i, { name, protocol }] of ports.entries()) {
    const key = `${name}/${protocol}`;
    if (seen.has(key)) {
      issues.push({ path: `ports[${i}].name`, message: `${key} is named twice`, value: name, fix: 'use another name' });
    }
    seen.add(key);
  }
  const [first] = issues;
  if (first)
    throw weirError('INVALID_ARGUMENT', `${first.path}: ${first.message}`, {
      field: first.path,
      value: first.value,
      fix: first.fix,
      issues,
    });
};

interface Wanted {
  readonly ip4?: string;
  readonly ip6?: string;
}

/**
 * Addresses that were asked for: of the pool of the workload's host, or of no pool of the cluster at all. The latter are
 * the operator's own: the network between the hosts must know the way to them.
 */
const checkWanted = async (
  trx: Transaction<Tables>,
  pools: Pools,
  host: HostForAllocation,
  wanted: Wanted,
): Promise<void> => {
  for (const [field, pool, own] of [
    ['ip4', pools.pool4, host.pool4],
    ['ip6', pools.pool6, host.pool6],
  ] as const) {
    const address = wanted[field];
    if (address === undefined) continue;
    if (cidrContainsIp(pool, parseIp(address)) || cidrContainsIp(own, parseIp(address))) {
      checkStatic(field, address, own);
      continue;
    }
    const fix = `give an address of ${own.text}, or a unicast address outside the cluster's pools`;
    checkUnicast(field, address, fix);
    if (await isUnderlay(trx, address)) {
      throw weirError('CONFLICT', `${field} ${address} is a host's address`, { field, value: address, fix });
    }
  }
};

const insertWorkload = async (
  trx: Transaction<Tables>,
  pools: Pools,
  id: string,
  input: WorkloadInput,
): Promise<void> => {
  const host = await lockHost(trx, input.host);
  if (!host) {
    throw weirError('INVALID_ARGUMENT', `there is no host ${JSON.stringify(input.host)}`, {
      field: 'host',
      value: input.host,
      fix: 'name one of GET /v1/hosts, or create it with POST /v1/hosts',
    });
  }
  const wanted = {
    ...(input.ip4 === undefined ? {} : { ip4: checkAddress('ip4', input.ip4, 4) }),
    ...(input.ip6 === undefined ? {} : { ip6: checkAddress('ip6', input.ip6, 6) }),
  };
  await checkWanted(trx, pools, host, wanted);
  const namespace = await useNamespace(trx, input.namespace);
  const security = securityLabels(input.labels ?? {}, input.namespace, namespace.labels);
  const allocated = await allocateIdentity(trx, security);
  const row = {
    id,
    namespace: input.namespace,
    name: input.name,
    host_id: host.id,
    labels: input.labels ?? {},
    identity: allocated.identity,
    ...(await assignAddresses(trx, host, wanted)),
    netns: input.netns ?? '',
    cgroup: input.cgroup ?? '',
    ports: input.ports ?? [],
  };
  await trx
    .insertInto('workloads')
    .values({ ...row, labels: JSON.stringify(row.labels), ports: JSON.stringify(row.ports), revision: 0n })
    .execute();
  const { revision } = await enqueueConfig(trx, [...identityDocuments(allocated, security), workloadDocument(row)]);
  await trx.updateTable('workloads').set({ revision }).where('id', '=', id).execute();
  if (namespace.made) await noteNamespace(trx, input.namespace, 'written');
};

export const createWorkload = async (
  { db, pools }: Operations,
  input: WorkloadInput,
  once?: Once,
): Promise<WorkloadWithStatus> => {
  checkName('name', input.name);
  checkName('namespace', input.namespace);
  checkLabels(input.labels ?? {}, 'labels');
  checkNetns(input.netns ?? '');
  checkCgroup(input.cgroup ?? '');
  checkPorts(input.ports ?? []);
  const id = workloadId(input.namespace, input.name);
  try {
    const kept = await withTransaction(db, (trx) =>
      onlyOnce(trx, once, 'createWorkload', input, async () => {
        await insertWorkload(trx, pools, id, input);
        // Only an answer that is kept is read while others wait for the locks.
        return once === undefined ? undefined : getWorkload(trx, id);
      }),
    );
    return kept ?? ((await getWorkload(db.kysely, id)) as WorkloadWithStatus);
  } catch (error) {
    if (!isUniqueViolation(error, 'workloads_pkey')) throw error;
    throw weirError('CONFLICT', `workload ${id} exists`, {
      field: 'name',
      value: input.name,
      fix: 'choose another name, or delete the one that exists',
      cause: error,
    });
  }
};

export const updateWorkload = async (
  { db }: Operations,
  id: string,
  change: { readonly labels?: Labels; readonly ports?: readonly PortRow[] },
  ifMatch: string | undefined,
): Promise<WorkloadWithStatus> => {
  if (change.labels) checkLabels(change.labels, 'labels');
  if (change.ports) checkPorts(change.ports);
  await withTransaction(db, async (trx) => {
    // Namespace before workload, as everybody else locks them.
    const found = await trx.selectFrom('workloads').select('namespace').where('id', '=', id).executeTakeFirst();
    if (!found) throw notFound('workload', id);
    const namespace = await useNamespace(trx, found.namespace);
    const row = await lockWorkload(trx, id);
    if (!row) throw notFound('workload', id);
    requireMatch(ifMatch, row.revision);
    const labels = change.labels ?? row.labels;
    const ports = change.ports ?? row.ports;
    const security = securityLabels(labels, row.namespace, namespace.labels);
    const allocated = await allocateIdentity(trx, security);
    const next = { ...row, labels, ports, identity: allocated.identity };
    const { revision } = await enqueueConfig(trx, [...identityDocuments(allocated, security), workloadDocument(next)]);
    await trx
      .updateTable('workloads')
      .set({ labels: JSON.stringify(labels), ports: JSON.stringify(ports), identity: next.identity, revision })
      .where('id', '=', id)
      .execute();
  });
  return (await getWorkload(db.kysely, id)) as WorkloadWithStatus;
};

export const deleteWorkload = ({ db }: Operations, id: string, ifMatch: string | undefined): Promise<void> =>
  withTransaction(db, async (trx) => {
    const row = await lockWorkload(trx, id);
    if (!row) throw notFound('workload', id);
    requireMatch(ifMatch, row.revision);
    await releaseAddresses(trx, [row.ip4, row.ip6]);
    await trx.deleteFrom('workloads').where('id', '=', id).execute();
    await enqueueConfig(trx, [{ kind: 'workload', key: id }]);
  });
