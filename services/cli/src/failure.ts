// SPDX-License-Identifier: Apache-2.0
/**
 * How the command ends. Exit codes: 0 as asked; 1 refused, failed, or `diff` found a difference; 2 the words of the
 * command line are wrong; 3 a service could not be reached.
 */
import type { FieldIssue, Problem } from '@weir/errors';
import { escapeUntrusted } from '@weir/net';

export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 3 } as const;

/** Ends the command with a message for people; thrown anywhere below a command. */
export class CliFailure extends Error {
  readonly exitCode: number;
  /** HTTP status, when a service answered. */
  readonly status: number | undefined;

  constructor(exitCode: number, message: string, status?: number) {
    super(message);
    this.exitCode = exitCode;
    this.status = status;
  }
}

/** Answer of a service that refused. */
export class Refused extends CliFailure {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(EXIT.failed, renderProblem(problem), problem.status);
    this.problem = problem;
  }
}

/** Says in which file, and on which of its lines, line `line` of what was sent stands. */
export type LocateLine = (line: number) => { file: string; line: number };

const place = (issue: Pick<FieldIssue, 'line' | 'column'>, locate?: LocateLine): string => {
  if (issue.line === undefined) return '';
  const at = locate ? locate(issue.line) : { file: 'input', line: issue.line };
  return `${at.file}:${at.line}:${issue.column ?? 1}: `;
};

const value = (issue: { value?: unknown }): string => {
  if (issue.value === undefined) return '';
  const text = JSON.stringify(issue.value) ?? String(issue.value);
  return ` (value ${escapeUntrusted(text.length > 80 ? `${text.slice(0, 77)}...` : text)})`;
};

const issueLine = (issue: FieldIssue, locate?: LocateLine): string =>
  [
    `${place(issue, locate)}${issue.path ? `${escapeUntrusted(issue.path)}: ` : ''}${escapeUntrusted(issue.message)}${value(issue)}`,
    ...(issue.fix ? [`  fix: ${escapeUntrusted(issue.fix)}`] : []),
  ].join('\n');

export const renderIssues = (issues: readonly FieldIssue[], locate?: LocateLine): string =>
  issues.map((issue) => issueLine(issue, locate)).join('\n');

/** A problem answer (RFC 9457) for people: one line per thing that is wrong, its place first, its fix after. */
export const renderProblem = (problem: Problem, locate?: LocateLine): string => {
  if (problem.errors?.length) return renderIssues(problem.errors, locate);
  return [
    `error: ${place(problem, locate)}${problem.field ? `${problem.field}: ` : ''}${escapeUntrusted(problem.detail)}${value(problem)}`,
    ...(problem.fix ? [`  fix: ${escapeUntrusted(problem.fix)}`] : []),
  ].join('\n');
};

/** A warning about a document, in the same form as an error. */
export const renderWarning = (issue: FieldIssue, locate?: LocateLine): string =>
  issueLine({ ...issue, message: `warning: ${issue.message}` }, locate);
