// SPDX-License-Identifier: Apache-2.0
/** Namespaces. Their labels are part of the identity of every workload in them, so a change re-identifies those. */
import { enqueueConfig, type OutboxDocument } from '@weir/bus';
import { withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { requireMatch } from '@weir/http';
import type { Transaction } from 'kysely';
import { identityDocuments, workloadDocument } from '../domain/documents.ts';
import { checkLabels, type Labels, securityLabels } from '../domain/labels.ts';
import { checkName } from '../domain/names.ts';
import { allocateIdentity } from '../store/identities.ts';
import { lockNamespace, type NamespaceRow, setNamespaceLabels } from '../store/namespaces.ts';
import type { Tables } from '../store/tables.ts';
import type { WorkloadRow } from '../store/workloads.ts';
import { notFound, type Operations } from './context.ts';

/** The namespace's labels, made when it is new; shared lock, so that they don't change before the workload is in. */
export const useNamespace = async (trx: Transaction<Tables>, name: string): Promise<Labels> =>
  (await lockNamespace(trx, name, 'share')).labels;

export const putNamespace = async (
  { db }: Operations,
  name: string,
  labels: Labels,
  ifMatch: string | undefined,
): Promise<NamespaceRow> => {
  checkName('name', name);
  checkLabels(labels, 'labels');
  return withTransaction(db, async (trx) => {
    const row = await lockNamespace(trx, name, 'update');
    requireMatch(ifMatch, row.revision);
    const documents = await reidentify(trx, name, labels);
    const { revision } = await enqueueConfig(trx, documents);
    await trx.updateTable('workloads').set({ revision }).where('namespace', '=', name).execute();
    return setNamespaceLabels(trx, row, labels);
  });
};

const reidentify = async (trx: Transaction<Tables>, namespace: string, labels: Labels): Promise<OutboxDocument[]> => {
  const rows = (await trx
    .selectFrom('workloads')
    .selectAll()
    .where('namespace', '=', namespace)
    .orderBy('id')
    .forUpdate()
    .execute()) as WorkloadRow[];
  const documents: OutboxDocument[] = [];
  for (const row of rows) {
    const security = securityLabels(row.labels, namespace, labels);
    const allocated = await allocateIdentity(trx, security);
    documents.push(...identityDocuments(allocated, security));
    documents.push(workloadDocument({ ...row, identity: allocated.identity }));
    await trx.updateTable('workloads').set({ identity: allocated.identity }).where('id', '=', row.id).execute();
  }
  return documents;
};

export const deleteNamespace = ({ db }: Operations, name: string, ifMatch: string | undefined): Promise<void> =>
  withTransaction(db, async (trx) => {
    const row = await trx
      .selectFrom('namespaces')
      .select('revision')
      .where('name', '=', name)
      .forUpdate()
      .executeTakeFirst();
    if (!row) throw notFound('namespace', name);
    requireMatch(ifMatch, row.revision);
    const workload = await trx
      .selectFrom('workloads')
      .select('id')
      .where('namespace', '=', name)
      .limit(1)
      .executeTakeFirst();
    if (workload || name === 'default') {
      throw weirError(
        'CONFLICT',
        `namespace ${name} ${workload ? `has workloads, ${workload.id} among them` : 'always exists'}`,
        {
          field: 'name',
          value: name,
          fix: workload ? 'delete its workloads first' : 'change its labels instead',
        },
      );
    }
    await trx.deleteFrom('namespaces').where('name', '=', name).execute();
  });
