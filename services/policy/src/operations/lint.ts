// SPDX-License-Identifier: Apache-2.0
/** What is odd in documents that somebody is about to apply, beside those in force; or in those in force. */
import type { Finding } from '@weir/policy-engine';
import { admitted } from '../domain/admission.ts';
import { checkSources, placeIn, type Source } from '../domain/sources.ts';
import { allInForce, type PolicyInForce } from '../store/in-force.ts';
import type { Operations } from './context.ts';

export interface LintRequest {
  /** Undefined: those in force. */
  readonly documents?: string | undefined;
  readonly sources: readonly Source[];
  /** Matters of taste, too. */
  readonly notes: boolean;
}

export interface PlacedFinding extends Omit<Finding, 'line' | 'column'> {
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

/** Where a rule in force was written, as it was last applied. */
const placeInForce = (policy: PolicyInForce | undefined, path: string) => {
  const rule = policy?.rules.find((one) => path === one.path || path.startsWith(`${one.path}.`));
  return { file: rule?.file ?? null, line: rule?.line_number ?? null, column: rule?.column_number ?? null };
};

export const lintDocuments = async (operations: Operations, request: LintRequest): Promise<PlacedFinding[]> => {
  const { parser, fleet, db } = operations;
  const sources = checkSources(request.sources);
  const given = request.documents === undefined ? [] : admitted(await parser.parse(request.documents));
  const inForce = await allInForce(db);
  const identities = fleet.identities();
  const findings = await parser.lint({
    inForce: inForce.map(({ document }) => document),
    given,
    identities,
    managed: identities && fleet.addresses(),
  });
  const keys = new Set(given.map(({ key }) => key));
  const known = new Map(inForce.map((policy) => [policy.key, policy]));
  return findings
    .filter(({ level }) => request.notes || level === 'warning')
    .map(({ line, column, ...finding }) => ({
      ...finding,
      ...(keys.has(finding.policy)
        ? placeIn(sources, { ...(line === undefined ? {} : { line }), ...(column === undefined ? {} : { column }) })
        : placeInForce(known.get(finding.policy), finding.path)),
    }));
};
