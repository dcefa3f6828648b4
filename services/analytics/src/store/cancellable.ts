// SPDX-License-Identifier: Apache-2.0
/**
 * Long reads that end in Postgres, too, when nobody waits for them any more. The connection goes back to the pool only
 * after the cancellation was delivered, so it never hits somebody else's query.
 */
import type pg from 'pg';

/** Calls `work` with a connection; rejects when `signal` aborts. */
export const cancellable = async <R>(
  pool: pg.Pool,
  signal: AbortSignal,
  work: (client: pg.PoolClient) => Promise<R>,
): Promise<R> => {
  signal.throwIfAborted();
  const client = await pool.connect();
  const { processID } = client as unknown as { readonly processID: number };
  let cancelled: Promise<unknown> | undefined;
  const cancel = (): void => {
    cancelled = pool.query('select pg_cancel_backend($1)', [processID]).catch(() => {});
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    signal.throwIfAborted();
    return await work(client);
  } finally {
    signal.removeEventListener('abort', cancel);
    await cancelled;
    client.release(cancelled !== undefined);
  }
};
