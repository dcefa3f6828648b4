// SPDX-License-Identifier: Apache-2.0
/**
 * What Postgres' failures mean to us. Failures of availability are translated here (to UNAVAILABLE with a retry time),
 * and texts that no column can hold; a violated constraint means something else in every table, so stores ask for it
 * by name.
 */
import { isWeirError, type WeirError, weirError } from '@weir/errors';

interface PgFailure {
  readonly code?: string;
  readonly constraint?: string;
  readonly message?: string;
  readonly cause?: unknown;
}

/** Connection is gone, refused, or the server starts or stops. 53xxx: out of connections, disk, memory. */
const UNAVAILABLE_SQLSTATE = /^(08...|57P0[1-5]|53...|58030)$/;
const UNAVAILABLE_ERRNO = /^(ECONN\w+|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$/;
const UNAVAILABLE_TEXT =
  /timeout exceeded when trying to connect|timeout expired|Connection terminated|Client has encountered a connection error|Query read timeout|connection error and is not queryable|the pool after calling end/;
/** Lock not granted in time, statement cancelled by its time limit. */
const BUSY_SQLSTATE = /^(55P03|57014)$/;
const RETRY_SQLSTATE = /^(40001|40P01)$/;

/** A text that Postgres cannot hold: a zero byte, or \\u0000 in JSON. It came from outside. */
const TEXT_SQLSTATE = /^(22021|22P05)$/;

const RETRY_AFTER_S = 1;

const asFailure = (error: unknown): PgFailure =>
  (typeof error === 'object' && error !== null ? error : {}) as PgFailure;

/** Serialization failure or deadlock: the same transaction may well succeed when it runs again. */
export const isRetryable = (error: unknown): boolean => RETRY_SQLSTATE.test(asFailure(error).code ?? '');

/** True when `error` is a unique violation (of that constraint or index, when named). */
export const isUniqueViolation = (error: unknown, constraint?: string): boolean => {
  const failure = asFailure(error);
  return failure.code === '23505' && (constraint === undefined || failure.constraint === constraint);
};

/** True when `error` is a foreign key violation (of that constraint, when named). */
export const isForeignKeyViolation = (error: unknown, constraint?: string): boolean => {
  const failure = asFailure(error);
  return failure.code === '23503' && (constraint === undefined || failure.constraint === constraint);
};

const unavailable = (message: string, cause: unknown): WeirError =>
  weirError('UNAVAILABLE', message, {
    fix: 'try again; if it lasts, check that Postgres runs and that the database URL is right',
    retryAfterS: RETRY_AFTER_S,
    cause,
  });

/** Failures of availability become UNAVAILABLE, impossible texts INVALID_ARGUMENT; everything else is returned as it is. */
export const translateFailure = (error: unknown): unknown => {
  if (isWeirError(error)) return error;
  const { code = '', message = '' } = asFailure(error);
  if (UNAVAILABLE_SQLSTATE.test(code) || UNAVAILABLE_ERRNO.test(code) || UNAVAILABLE_TEXT.test(message)) {
    return unavailable('the database is not reachable', error);
  }
  if (
    error instanceof AggregateError &&
    error.errors.some((one) => UNAVAILABLE_ERRNO.test(asFailure(one).code ?? ''))
  ) {
    return unavailable('the database is not reachable', error);
  }
  if (BUSY_SQLSTATE.test(code)) return unavailable('the database did not answer in time', error);
  if (TEXT_SQLSTATE.test(code)) {
    return weirError('INVALID_ARGUMENT', 'a text holds a zero byte', { fix: 'leave it out of the text', cause: error });
  }
  return error;
};
