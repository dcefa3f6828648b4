// SPDX-License-Identifier: Apache-2.0
/** Problem details (RFC 9457) of an error: what REST answers and what the CLI reads back. */
import { ERROR_CODES, type ErrorCode } from './codes.ts';
import { type FieldIssue, toWeirError } from './weir-error.ts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly field?: string;
  readonly value?: unknown;
  readonly fix?: string;
  readonly current?: string;
  readonly line?: number;
  readonly column?: number;
  readonly errors?: readonly FieldIssue[];
}

export const toProblem = (thrown: unknown): Problem => {
  const { code, message, facts } = toWeirError(thrown);
  return {
    type: `urn:weir:error:${code.toLowerCase().replaceAll('_', '-')}`,
    title: ERROR_CODES[code].title,
    status: ERROR_CODES[code].status,
    code,
    detail: message,
    ...(facts.field === undefined ? {} : { field: facts.field }),
    ...(facts.value === undefined ? {} : { value: facts.value }),
    ...(facts.fix === undefined ? {} : { fix: facts.fix }),
    ...(facts.current === undefined ? {} : { current: facts.current }),
    ...(facts.line === undefined ? {} : { line: facts.line }),
    ...(facts.column === undefined ? {} : { column: facts.column }),
    ...(facts.issues === undefined ? {} : { errors: facts.issues }),
  };
};
