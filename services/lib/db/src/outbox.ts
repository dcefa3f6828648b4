// SPDX-License-Identifier: Apache-2.0
/**
 * Writes to the outbox: a message that leaves if, and only if, the change that it tells of is committed.
 *
 * Revisions are what readers order by, so they must become visible in their order: a sequence alone would let
 * a later number commit first. `enqueue` therefore takes a lock that lasts until the transaction ends; call it last.
 */
import { sql, type Transaction } from 'kysely';

/** Table `outbox` of a service's schema; the dispatcher that empties it lives with the bus. */
export interface OutboxMessage {
  readonly subject: string;
  readonly body: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Advisory lock class; the second key is the schema. */
const OUTBOX_LOCK = 0x0b0c;

/** Channel on which a commit with messages is notified. */
export const outboxChannel = (schema: string): string => `${schema}_outbox`;

/** Adds messages in order; returns their revisions. */
// biome-ignore lint/suspicious/noExplicitAny: any service's tables will do
export const enqueue = async (trx: Transaction<any>, messages: readonly OutboxMessage[]): Promise<bigint[]> => {
  if (messages.length === 0) return [];
  await sql`select pg_advisory_xact_lock(${sql.lit(OUTBOX_LOCK)}, hashtext(current_schema()))`.execute(trx);
  const subjects = messages.map(({ subject }) => subject);
  const bodies = messages.map(({ body }) => Buffer.from(body));
  const headers = messages.map((message) => JSON.stringify(message.headers ?? {}));
  const { rows } = await sql<{ revision: bigint }>`
    insert into outbox (subject, body, headers)
    select subject, body, headers::jsonb
    from unnest(${subjects}::text[], ${bodies}::bytea[], ${headers}::text[]) with ordinality
      as message (subject, body, headers, position)
    order by position
    returning revision`.execute(trx);
  await sql`select pg_notify(current_schema() || '_outbox', '')`.execute(trx);
  return rows.map(({ revision }) => revision).sort((a, b) => (a < b ? -1 : 1));
};
