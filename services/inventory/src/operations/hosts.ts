// SPDX-License-Identifier: Apache-2.0
/** Hosts: joining, changing, leaving. */
import { enqueueConfig } from '@weir/bus';
import { isUniqueViolation, withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { requireMatch } from '@weir/http';
import { canonicalIp, ipFamily, parseIp } from '@weir/net';
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

const underlay = (field: 'underlay_ip4' | 'underlay_ip6', text: string | null | undefined): string | null => {
  if (text === null || text === undefined) return null;
  const family = field === 'underlay_ip4' ? 4 : 6;
  if (ipFamily(parseIp(text)) !== family) {
    throw weirError('INVALID_ARGUMENT', `${field} ${text} is not an IPv${family} address`, {
      field,
      value: text,
      fix: `give the host's IPv${family} address on the network between the hosts, or leave it out`,
    });
  }
  return canonicalIp(text);
};

export const createHost = async ({ db, pools }: Operations, input: HostInput): Promise<HostWithStatus> => {
  checkName('name', input.name);
  checkLabels(input.labels ?? {}, 'labels');
  const host = {
    id: input.name,
    labels: input.labels ?? {},
    underlay_ip4: underlay('underlay_ip4', input.underlay_ip4),
    underlay_ip6: underlay('underlay_ip6', input.underlay_ip6),
  };
  try {
    await withTransaction(db, async (trx) => {
      const row = await insertHost(trx, host, pools, 0n);
      const { revision } = await enqueueConfig(trx, [hostDocument(row)]);
      await trx.updateTable('hosts').set({ revision }).where('id', '=', row.id).execute();
    });
  } catch (error) {
    if (!isUniqueViolation(error, 'hosts_pkey')) throw error;
    throw weirError('CONFLICT', `host ${input.name} exists`, {
      field: 'name',
      value: input.name,
      fix: 'choose another name, or change the host with PATCH',
      cause: error,
    });
  }
  return (await getHost(db.kysely, input.name)) as HostWithStatus;
};

export const updateHost = async (
  { db }: Operations,
  id: string,
  change: Partial<Omit<HostInput, 'name'>>,
  ifMatch: string | undefined,
): Promise<HostWithStatus> => {
  if (change.labels) checkLabels(change.labels, 'labels');
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
        change.underlay_ip4 === undefined ? row.underlay_ip4 : underlay('underlay_ip4', change.underlay_ip4),
      underlay_ip6:
        change.underlay_ip6 === undefined ? row.underlay_ip6 : underlay('underlay_ip6', change.underlay_ip6),
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
