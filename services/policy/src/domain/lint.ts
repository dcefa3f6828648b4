// SPDX-License-Identifier: Apache-2.0
/** What is odd in documents as a set. Plain data in and out, so that a worker can do it. */
import {
  type Finding,
  type IdentityLabels,
  lintPolicies,
  type PolicyDocument,
  parseDocument,
} from '@weir/policy-engine';

export interface LintInput {
  /** As they are stored. */
  readonly inForce: readonly unknown[];
  /** They take the place of those in force with their keys. */
  readonly given: readonly PolicyDocument[];
  /** Absent: not known, and nothing that needs them is told. */
  readonly identities?: IdentityLabels | undefined;
  readonly managed?: readonly string[] | undefined;
}

export const lintOf = ({ inForce, given, identities, managed }: LintInput): Finding[] => {
  const keys = new Set(given.map(({ key }) => key));
  const kept = inForce.map((document) => parseDocument(document)).filter(({ key }) => !keys.has(key));
  const findings = lintPolicies([...kept, ...given], {
    ...(identities ? { identities } : {}),
    ...(managed ? { managed } : {}),
  });
  return given.length === 0 ? findings : findings.filter(({ policy }) => keys.has(policy));
};
