// SPDX-License-Identifier: Apache-2.0
/** Namespaces. Their labels are part of the identity of every workload in them, so a change re-identifies those. */
import { enqueueConfig, noteChanges, type OutboxDocument } from '@weir/bus/publishing';
import { withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { requireMatch, requireNoneMatch } from '@weir/http';
import type { Transaction } from 'kysely';
import { identityDocuments, workloadDocument } from '../domain/documents.ts';
import { checkLabels, type Labels, securityLabels } from '../domain/labels.ts';
import { checkName } from '../domain/names.ts';
import { allocateIdentity } from '../store/identities.ts';
import { lockNamespace, type NamespaceRow, setNamespaceLabels } from '../store/namespaces.ts';
import type { Tables } from '../store/tables.ts';
import { lockWorkloadsOf, saveIdentities, type WorkloadRow } from '../store/workloads.ts';
import { notFound, type Operations } from './context.ts';

/** The namespace, made when it is new; shared lock, so that its labels don't change before the workload is in. */
export const useNamespace = (
  trx: Transaction<Tables>,
  name: string,
): Promise<{ readonly labels: Labels; readonly made: boolean }> => lockNamespace(trx, name, 'share');

/** Last in the transaction. */
export const noteNamespace = (trx: Transaction<Tables>, key: string, what: 'written' | 'removed'): Promise<void> =>
  noteChanges(trx, [{ kind: 'namespace', key, what }]);

export const putNamespace = async (
  { db }: Operations,
  name: string,
  labels: Labels,
  { ifMatch, ifNoneMatch }: { readonly ifMatch?: string | undefined; readonly ifNoneMatch?: string | undefined } = {},
): Promise<NamespaceRow> => {
  checkName('name', name);
  checkLabels(labels, 'labels', name);
  return withTransaction(db, async (trx) => {
    const row = await lockNamespace(trx, name, 'update');
    const revision = row.made ? undefined : row.revision;
    requireMatch(ifMatch, revision);
    requireNoneMatch(ifNoneMatch, revision);
    await reidentify(trx, name, labels);
    const saved = await setNamespaceLabels(trx, row, labels);
    await noteNamespace(trx, name, 'written');
    return saved;
  });
};

/** Workloads whose identity stays are left alone: their revision says when they changed. */
const reidentify = async (trx: Transaction<Tables>, namespace: string, labels: Labels): Promise<void> => {
  const documents: OutboxDocument[] = [];
  const changed: WorkloadRow[] = [];
  for (const row of await lockWorkloadsOf(trx, namespace)) {
    const security = securityLabels(row.labels, namespace, labels);
    const allocated = await allocateIdentity(trx, security);
    if (allocated.identity === row.identity) continue;
    const next = { ...row, identity: allocated.identity };
    documents.push(...identityDocuments(allocated, security), workloadDocument(next));
    changed.push(next);
  }
  if (changed.length === 0) return;
  const { revision } = await enqueueConfig(trx, documents);
  await saveIdentities(trx, changed, revision);
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
    const service = await trx
      .selectFrom('services')
      .select('id')
      .where('namespace', '=', name)
      .limit(1)
      .executeTakeFirst();
    const user = workload ? `workloads, ${workload.id}` : service && `services, ${service.id}`;
    if (user || name === 'default') {
      throw weirError('CONFLICT', `namespace ${name} ${user ? `has ${user} among them` : 'always exists'}`, {
        field: 'name',
        value: name,
        fix: user ? `delete its ${workload ? 'workloads' : 'services'} first` : 'change its labels instead',
      });
    }
    await trx.deleteFrom('namespaces').where('name', '=', name).execute();
    await noteNamespace(trx, name, 'removed');
  });
