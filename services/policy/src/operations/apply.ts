// SPDX-License-Identifier: Apache-2.0
/**
 * Applying documents: all or none, in one transaction that gives the rules their numbers and queues the documents
 * for the fleet. A document that means the same as the one in force is left alone, and its rules keep their numbers;
 * any other makes a new version, whose rules get new ones. Where a rule was written is kept up to date either way.
 */
import { enqueueConfig, type OutboxDocument } from '@weir/bus/publishing';
import { type Once, onlyOnce, withTransaction } from '@weir/db';
import { weirError } from '@weir/errors';
import { requireMatch, requireNoneMatch } from '@weir/http';
import { type ListedRule, lint, listRules, type PolicyDocument, type PolicyWarning } from '@weir/policy-engine';
import { counter } from '@weir/telemetry';
import type { Transaction } from 'kysely';
import { admitted } from '../domain/admission.ts';
import { sameDocument } from '../domain/documents.ts';
import { checkSources, placeIn, type Source } from '../domain/sources.ts';
import { givingWay, mapGivingWay } from '../give-way.ts';
import {
  type Attribution,
  findPolicies,
  lastVersions,
  lockPolicies,
  type PolicyRow,
  saveVersions,
} from '../store/policies.ts';
import { placeRules, takeRuleIds } from '../store/rules.ts';
import type { Tables } from '../store/tables.ts';
import type { Operations } from './context.ts';
import { removeVersions } from './policies.ts';
import { beginChange } from './stages.ts';

export type ApplyAction = 'created' | 'configured' | 'unchanged';

export interface ApplyResult {
  readonly key: string;
  readonly action: ApplyAction;
  /** Of the document in force; 0 when a dry run would create it. */
  readonly revision: bigint;
  readonly warnings: readonly PolicyWarning[];
}

export interface ApplyAnswer {
  readonly results: readonly ApplyResult[];
  readonly revision: bigint;
}

export interface ApplyOptions extends Attribution {
  readonly dryRun?: boolean | undefined;
  readonly ifMatch?: string | undefined;
  /** `*`: none of the documents may be in force. */
  readonly ifNoneMatch?: string | undefined;
  /** Files that the text was put together from. */
  readonly sources?: readonly Source[] | undefined;
  readonly once?: Once | undefined;
}

interface Change {
  readonly document: PolicyDocument;
  readonly before: PolicyRow | undefined;
  readonly action: ApplyAction;
}

const classify = async (
  db: Transaction<Tables> | Operations['db']['kysely'],
  documents: readonly PolicyDocument[],
): Promise<Change[]> => {
  const rows = await findPolicies(
    db,
    documents.map(({ key }) => key),
  );
  const known = new Map(rows.map((row) => [row.key, row]));
  return mapGivingWay(documents, (document): Change => {
    const before = known.get(document.key);
    const same = before !== undefined && sameDocument(before.document, document.json);
    return { document, before, action: before === undefined ? 'created' : same ? 'unchanged' : 'configured' };
  });
};

/** If-Match is about one document. */
export const requireOne = <T>(ifMatch: string, changes: readonly T[]): T => {
  const [only] = changes;
  if (only !== undefined && changes.length === 1) return only;
  throw weirError('INVALID_ARGUMENT', 'If-Match names one revision, but there are several documents', {
    field: 'If-Match',
    value: ifMatch.slice(0, 100),
    fix: 'apply one document with it',
  });
};

const checkMatch = ({ ifMatch, ifNoneMatch }: ApplyOptions, changes: readonly Change[]): void => {
  for (const { before } of changes) requireNoneMatch(ifNoneMatch, before?.revision);
  if (ifMatch !== undefined) requireMatch(ifMatch, requireOne(ifMatch, changes).before?.revision);
};

interface Numbered {
  readonly change: Change;
  readonly rules: readonly (ListedRule & { readonly id: number })[];
}

const numberRules = async (trx: Transaction<Tables>, changes: readonly Change[]): Promise<Numbered[]> => {
  const listed = await mapGivingWay(changes, (change) => ({ change, rules: listRules(change.document) }));
  const ids = await takeRuleIds(
    trx,
    listed.reduce((sum, { rules }) => sum + rules.length, 0),
  );
  let next = 0;
  return listed.map(({ change, rules }) => ({
    change,
    rules: rules.map((rule) => {
      const id = ids[next] as number;
      next += 1;
      return { ...rule, id };
    }),
  }));
};

const outboxDocument = ({ change, rules }: Numbered, policyRevision: bigint, drains: boolean): OutboxDocument => ({
  drains,
  kind: 'policy',
  key: change.document.key,
  body: {
    case: 'policy',
    value: {
      key: change.document.key,
      policyRevision,
      document: JSON.stringify(change.document.json),
      appliedMs: BigInt(Date.now()),
      rules: rules.map(({ path, id, log = '' }) => ({ path, id, log })),
    },
  },
});

/** What is unchanged may have moved within its file, or to another one. */
const placeUnchanged = async (
  trx: Transaction<Tables>,
  changes: readonly Change[],
  sources: readonly Source[],
): Promise<void> => {
  const unchanged = changes.filter(({ action }) => action === 'unchanged');
  const rules = await mapGivingWay(unchanged, ({ document, before }) =>
    listRules(document).map((rule) => ({
      key: document.key,
      policyRevision: before?.policy_revision ?? 0n,
      path: rule.path,
      ...placeIn(sources, rule),
    })),
  );
  await placeRules(trx, rules.flat());
};

/** Returns the new revision of each changed document. */
const write = async (
  trx: Transaction<Tables>,
  changes: readonly Change[],
  sources: readonly Source[],
  { author, reason, established }: Attribution,
): Promise<Map<string, bigint>> => {
  await placeUnchanged(trx, changes, sources);
  const changed = changes.filter(({ action }) => action !== 'unchanged');
  if (changed.length === 0) return new Map();
  const last = await lastVersions(
    trx,
    changed.map(({ document }) => document.key),
  );
  const numbered = await numberRules(trx, changed);
  const versionOf = (key: string): bigint => (last.get(key) ?? 0n) + 1n;
  const { revisions } = await enqueueConfig(
    trx,
    await mapGivingWay(numbered, (one) =>
      outboxDocument(one, versionOf(one.change.document.key), established === 'drain'),
    ),
  );
  await saveVersions(
    trx,
    numbered.map(({ change: { document }, rules }, index) => ({
      key: document.key,
      kind: document.kind,
      namespace: document.namespace ?? '-',
      name: document.name,
      policyRevision: versionOf(document.key),
      revision: revisions[index] as bigint,
      document: document.json,
      author,
      reason,
      rules: rules.map(({ id, path, direction, action, description, log: _, ...position }) => {
        const { file, line, column } = placeIn(sources, position);
        return {
          id,
          path,
          direction,
          action,
          description: description ?? null,
          line_number: line,
          column_number: column,
          file,
        };
      }),
    })),
  );
  return new Map(numbered.map(({ change }, index) => [change.document.key, revisions[index] as bigint]));
};

const answer = async (
  { fleet }: Operations,
  changes: readonly Change[],
  written: ReadonlyMap<string, bigint>,
): Promise<ApplyAnswer> => {
  const identities = fleet.identities();
  const results = await mapGivingWay(changes, ({ document, before, action }) => ({
    key: document.key,
    action,
    revision: written.get(document.key) ?? before?.revision ?? 0n,
    warnings: lint(document, { identities }),
  }));
  const revisions = results.map(({ revision }) => revision).sort((a, b) => Number(a - b));
  return { results, revision: revisions.at(-1) ?? 0n };
};

export const applyPolicies = async (
  operations: Operations,
  text: string,
  options: ApplyOptions = {},
): Promise<ApplyAnswer> => {
  const { once, ifMatch, ifNoneMatch, author, reason, established } = options;
  const sources = checkSources(options.sources ?? []);
  const change = beginChange();
  const documents = admitted(await operations.parser.parse(text));
  if (options.dryRun) {
    const changes = await classify(operations.db.kysely, documents);
    checkMatch(options, changes);
    return answer(operations, changes, new Map());
  }
  let changes: readonly Change[] = [];
  let written: ReadonlyMap<string, bigint> = new Map();
  const kept = await withTransaction(operations.db, (trx) =>
    onlyOnce(
      trx,
      once,
      'applyPolicies',
      { text, ifMatch, ifNoneMatch, sources, author, reason, established },
      async () => {
        await lockPolicies(trx);
        changes = await classify(trx, documents);
        checkMatch(options, changes);
        written = await write(trx, changes, sources, options);
        await change.made(trx, [...written.values()]);
        // Only an answer that is kept is made while others wait for the lock.
        return once === undefined ? undefined : answer(operations, changes, written);
      },
    ),
  );
  await change.committed(operations);
  for (const { action } of changes) counter('weir_policy_applied_total').add(1, { action });
  return kept ?? answer(operations, changes, written);
};

/** Documents take the place of others: all in one transaction, what is added goes to the fleet before what is removed. */
export const replacePolicies = async (
  operations: Operations,
  made: (trx: Transaction<Tables>) => Promise<{
    readonly documents: readonly PolicyDocument[];
    readonly removed: readonly PolicyRow[];
  }>,
  by: Attribution,
): Promise<ApplyAnswer> => {
  const change = beginChange();
  const { changes, written, last } = await withTransaction(operations.db, async (trx) => {
    await lockPolicies(trx);
    const { documents, removed } = await made(trx);
    const classified = await classify(trx, documents);
    const revisions = await write(trx, classified, [], by);
    const gone = await removeVersions(trx, removed, by);
    await change.made(trx, [...revisions.values(), ...gone]);
    return { changes: classified, written: revisions, last: gone.at(-1) };
  });
  await change.committed(operations);
  for (const { action } of changes) counter('weir_policy_applied_total').add(1, { action });
  const told = await answer(operations, changes, written);
  return last === undefined ? told : { ...told, revision: last };
};

export interface DiffResult {
  readonly key: string;
  readonly action: ApplyAction;
  readonly diff: string;
}

/** What is long is compared in the worker, one document after the other; short ones take turns with everybody else. */
export const diffPolicies = async ({ db, parser }: Operations, text: string): Promise<readonly DiffResult[]> => {
  const changes = await classify(db.kysely, admitted(await parser.parse(text)));
  const turn = givingWay();
  const results: DiffResult[] = [];
  for (const { document, before, action } of changes) {
    const { key } = document;
    const input = { key, after: document.json, ...(before === undefined ? {} : { before: before.document }) };
    results.push({ key, action, diff: action === 'unchanged' ? '' : await parser.diff(input) });
    await turn();
  }
  return results;
};
