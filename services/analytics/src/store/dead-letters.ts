// SPDX-License-Identifier: Apache-2.0
/** Messages that can never be stored. Each is kept once, however often it is delivered before the bus forgets it. */
import type pg from 'pg';

export interface DeadLetter {
  /** From the subject; null when that does not name one. */
  readonly host: string | null;
  readonly subject: string;
  readonly streamSeq: number;
  readonly messageId: string;
  readonly deliveries: number;
  readonly reason: string;
  readonly payload: Uint8Array;
}

/** The newest are kept; a host that sends nothing else must not fill the disk. */
const KEPT = 10_000;

export const saveDeadLetter = async (pool: pg.Pool, letter: DeadLetter): Promise<void> => {
  await pool.query(
    `insert into dead_letters (host, subject, stream_seq, message_id, deliveries, reason, payload)
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (subject, stream_seq, message_id) do nothing`,
    [
      letter.host,
      letter.subject,
      letter.streamSeq,
      letter.messageId,
      letter.deliveries,
      letter.reason.slice(0, 1_000),
      Buffer.from(letter.payload),
    ],
  );
};

export const pruneDeadLetters = async (pool: pg.Pool): Promise<void> => {
  await pool.query('delete from dead_letters where id <= (select max(id) from dead_letters) - $1', [KEPT]);
};
