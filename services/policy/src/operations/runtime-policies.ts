// SPDX-License-Identifier: Apache-2.0
/**
 * Runtime policies: applied, all or none, in one transaction that queues them for the fleet; read, compared, removed; and what each host does
 * about them. They count in the revisions of this service, as policies do.
 */
import { configSubject } from '@weir/bus';
import { enqueueConfig } from '@weir/bus/publishing';
import { type Once, onlyOnce, withTransaction } from '@weir/db';
import { Cursors, type Page, requireMatch, requireNoneMatch } from '@weir/http';
import type { PolicyWarning } from '@weir/policy-engine';
import { hostsMatch, parseRuntimePolicy, type RuntimePolicy } from '@weir/runtime-engine';
import { counter } from '@weir/telemetry';
import type { Kysely, Transaction } from 'kysely';
import { Type } from 'typebox';
import { admitted } from '../domain/admission.ts';
import { sameDocument } from '../domain/documents.ts';
import { type RuntimeHost, runtimeHost } from '../domain/enforcement.ts';
import { lockPolicies } from '../store/policies.ts';
import {
  findRuntimePolicies,
  findRuntimeVersion,
  lastRuntimeVersions,
  listRuntimePolicies,
  type RuntimePolicyRow,
  saveRuntimeVersion,
} from '../store/runtime-policies.ts';
import type { Tables } from '../store/tables.ts';
import { type ApplyAction, type DiffResult, requireOne } from './apply.ts';
import { notFound, type Operations } from './context.ts';
import type { PageRequest } from './policies.ts';
import { beginChange } from './stages.ts';

const KIND = 'runtimePolicy';

export interface RuntimeApplyAnswer {
  readonly results: readonly {
    readonly key: string;
    readonly action: ApplyAction;
    readonly revision: bigint;
    readonly warnings: readonly PolicyWarning[];
  }[];
  readonly revision: bigint;
}

export interface RuntimeApplyOptions {
  readonly dryRun?: boolean | undefined;
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
  readonly once?: Once | undefined;
}

interface Change {
  readonly policy: RuntimePolicy;
  readonly before: RuntimePolicyRow | undefined;
  readonly action: ApplyAction;
}

const classify = async (db: Kysely<Tables>, policies: readonly RuntimePolicy[]): Promise<Change[]> => {
  const keys = policies.map(({ key }) => key);
  const known = new Map((await findRuntimePolicies(db, keys)).map((row) => [row.key, row]));
  return policies.map((policy) => {
    const before = known.get(policy.key);
    const same = before !== undefined && sameDocument(before.document, policy.json);
    return { policy, before, action: before === undefined ? 'created' : same ? 'unchanged' : 'configured' };
  });
};

const checkMatch = ({ ifMatch, ifNoneMatch }: RuntimeApplyOptions, changes: readonly Change[]): void => {
  for (const { before } of changes) requireNoneMatch(ifNoneMatch, before?.revision);
  if (ifMatch !== undefined) requireMatch(ifMatch, requireOne(ifMatch, changes).before?.revision);
};

const write = async (trx: Transaction<Tables>, changes: readonly Change[]): Promise<Map<string, bigint>> => {
  const changed = changes.filter(({ action }) => action !== 'unchanged').map(({ policy }) => policy);
  if (changed.length === 0) return new Map();
  const last = await lastRuntimeVersions(
    trx,
    changed.map(({ key }) => key),
  );
  const versionOf = (key: string): bigint => (last.get(key) ?? 0n) + 1n;
  const { revisions } = await enqueueConfig(
    trx,
    changed.map(({ key, json }) => ({
      kind: KIND,
      key,
      body: { case: KIND, value: { key, policyRevision: versionOf(key), document: JSON.stringify(json) } },
    })),
  );
  const written = new Map<string, bigint>();
  for (const [index, { key, kind, namespace = '-', name, json }] of changed.entries()) {
    const revision = revisions[index] as bigint;
    written.set(key, revision);
    const policyRevision = versionOf(key);
    await saveRuntimeVersion(trx, { key, kind, namespace, name, policyRevision, revision, document: json });
  }
  return written;
};

const answer = (changes: readonly Change[], written: ReadonlyMap<string, bigint>): RuntimeApplyAnswer => {
  const results = changes.map(({ policy: { key, warnings }, before, action }) => ({
    key,
    action,
    revision: written.get(key) ?? before?.revision ?? 0n,
    warnings,
  }));
  const revisions = results.map(({ revision }) => revision).sort((a, b) => Number(a - b));
  return { results, revision: revisions.at(-1) ?? 0n };
};

export const applyRuntimePolicies = async (
  operations: Operations,
  text: string,
  options: RuntimeApplyOptions = {},
): Promise<RuntimeApplyAnswer> => {
  const { once, ifMatch, ifNoneMatch } = options;
  const change = beginChange();
  const policies = admitted(await operations.parser.parseRuntime(text));
  if (options.dryRun) {
    const changes = await classify(operations.db.kysely, policies);
    checkMatch(options, changes);
    return answer(changes, new Map());
  }
  const kept = await withTransaction(operations.db, (trx) =>
    onlyOnce(trx, once, 'applyRuntimePolicies', { text, ifMatch, ifNoneMatch }, async () => {
      await lockPolicies(trx);
      const changes = await classify(trx, policies);
      checkMatch(options, changes);
      const written = await write(trx, changes);
      await change.made(trx, [...written.values()]);
      return answer(changes, written);
    }),
  );
  await change.committed(operations);
  for (const { action } of kept.results) counter('weir_policy_applied_total').add(1, { action });
  return kept;
};

export const diffRuntimePolicies = async ({ db, parser }: Operations, text: string): Promise<readonly DiffResult[]> => {
  const changes = await classify(db.kysely, admitted(await parser.parseRuntime(text)));
  const results: DiffResult[] = [];
  for (const { policy, before, action } of changes) {
    const { key } = policy;
    const input = { key, after: policy.json, ...(before === undefined ? {} : { before: before.document }) };
    results.push({ key, action, diff: action === 'unchanged' ? '' : await parser.diff(input) });
  }
  return results;
};

const policyNotFound = (key: string): Error =>
  notFound(
    'runtime policy',
    key,
    'list what exists with GET /v1/runtime-policies; cluster-wide ones have - as namespace',
  );

export const getRuntimePolicy = async (
  { db }: Operations,
  key: string,
  policyRevision?: bigint,
): Promise<RuntimePolicyRow> => {
  const row =
    policyRevision === undefined
      ? (await findRuntimePolicies(db.kysely, [key]))[0]
      : await findRuntimeVersion(db.kysely, key, policyRevision);
  if (row === undefined) throw policyNotFound(policyRevision === undefined ? key : `${key} version ${policyRevision}`);
  return row;
};

const POLICIES = new Cursors('runtime-policies', Type.String());

export const pageOfRuntimePolicies = async (
  { db }: Operations,
  { limit, cursor }: PageRequest,
): Promise<Page<RuntimePolicyRow>> => {
  const after = POLICIES.decode(cursor, {}) ?? '';
  const rows = await listRuntimePolicies(db.kysely, {}, after, limit + 1);
  return POLICIES.page(
    rows,
    limit,
    (row) => row,
    ({ key }) => key,
    {},
  );
};

/** Returns the revision of the removal. */
export const deleteRuntimePolicy = async (
  operations: Operations,
  key: string,
  ifMatch: string | undefined,
): Promise<bigint> => {
  const change = beginChange();
  const removed = await withTransaction(operations.db, async (trx) => {
    await lockPolicies(trx);
    const [row] = await findRuntimePolicies(trx, [key]);
    if (row === undefined) throw policyNotFound(key);
    requireMatch(ifMatch, row.revision);
    const last = (await lastRuntimeVersions(trx, [key])).get(key) ?? row.policy_revision;
    const { revision } = await enqueueConfig(trx, [{ kind: KIND, key }]);
    await saveRuntimeVersion(trx, { ...row, policyRevision: last + 1n, revision, document: null });
    await change.made(trx, [revision]);
    return revision;
  });
  await change.committed(operations);
  counter('weir_policy_applied_total').add(1, { action: 'deleted' });
  return removed;
};

export const hostsOfRuntimePolicy = async (operations: Operations, key: string): Promise<readonly RuntimeHost[]> => {
  const { revision, document } = await getRuntimePolicy(operations, key);
  await operations.fleetKnown();
  const { fleet, ackBook } = operations;
  const acks = await ackBook.acks();
  const { scope } = parseRuntimePolicy(document);
  const subject = configSubject(KIND, key);
  return fleet.hosts().map((host) => {
    const ack = acks.get(host);
    const place = {
      subject,
      revision,
      isSelected: hostsMatch(scope, fleet.hostLabels(host)),
      isAlive: fleet.isAlive(host, ack !== undefined),
    };
    return runtimeHost(host, place, ack);
  });
};
