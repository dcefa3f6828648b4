// SPDX-License-Identifier: Apache-2.0
/** Documents that may be enforced, or a refusal; everything wrong is told at once, nothing of it is applied. */
import { type FieldIssue, type WeirError, weirError } from '@weir/errors';
import type { TextResult } from '@weir/policy-engine/reading';

const place = ({ line, column }: FieldIssue): string => (line === undefined ? '' : `line ${line}, column ${column}: `);

const refusal = (issues: readonly FieldIssue[]): WeirError => {
  const [first] = issues as [FieldIssue];
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  const where = first.path === '' ? '' : `${first.path}: `;
  return weirError('INVALID_ARGUMENT', `${place(first)}${where}${first.message}${more}`, {
    field: first.path === '' ? 'documents' : first.path,
    value: first.value,
    fix: first.fix ?? 'correct the document',
    line: first.line,
    column: first.column,
    issues,
  });
};

/** Throws INVALID_ARGUMENT with every issue's place. */
export const admitted = <T>({ documents, issues }: TextResult<T>): readonly T[] => {
  if (issues.length > 0) throw refusal(issues);
  return documents;
};
