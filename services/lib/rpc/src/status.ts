// SPDX-License-Identifier: Apache-2.0
/**
 * Errors as gRPC statuses and back. The status carries the code's number, the metadata the same problem details as
 * REST answers, so that a client sees field, value and fix whichever door it used.
 */
import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import {
  ERROR_CODES,
  type ErrorCode,
  type Problem,
  toProblem,
  toWeirError,
  type WeirError,
  weirError,
} from '@weir/errors';

const CODE_KEY = 'weir-code';
const PROBLEM_KEY = 'weir-problem-bin';
const RETRY_KEY = 'retry-after';
/** Metadata has a limit of 8 KiB in all in most implementations. */
const PROBLEM_MAX_BYTES = 6_000;

const problemBytes = (problem: Problem): Buffer => {
  const json = (value: unknown): Buffer =>
    Buffer.from(JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? part.toString() : part)));
  const whole = json(problem);
  if (whole.length <= PROBLEM_MAX_BYTES) return whole;
  const { errors: _errors, value: _value, ...rest } = problem;
  return json({ ...rest, detail: rest.detail.slice(0, 2_000) });
};

export const toStatus = (thrown: unknown): StatusObject => {
  const error = toWeirError(thrown);
  const metadata = new Metadata();
  metadata.set(CODE_KEY, error.code);
  metadata.set(PROBLEM_KEY, problemBytes(toProblem(error)));
  if (error.facts.retryAfterS !== undefined) metadata.set(RETRY_KEY, String(Math.ceil(error.facts.retryAfterS)));
  return { code: error.grpcStatus, details: error.message, metadata };
};

/** Statuses of servers that are not ours, or of the transport. */
const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  [status.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [status.NOT_FOUND]: 'NOT_FOUND',
  [status.ALREADY_EXISTS]: 'CONFLICT',
  [status.PERMISSION_DENIED]: 'FORBIDDEN',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
  [status.RESOURCE_EXHAUSTED]: 'RATE_LIMITED',
  [status.FAILED_PRECONDITION]: 'PRECONDITION_FAILED',
  [status.UNIMPLEMENTED]: 'UNSUPPORTED',
  [status.UNAVAILABLE]: 'UNAVAILABLE',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
};

export const fromStatus = (error: ServiceError): WeirError => {
  const named = error.metadata?.get(CODE_KEY)[0];
  const code = typeof named === 'string' && named in ERROR_CODES ? (named as ErrorCode) : BY_STATUS[error.code];
  const raw = error.metadata?.get(PROBLEM_KEY)[0];
  let problem: Partial<Problem> = {};
  try {
    if (Buffer.isBuffer(raw)) problem = JSON.parse(raw.toString('utf8')) as Problem;
  } catch {}
  const retry = Number(error.metadata?.get(RETRY_KEY)[0] ?? Number.NaN);
  return weirError(code ?? 'INTERNAL', error.details || error.message, {
    field: problem.field,
    value: problem.value,
    fix: problem.fix,
    current: problem.current,
    issues: problem.errors,
    ...(Number.isFinite(retry) ? { retryAfterS: retry } : {}),
    cause: error,
  });
};
