// SPDX-License-Identifier: Apache-2.0
/**
 * A change that is asked for twice with one key is made once (Idempotency-Key of HTTP, `idempotency-key` in the metadata
 * of gRPC). The answer is kept in the transaction of the change: there is never one without the other. A change that
 * failed leaves no trace, so the same key may try again.
 */
import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import { weirError } from '@weir/errors';
import { type RawBuilder, sql, type Transaction } from 'kysely';

/** A migration of each service that makes such changes; a test compares. */
export const IDEMPOTENCY_SQL = `-- Answers to changes that carried an Idempotency-Key, for a day: asked again, they are given again.
create table idempotency_keys (
  key text primary key,
  -- SHA-256 of what was asked
  fingerprint bytea not null,
  -- node:v8 serialize() of the answer
  answer bytea not null,
  created_at timestamptz not null default now()
);
create index idempotency_keys_created on idempotency_keys (created_at);
`;

export interface Once {
  readonly key: string;
  /** Called when the answer is one that was given before. */
  readonly onReplay?: () => void;
}

const KEPT = sql`interval '24 hours'`;
/** More than one new row removes, so old ones never pile up, and no request waits long for it. */
const SWEEP_ROWS = 100;

/** The same text for the same value, in whatever order its keys were written. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, part) => {
    if (typeof part === 'bigint') return part.toString();
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });

const run = async <Row>(trx: Transaction<never>, query: RawBuilder<Row>): Promise<readonly Row[]> =>
  (await query.execute(trx)).rows;

/** Two who use a key at once: the second is told to come back, instead of holding a connection while it waits. */
const claim = async (trx: Transaction<never>, key: string): Promise<void> => {
  const [lock] = await run(
    trx,
    sql<{
      mine: boolean;
    }>`select pg_try_advisory_xact_lock(hashtextextended(current_schema() || ' ' || ${key}, 0)) as mine`,
  );
  if (lock?.mine === true) return;
  throw weirError('CONFLICT', 'a request with this Idempotency-Key is being answered', {
    field: 'Idempotency-Key',
    value: key,
    fix: 'send the same request again after the time in Retry-After',
    retryAfterS: 1,
  });
};

/**
 * Does `work` unless it was done with this key before; then its answer of that time is given. To be called inside the
 * transaction of the change. `asked` is the request as far as it decides what happens.
 */
export const onlyOnce = async <T, R>(
  transaction: Transaction<T>,
  once: Once | undefined,
  operation: string,
  asked: unknown,
  work: () => Promise<R>,
): Promise<R> => {
  if (once === undefined) return work();
  const trx = transaction as unknown as Transaction<never>;
  const { key } = once;
  const fingerprint = createHash('sha256')
    .update(`${operation} ${canonical(asked)}`)
    .digest();
  await claim(trx, key);
  const [before] = await run(
    trx,
    sql<{ fingerprint: Buffer; answer: Buffer }>`
      select fingerprint, answer from idempotency_keys where key = ${key} and created_at > now() - ${KEPT}`,
  );
  if (before !== undefined) {
    if (!before.fingerprint.equals(fingerprint)) {
      throw weirError('INVALID_ARGUMENT', 'this Idempotency-Key was used for another request', {
        field: 'Idempotency-Key',
        value: key,
        fix: 'use a new key for each new request, such as a UUID',
      });
    }
    once.onReplay?.();
    return deserialize(before.answer) as R;
  }
  const answer = await work();
  await run(
    trx,
    sql`insert into idempotency_keys (key, fingerprint, answer) values (${key}, ${fingerprint}, ${serialize(answer)})
        on conflict (key) do update set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = now()`,
  );
  await run(
    trx,
    sql`delete from idempotency_keys where key in (
          select key from idempotency_keys where created_at < now() - ${KEPT}
          order by created_at limit ${sql.lit(SWEEP_ROWS)} for update skip locked)`,
  );
  return answer;
};
