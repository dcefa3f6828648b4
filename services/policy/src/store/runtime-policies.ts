// SPDX-License-Identifier: Apache-2.0
/** Runtime policies in force and their versions. Writers hold the lock of all documents (policies.ts). */
import type { Transaction } from 'kysely';
import { type DocumentRow, documentsOf } from './documents.ts';
import type { Tables } from './tables.ts';

export type RuntimePolicyRow = DocumentRow<'runtime_policies'>;

export const {
  find: findRuntimePolicies,
  list: listRuntimePolicies,
  findVersion: findRuntimeVersion,
  lastVersions: lastRuntimeVersions,
} = documentsOf('runtime_policies', 'runtime_policy_revisions');

export interface NewRuntimeVersion {
  readonly key: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly policyRevision: bigint;
  readonly revision: bigint;
  /** Null: removed. */
  readonly document: unknown;
}

export const saveRuntimeVersion = async (trx: Transaction<Tables>, version: NewRuntimeVersion): Promise<void> => {
  const { key, kind, namespace, name, policyRevision, revision, document } = version;
  const text = document === null ? null : JSON.stringify(document);
  await trx
    .insertInto('runtime_policy_revisions')
    .values({ key, policy_revision: policyRevision, revision, document: text })
    .execute();
  if (document === null) {
    await trx.deleteFrom('runtime_policies').where('key', '=', key).execute();
    return;
  }
  await trx
    .insertInto('runtime_policies')
    .values({ key, kind, namespace, name, policy_revision: policyRevision })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ policy_revision: policyRevision }))
    .execute();
};
