// SPDX-License-Identifier: Apache-2.0
/** Namespaces and their labels. */
import type { Kysely, Selectable, Transaction } from 'kysely';
import type { Labels } from '../domain/labels.ts';
import type { Tables } from './tables.ts';

export type NamespaceRow = Selectable<Tables['namespaces']>;

export const listNamespaces = (db: Kysely<Tables>, after: string, limit: number): Promise<NamespaceRow[]> =>
  db.selectFrom('namespaces').selectAll().where('name', '>', after).orderBy('name').limit(limit).execute();

export const getNamespace = (db: Kysely<Tables>, name: string): Promise<NamespaceRow | undefined> =>
  db.selectFrom('namespaces').selectAll().where('name', '=', name).executeTakeFirst();

/** Makes it when it is new (`made`). `share` keeps its labels as they are until the end of the transaction. */
export const lockNamespace = async (
  trx: Transaction<Tables>,
  name: string,
  mode: 'share' | 'update',
): Promise<NamespaceRow & { readonly made: boolean }> => {
  const { numInsertedOrUpdatedRows = 0n } = await trx
    .insertInto('namespaces')
    .values({ name, labels: '{}', revision: 0n })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  const query = trx.selectFrom('namespaces').selectAll().where('name', '=', name);
  const row = await (mode === 'share' ? query.forShare() : query.forUpdate()).executeTakeFirstOrThrow();
  return { ...row, made: numInsertedOrUpdatedRows > 0n };
};

export const setNamespaceLabels = (
  trx: Transaction<Tables>,
  row: NamespaceRow,
  labels: Labels,
): Promise<NamespaceRow> =>
  trx
    .updateTable('namespaces')
    .set({ labels: JSON.stringify(labels), revision: row.revision + 1n })
    .where('name', '=', row.name)
    .returningAll()
    .executeTakeFirstOrThrow();
