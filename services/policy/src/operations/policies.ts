// SPDX-License-Identifier: Apache-2.0
/** Reading and removing documents. */
import { enqueueConfig } from '@weir/bus/publishing';
import { withTransaction } from '@weir/db';
import { Cursors, type Page, requireMatch } from '@weir/http';
import { counter } from '@weir/telemetry';
import type { Transaction } from 'kysely';
import { Type } from 'typebox';
import type { DocumentFilter } from '../store/documents.ts';
import {
  type Attribution,
  findPolicies,
  findVersion,
  lastVersions,
  listPolicies,
  lockPolicies,
  type PolicyRow,
  type RuleRow,
  saveVersions,
} from '../store/policies.ts';
import { rulesOf } from '../store/rules.ts';
import type { Tables } from '../store/tables.ts';
import { type Operations, policyNotFound } from './context.ts';
import { beginChange } from './stages.ts';

export interface PolicyWithRules extends PolicyRow {
  readonly rules: readonly RuleRow[];
}

const withRules = async ({ db }: Operations, rows: readonly PolicyRow[]): Promise<PolicyWithRules[]> => {
  const rules = await rulesOf(db.kysely, rows);
  return rows.map((row) => ({ ...row, rules: rules.get(row.key) ?? [] }));
};

/** The document in force, or a former version of it. */
export const getPolicy = async (
  operations: Operations,
  key: string,
  policyRevision?: bigint,
): Promise<PolicyWithRules> => {
  const { kysely } = operations.db;
  const row =
    policyRevision === undefined
      ? (await findPolicies(kysely, [key]))[0]
      : await findVersion(kysely, key, policyRevision);
  if (row === undefined) throw policyNotFound(policyRevision === undefined ? key : `${key} version ${policyRevision}`);
  const [policy] = await withRules(operations, [row]);
  return policy as PolicyWithRules;
};

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

const POLICIES = new Cursors('policies', Type.String());

export const pageOfPolicies = async (
  operations: Operations,
  { kind, namespace }: DocumentFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<PolicyWithRules>> => {
  const filter = { ...(kind === undefined ? {} : { kind }), ...(namespace === undefined ? {} : { namespace }) };
  const after = POLICIES.decode(cursor, filter) ?? '';
  const rows = await listPolicies(operations.db.kysely, filter, after, limit + 1);
  const found = await withRules(operations, rows);
  return POLICIES.page(
    found,
    limit,
    (row) => row,
    ({ key }) => key,
    filter,
  );
};

/** Returns the revision of each removal. The numbers of their rules stay taken. */
export const removeVersions = async (
  trx: Transaction<Tables>,
  rows: readonly PolicyRow[],
  { author, reason, established }: Attribution,
): Promise<readonly bigint[]> => {
  if (rows.length === 0) return [];
  const last = await lastVersions(
    trx,
    rows.map(({ key }) => key),
  );
  const { revisions } = await enqueueConfig(
    trx,
    rows.map(({ key }) => ({ kind: 'policy', key, drains: established === 'drain' })),
  );
  await saveVersions(
    trx,
    rows.map((row, at) => ({
      ...row,
      policyRevision: (last.get(row.key) ?? row.policy_revision) + 1n,
      revision: revisions[at] as bigint,
      document: null,
      author,
      reason,
      rules: [],
    })),
  );
  return revisions;
};

/** Returns the revision of the removal. */
export const deletePolicy = async (
  operations: Operations,
  key: string,
  ifMatch: string | undefined,
  by: Attribution = {},
): Promise<bigint> => {
  const change = beginChange();
  const removed = await withTransaction(operations.db, async (trx) => {
    await lockPolicies(trx);
    const [row] = await findPolicies(trx, [key]);
    if (row === undefined) throw policyNotFound(key);
    requireMatch(ifMatch, row.revision);
    const [revision] = await removeVersions(trx, [row], by);
    await change.made(trx, [revision as bigint]);
    return revision as bigint;
  });
  await change.committed(operations);
  counter('weir_policy_applied_total').add(1, { action: 'deleted' });
  return removed;
};
