// SPDX-License-Identifier: Apache-2.0
/** What is in force, and what would be after documents were applied and others removed. */
import { weirError } from '@weir/errors';
import { inItsTime, type PolicyDocument, parseDocument } from '@weir/policy-engine';
import { admitted } from '../domain/admission.ts';
import { sameDocument } from '../domain/documents.ts';
import { checkSources, placeIn, type Source } from '../domain/sources.ts';
import { givingWay } from '../give-way.ts';
import type { Operations } from '../operations/context.ts';
import { allInForce } from '../store/in-force.ts';
import { createRuleset, type DocumentWithRules, type Ruleset, unnumberedRules } from './ruleset.ts';

export type DocumentAction = 'created' | 'configured' | 'unchanged' | 'deleted';

export interface CandidateDocument {
  readonly key: string;
  readonly action: DocumentAction;
  readonly mode: PolicyDocument['mode'];
}

export interface Candidate {
  readonly before: Ruleset;
  readonly after: Ruleset;
  /** In either state, of documents that differ. */
  readonly changed: readonly PolicyDocument[];
  readonly documents: readonly CandidateDocument[];
}

export interface CandidateRequest {
  /** Empty, or nothing but comments: none. */
  readonly documents: string;
  readonly remove: readonly string[];
  readonly sources: readonly Source[];
}

const REMOVALS_MAX = 10_000;
const BLANK = /^(?:\s*(?:#.*|---)?\s*(?:\n|$))*$/;

const parsed = async ({ parser }: Operations, text: string): Promise<readonly PolicyDocument[]> =>
  text.length < 4_096 && BLANK.test(text) ? [] : admitted(await parser.parse(text));

export const createCandidate = async (operations: Operations, request: CandidateRequest): Promise<Candidate> => {
  const sources = checkSources(request.sources);
  if (request.remove.length > REMOVALS_MAX) {
    throw weirError('INVALID_ARGUMENT', `remove names more than ${REMOVALS_MAX} documents`, {
      field: 'remove',
      value: request.remove.length,
      fix: 'ask in several requests',
    });
  }
  const given = await parsed(operations, request.documents);
  const turn = givingWay();
  const inForce = new Map<string, DocumentWithRules>();
  // What is in force counts as it does now; what is asked about counts as it will in its time.
  const nowMs = Date.now();
  for (const { key, document, rules } of await allInForce(operations.db)) {
    const placed = rules.map(({ id, path, file, line_number: line }) => ({ id, path, file, line }));
    inForce.set(key, { doc: inItsTime(parseDocument(document), nowMs), rules: placed });
    await turn();
  }
  const unknown = request.remove.find((key) => !inForce.has(key));
  if (unknown !== undefined) {
    throw weirError('INVALID_ARGUMENT', `remove: there is no policy ${JSON.stringify(unknown)} in force`, {
      field: 'remove',
      value: unknown,
      fix: 'name documents as GET /v1/policies lists them: kind/namespace/name',
    });
  }
  const after = new Map(inForce);
  const changed: PolicyDocument[] = [];
  const documents: CandidateDocument[] = [];
  const change = (key: string, action: DocumentAction, next?: DocumentWithRules): void => {
    const known = after.get(key);
    if (known) changed.push(known.doc);
    if (next) {
      changed.push(next.doc);
      after.set(key, next);
    } else after.delete(key);
    documents.push({ key, action, mode: (next ?? known)?.doc.mode ?? 'enforce' });
  };
  for (const key of new Set(request.remove)) change(key, 'deleted');
  for (const doc of given) {
    const known = inForce.get(doc.key);
    if (known !== undefined && after.has(doc.key) && sameDocument(known.doc.json, doc.json)) {
      documents.push({ key: doc.key, action: 'unchanged', mode: doc.mode });
    } else {
      const rules = unnumberedRules(doc, (at) => placeIn(sources, at));
      change(doc.key, known === undefined ? 'created' : 'configured', { doc, rules });
    }
    await turn();
  }
  return {
    before: createRuleset([...inForce.values()]),
    after: createRuleset([...after.values()]),
    changed,
    documents,
  };
};
