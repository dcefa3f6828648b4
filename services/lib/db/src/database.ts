// SPDX-License-Identifier: Apache-2.0
/** A service's own schema: one pool, seen through kysely (typed SQL) and raw. */
import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import { createPool, type PoolOptions } from './pool.ts';

export interface Database<T> {
  readonly kysely: Kysely<T>;
  readonly pool: pg.Pool;
  readonly schema: string;
  /** Rejects with UNAVAILABLE when the database does not answer; for readiness checks. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export const createDb = <T>(options: PoolOptions & { readonly schema: string }): Database<T> => {
  const pool = createPool(options);
  const kysely = new Kysely<T>({ dialect: new PostgresDialect({ pool }) });
  let closed: Promise<void> | undefined;
  return {
    kysely,
    pool,
    schema: options.schema,
    ping: async () => {
      await pool.query('select 1');
    },
    close: () => {
      closed ??= pool.end();
      return closed;
    },
  };
};
