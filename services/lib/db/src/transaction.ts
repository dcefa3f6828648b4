// SPDX-License-Identifier: Apache-2.0
/** Transactions that run again when Postgres says that they lost against another one (40001, 40P01). */
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';
import type { IsolationLevel, Transaction } from 'kysely';
import type { Database } from './database.ts';
import { isRetryable, translateFailure } from './failures.ts';

export interface TransactionOptions {
  readonly isolation?: IsolationLevel;
  /** Attempts in all. Losers back off with jitter, so that a dozen contenders get through in a few rounds. */
  readonly attempts?: number;
}

const ATTEMPTS = 10;
const BACKOFF_BASE_MS = 5;
const BACKOFF_MAX_MS = 200;

const backoffMs = (attempt: number): number => Math.random() * Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** attempt);

/** `work` may run several times: it must have no effect outside the transaction. */
export const withTransaction = async <T, R>(
  db: Pick<Database<T>, 'kysely'>,
  work: (trx: Transaction<T>) => Promise<R>,
  options: TransactionOptions = {},
): Promise<R> => {
  const attempts = options.attempts ?? ATTEMPTS;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const builder = db.kysely.transaction();
      return await (options.isolation ? builder.setIsolationLevel(options.isolation) : builder).execute(work);
    } catch (error) {
      if (!isRetryable(error)) throw translateFailure(error);
      if (attempt >= attempts) {
        throw weirError('UNAVAILABLE', 'too many changes at once on the same rows', {
          fix: 'try again',
          retryAfterS: 1,
          cause: error,
        });
      }
      await sleep(backoffMs(attempt));
    }
  }
};
