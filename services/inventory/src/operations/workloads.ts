// SPDX-License-Identifier: Apache-2.0
/** Workloads: an identity by their labels, addresses of their host, and a document that tells its agent to wire them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isUniqueViolation, type Once, onlyOnce, withTransaction } from '@weir/db';
import { type FieldIssue, weirError } from '@weir/errors';
import { requireMatch } from '@weir/http';
import type { Transaction } from 'kysely';
import { type Annotated, fromAnnotations, POOL_ANNOTATION, parseBandwidth } from '../domain/bandwidth.ts';
import { hostDocument, identityDocuments, workloadDocument } from '../domain/documents.ts';
import { checkLabels, type Labels, securityLabels } from '../domain/labels.ts';
import { checkCgroup, checkName, checkNetns, workloadId } from '../domain/names.ts';
import { DEFAULT_POOL } from '../domain/pools.ts';
import {
  COOLDOWN_S,
  lockHost,
  noteRelease,
  releaseAddresses,
  requireForgotten,
  StillKnown,
} from '../store/addresses.ts';
import { poolsOfHost } from '../store/blocks.ts';
import { type HostRow, saveHostRevision } from '../store/hosts.ts';
import { allocateIdentity } from '../store/identities.ts';
import type { PortRow, Tables } from '../store/tables.ts';
import { getWorkload, lockWorkload, type WorkloadWithStatus } from '../store/workloads.ts';
import { notFound, type Operations } from './context.ts';
import { assign, poolFor } from './ipam.ts';
import { noteNamespace, useNamespace } from './namespaces.ts';
import { holdNetwork } from './network.ts';
import { enqueueWith, followWorkload } from './service-backends.ts';

export interface WorkloadInput {
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly labels?: Labels;
  readonly netns?: string;
  readonly cgroup?: string;
  /** It is that cgroup, with the addresses of its host. */
  readonly host_network?: boolean;
  readonly ip4?: string;
  readonly ip6?: string;
  readonly ports?: readonly PortRow[];
  /** Its pool; else that of its namespace's label, else `default`. */
  readonly pool?: string;
  readonly egress_bandwidth?: string | null;
  readonly ingress_bandwidth?: string | null;
  readonly source_check?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
}

const bandwidthOf = ({ egress_bandwidth, ingress_bandwidth, pool }: Annotated): Annotated => ({
  ...(egress_bandwidth === undefined ? {} : { egress_bandwidth }),
  ...(ingress_bandwidth === undefined ? {} : { ingress_bandwidth }),
  ...(pool === undefined ? {} : { pool }),
});

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

const hostNetworkError = (field: string, value: unknown, message: string, fix: string): Error =>
  weirError('INVALID_ARGUMENT', message, { field, value, fix });

/** What needs an interface or an address of its own. */
const OF_INTERFACES = ['netns', 'ip4', 'ip6', 'pool', 'egress_bandwidth', 'ingress_bandwidth', 'source_check'] as const;

const checkHostNetwork = (input: Partial<WorkloadInput>): void => {
  if (!input.cgroup) {
    throw hostNetworkError(
      ...(['cgroup', '', "a workload with the host's own network is a cgroup, and none is named"] as const),
      'give its path below the cgroup2 mount of the host, such as system.slice/nginx.service',
    );
  }
  refuseOfInterfaces(input);
};

const refuseOfInterfaces = (input: Partial<WorkloadInput>): void => {
  const given = OF_INTERFACES.find((field) => input[field] !== undefined && input[field] !== null);
  if (!given) return;
  const why = 'has no network namespace, interface or address of its own';
  throw hostNetworkError(
    ...([given, input[given], `${given}: a workload with the host's own network ${why}`] as const),
    `leave ${given} out`,
  );
};

const noHost = (host: string): Error =>
  weirError('INVALID_ARGUMENT', `there is no host ${JSON.stringify(host)}`, {
    field: 'host',
    value: host,
    fix: 'name one of GET /v1/hosts, or create it with POST /v1/hosts',
  });

const NO_ADDRESSES = { ip4: null, ip6: null, grew: false } as const;

const insertWorkload = async (trx: Transaction<Tables>, id: string, input: WorkloadInput): Promise<void> => {
  const { families } = await holdNetwork(trx);
  const host = (await lockHost(trx, input.host)) as HostRow | undefined;
  if (!host) throw noHost(input.host);
  const namespace = await useNamespace(trx, input.namespace);
  const pool = await poolFor(trx, input.host_network ? DEFAULT_POOL : input.pool, namespace.labels);
  const addresses = input.host_network
    ? NO_ADDRESSES
    : await assign(trx, { host: host.id, pool, workload: id, families, wanted: input });
  const security = securityLabels(input.labels ?? {}, input.namespace, namespace.labels);
  const allocated = await allocateIdentity(trx, security);
  await requireForgotten(trx, [addresses.ip4, addresses.ip6], allocated.identity);
  const row = {
    id,
    namespace: input.namespace,
    name: input.name,
    host_id: host.id,
    labels: input.labels ?? {},
    identity: allocated.identity,
    ip4: addresses.ip4,
    ip6: addresses.ip6,
    pool: pool.name,
    netns: input.netns ?? '',
    cgroup: input.cgroup ?? '',
    ports: input.ports ?? [],
    egress_bandwidth: parseBandwidth('egress_bandwidth', input.egress_bandwidth),
    ingress_bandwidth: parseBandwidth('ingress_bandwidth', input.ingress_bandwidth),
    source_check: input.source_check ?? true,
    host_network: input.host_network ?? false,
  };
  await trx
    .insertInto('workloads')
    .values({ ...row, labels: JSON.stringify(row.labels), ports: JSON.stringify(row.ports), revision: 0n })
    .execute();
  // The host's new block first: the others know the way before anybody answers there.
  const blocks = addresses.grew ? [hostDocument(host, await poolsOfHost(trx, host.id))] : [];
  const documents = [...blocks, ...identityDocuments(allocated, security), workloadDocument(row)];
  const revisions = await enqueueWith(trx, documents, await followWorkload(trx, id, row));
  const revision = revisions.at(-1) as bigint;
  if (addresses.grew) await saveHostRevision(trx, host.id, revisions[0] as bigint);
  await trx.updateTable('workloads').set({ revision }).where('id', '=', id).execute();
  if (namespace.made) await noteNamespace(trx, input.namespace, 'written');
};

/** Hosts hear of a change in a fraction of a second; whoever is slower is told of, and not waited for. */
const FORGET_WAIT_MS = 2_000;
const FORGET_POLL_MS = 50;

const whenForgotten = async <T>(insert: () => Promise<T>): Promise<T> => {
  for (const untilMs = performance.now() + FORGET_WAIT_MS; ; ) {
    try {
      return await insert();
    } catch (error) {
      if (!(error instanceof StillKnown)) throw error;
      if (performance.now() < untilMs) {
        await sleep(FORGET_POLL_MS);
        continue;
      }
      const { address, hosts } = error;
      throw weirError(
        'CONFLICT',
        `${address} was another workload's a moment ago, and still is for ${hosts.join(', ')}`,
        {
          field: address.includes(':') ? 'ip6' : 'ip4',
          value: address,
          fix: `ask again once they have heard of it, or choose another address; nobody is waited for longer than ${COOLDOWN_S} s`,
          cause: error,
        },
      );
    }
  }
};

export const createWorkload = async (
  { db }: Operations,
  asked: WorkloadInput,
  once?: Once,
): Promise<WorkloadWithStatus> => {
  const input = { ...asked, ...fromAnnotations(asked.annotations, bandwidthOf(asked)) };
  parseBandwidth('egress_bandwidth', input.egress_bandwidth);
  parseBandwidth('ingress_bandwidth', input.ingress_bandwidth);
  checkName('name', input.name);
  checkName('namespace', input.namespace);
  checkLabels(input.labels ?? {}, 'labels');
  checkNetns(input.netns ?? '');
  checkCgroup(input.cgroup ?? '');
  if (input.host_network) checkHostNetwork(input);
  checkPorts(input.ports ?? []);
  const id = workloadId(input.namespace, input.name);
  const insert = () =>
    withTransaction(db, (trx) =>
      onlyOnce(trx, once, 'createWorkload', asked, async () => {
        await insertWorkload(trx, id, input);
        // Only an answer that is kept is read while others wait for the locks.
        return once === undefined ? undefined : getWorkload(trx, id);
      }),
    );
  try {
    const kept = await whenForgotten(insert);
    return kept ?? ((await getWorkload(db.kysely, id)) as WorkloadWithStatus);
  } catch (error) {
    if (isUniqueViolation(error, 'workloads_host_cgroup')) {
      throw weirError('CONFLICT', `cgroup ${input.cgroup} of host ${input.host} is a workload already`, {
        field: 'cgroup',
        value: input.cgroup,
        fix: 'delete that workload (GET /v1/workloads?host= lists them), or name another cgroup',
        cause: error,
      });
    }
    if (!isUniqueViolation(error, 'workloads_pkey')) throw error;
    throw weirError('CONFLICT', `workload ${id} exists`, {
      field: 'name',
      value: input.name,
      fix: 'choose another name, or delete the one that exists',
      cause: error,
    });
  }
};

export interface WorkloadChange {
  readonly labels?: Labels;
  readonly ports?: readonly PortRow[];
  /** Null: no limit. */
  readonly egress_bandwidth?: string | null;
  readonly ingress_bandwidth?: string | null;
  readonly source_check?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const updateWorkload = async (
  { db }: Operations,
  id: string,
  asked: WorkloadChange,
  ifMatch: string | undefined,
): Promise<WorkloadWithStatus> => {
  const change = { ...asked, ...fromAnnotations(asked.annotations, bandwidthOf(asked)) };
  if (change.pool !== undefined) {
    throw weirError('INVALID_ARGUMENT', 'the pool of a workload stays: its addresses are of it', {
      field: `annotations.${POOL_ANNOTATION}`,
      value: change.pool,
      fix: 'delete the workload and create it again',
    });
  }
  const settings = {
    ...(change.source_check === undefined ? {} : { source_check: change.source_check }),
    ...(change.egress_bandwidth === undefined
      ? {}
      : { egress_bandwidth: parseBandwidth('egress_bandwidth', change.egress_bandwidth) }),
    ...(change.ingress_bandwidth === undefined
      ? {}
      : { ingress_bandwidth: parseBandwidth('ingress_bandwidth', change.ingress_bandwidth) }),
  };
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
    if (row.host_network) refuseOfInterfaces(change);
    const labels = change.labels ?? row.labels;
    const ports = change.ports ?? row.ports;
    const security = securityLabels(labels, row.namespace, namespace.labels);
    const allocated = await allocateIdentity(trx, security);
    const next = { ...row, ...settings, labels, ports, identity: allocated.identity };
    const documents = [...identityDocuments(allocated, security), workloadDocument(next)];
    const revisions = await enqueueWith(trx, documents, await followWorkload(trx, id, next));
    await trx
      .updateTable('workloads')
      .set({
        ...settings,
        labels: JSON.stringify(labels),
        ports: JSON.stringify(ports),
        identity: next.identity,
        revision: revisions.at(-1) as bigint,
      })
      .where('id', '=', id)
      .execute();
  });
  return (await getWorkload(db.kysely, id)) as WorkloadWithStatus;
};

export const deleteWorkload = ({ db }: Operations, id: string, ifMatch: string | undefined): Promise<void> =>
  withTransaction(db, async (trx) => {
    // Namespace before workload, as everybody else locks them: no service selects it meanwhile.
    await trx
      .selectFrom('namespaces as n')
      .innerJoin('workloads as w', 'w.namespace', 'n.name')
      .select('n.name')
      .where('w.id', '=', id)
      .forShare('n')
      .execute();
    const row = await lockWorkload(trx, id);
    if (!row) throw notFound('workload', id);
    requireMatch(ifMatch, row.revision);
    const addresses = [row.ip4, row.ip6];
    await releaseAddresses(trx, addresses, row.identity);
    await trx.deleteFrom('workloads').where('id', '=', id).execute();
    const followed = await followWorkload(trx, id, undefined);
    const [revision] = await enqueueWith(trx, [{ kind: 'workload', key: id }], followed);
    await noteRelease(trx, addresses, revision as bigint);
  });
