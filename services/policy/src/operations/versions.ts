// SPDX-License-Identifier: Apache-2.0
/** Versions of a document: who made them and why, what differs between two, and making a former one the newest again. */
import { weirError } from '@weir/errors';
import { Cursors, type Page } from '@weir/http';
import { type PolicyDocument, parseDocument, promoted } from '@weir/policy-engine';
import { Type } from 'typebox';
import { admitted } from '../domain/admission.ts';
import { type Attribution, findPolicies, findVersion, listVersions, type VersionRow } from '../store/policies.ts';
import { type ApplyAnswer, replacePolicies } from './apply.ts';
import { notFound, type Operations, policyNotFound } from './context.ts';
import type { PageRequest } from './policies.ts';

const VERSIONS = new Cursors('versions', Type.String({ pattern: '^[0-9]{1,18}$' }));

/** The newest first; of a document that was removed too. */
export const pageOfVersions = async (
  { db }: Operations,
  key: string,
  { limit, cursor }: PageRequest,
): Promise<Page<VersionRow>> => {
  const after = VERSIONS.decode(cursor, { key });
  const rows = await listVersions(db.kysely, key, after === undefined ? undefined : BigInt(after), limit + 1);
  if (rows.length === 0 && after === undefined) throw policyNotFound(key);
  return VERSIONS.page(
    rows,
    limit,
    (row) => row,
    ({ policy_revision: version }) => String(version),
    { key },
  );
};

const versionNotFound = (key: string, version: bigint): Error =>
  notFound('version', `${key} ${version}`, 'list them with GET /v1/policies/KIND/NAMESPACE/NAME/versions');

const documentOf = async ({ db }: Operations, key: string, version: bigint): Promise<unknown> => {
  const row = await findVersion(db.kysely, key, version);
  if (row === undefined) throw versionNotFound(key, version);
  return row.document;
};

/** Unified text; `to` 0: what is in force. A version that is a removal cannot be compared. */
export const diffVersions = async (
  operations: Operations,
  key: string,
  from: bigint,
  to: bigint,
): Promise<{ readonly key: string; readonly diff: string }> => {
  const before = await documentOf(operations, key, from);
  const [inForce] = to === 0n ? await findPolicies(operations.db.kysely, [key]) : [];
  if (to === 0n && inForce === undefined) throw policyNotFound(key);
  const after = inForce?.document ?? (await documentOf(operations, key, to));
  const names = { from: `${key} (version ${from})`, to: `${key} (${to === 0n ? 'in force' : `version ${to}`})` };
  return { key, diff: await operations.parser.diff({ key, before, after, names }) };
};

/** As if it had been applied again: a new version that reads as the former one; a removed document is there again. */
export const restorePolicy = async (
  operations: Operations,
  key: string,
  version: bigint,
  by: Attribution,
): Promise<ApplyAnswer> => {
  const text = JSON.stringify(await documentOf(operations, key, version));
  // What was legal when it was applied may not be so any more.
  const documents = admitted(await operations.parser.parse(text));
  return replacePolicies(operations, async () => ({ documents, removed: [] }), by);
};

/**
 * What is staged or audited is enforced. A staged document takes the place of the one that it is about: under that one's name, when it
 * is of the same kind and namespace, so that its versions go on; else under its own. One that says to delete removes both.
 */
export const promotePolicy = (operations: Operations, key: string, by: Attribution): Promise<ApplyAnswer> =>
  replacePolicies(
    operations,
    async (trx) => {
      const [row] = await findPolicies(trx, [key]);
      if (row === undefined) throw policyNotFound(key);
      const doc: PolicyDocument = parseDocument(row.document);
      const { mode, staged } = doc;
      if (mode !== 'staged' && mode !== 'audit') {
        throw weirError('CONFLICT', `${key} has mode ${mode}: there is nothing to promote`, {
          field: 'key',
          value: key,
          fix: mode === 'off' ? 'apply it with the mode that is wanted' : 'it is enforced already',
        });
      }
      if (staged?.action === 'Learn' || staged?.action === 'Ignore') {
        throw weirError('CONFLICT', `${key} is staged to ${staged.action}: it would do nothing`, {
          field: 'key',
          value: key,
          fix: 'apply it with stagedAction Set first',
        });
      }
      const { of } = staged ?? {};
      const [replaced] = of === undefined ? [] : await findPolicies(trx, [of]);
      if (staged?.action === 'Delete') return { documents: [], removed: replaced ? [replaced, row] : [row] };
      const takesName =
        replaced !== undefined && replaced.kind === row.kind && replaced.namespace === row.namespace && of !== key;
      const json = promoted(doc.json, takesName ? replaced.name : undefined);
      const removed = of === key || replaced === undefined ? [] : [takesName ? row : replaced];
      return { documents: [parseDocument(json)], removed };
    },
    by,
  );
