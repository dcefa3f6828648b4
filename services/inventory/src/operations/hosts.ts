// SPDX-License-Identifier: Apache-2.0
/** Hosts: joining, changing, leaving. */
import { enqueueConfig } from '@weir/bus';
import { isUniqueViolation, type Once, onlyOnce, withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { requireMatch } from '@weir/http';
import { checkUnderlay } from '../domain/addresses.ts';
import { hostDocument } from '../domain/documents.ts';
import { checkLabels, type Labels } from '../domain/labels.ts';
import { checkName } from '../domain/names.ts';
import { getHost, type HostRow, type HostWithStatus, insertHost } from '../store/hosts.ts';
import { notFound, type Operations } from './context.ts';

export interface HostInput {
  readonly name: string;
  readonly labels?: Labels;
  readonly underlay_ip4?: string | null;
  readonly underlay_ip6?: string | null;
}

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

export const createHost = async ({ db, pools }: Operations, input: HostInput, once?: Once): Promise<HostWithStatus> => {
  checkName('name', input.name);
  checkLabels(input.labels ?? {}, 'labels');
  const host = {
    id: input.name,
    labels: input.labels ?? {},
    underlay_ip4: checkUnderlay('underlay_ip4', input.underlay_ip4, pools),
    underlay_ip6: checkUnderlay('underlay_ip6', input.underlay_ip6, pools),
  };
  try {
    const kept = await withTransaction(db, (trx) =>
      onlyOnce(trx, once, 'createHost', host, async () => {
        const row = await insertHost(trx, host, pools, 0n);
        const { revision } = await enqueueConfig(trx, [hostDocument(row)]);
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
  { db, pools }: Operations,
  id: string,
  change: Partial<Omit<HostInput, 'name'>>,
  ifMatch: string | undefined,
): Promise<HostWithStatus> => {
  if (change.labels) checkLabels(change.labels, 'labels');
  try {
    await withTransaction(db, async (trx) => {
      const row = (await trx.selectFrom('hosts').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()) as
        | HostRow
        | undefined;
      if (!row) throw notFound('host', id);
      requireMatch(ifMatch, row.revision);
      const next: HostRow = {
        ...row,
        labels: change.labels ?? row.labels,
        underlay_ip4:
          change.underlay_ip4 === undefined
            ? row.underlay_ip4
            : checkUnderlay('underlay_ip4', change.underlay_ip4, pools),
        underlay_ip6:
          change.underlay_ip6 === undefined
            ? row.underlay_ip6
            : checkUnderlay('underlay_ip6', change.underlay_ip6, pools),
      };
      const { revision } = await enqueueConfig(trx, [hostDocument(next)]);
      await trx
        .updateTable('hosts')
        .set({
          labels: JSON.stringify(next.labels),
          underlay_ip4: next.underlay_ip4,
          underlay_ip6: next.underlay_ip6,
          revision,
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
    await trx.deleteFrom('hosts').where('id', '=', id).execute();
    await enqueueConfig(trx, [{ kind: 'host', key: id }]);
  });
