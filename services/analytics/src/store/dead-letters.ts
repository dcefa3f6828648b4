// SPDX-License-Identifier: Apache-2.0
/** Messages that can never be stored. Each is kept once, however often it is delivered before the bus forgets it. */
import type { EventKind } from '@weir/bus';
import type pg from 'pg';
import { KINDS } from './kinds.ts';

export interface DeadLetter {
  /** From the subject; null when that does not name one. */
  readonly host: string | null;
  readonly subject: string;
  readonly streamSeq: number;
  readonly messageId: string;
  readonly deliveries: number;
  readonly reason: string;
  readonly payload: Uint8Array;
  readonly kind: EventKind;
  /** Events that it held, of which run; undefined when that cannot be told. */
  readonly events?: { readonly boot: number; readonly count: number };
}

/** The newest are kept; a host that sends nothing else must not fill the disk. */
const KEPT = 10_000;

/** A message that is sent again gets a letter of its own, but its events are counted once. */
const saveIn = (agents: string): string => `
with letter as (
  insert into dead_letters (host, subject, stream_seq, message_id, deliveries, reason, payload)
  values ($1, $2, $3, $4, $5, $6, $7) on conflict (subject, stream_seq, message_id) do nothing returning id
), first as (
  select 1 from letter
   where $8::int8 is not null and not exists (select from dead_letters where host = $1 and message_id = $4)
), named as (
  insert into hosts (name) select $1 from first
  on conflict (name) do update set name = excluded.name returning id
)
insert into ${agents} as agents (host_id, boot, dead_letter) select id, $8, $9::int8 from named
on conflict (host_id, boot) do update set dead_letter = agents.dead_letter + excluded.dead_letter`;

export const saveDeadLetter = async (pool: pg.Pool, letter: DeadLetter): Promise<void> => {
  await pool.query(saveIn(KINDS[letter.kind].agents), [
    letter.host,
    letter.subject,
    letter.streamSeq,
    letter.messageId,
    letter.deliveries,
    letter.reason.slice(0, 1_000),
    Buffer.from(letter.payload),
    letter.host === null ? null : (letter.events?.boot ?? null),
    letter.events?.count ?? 0,
  ]);
};

export const pruneDeadLetters = async (pool: pg.Pool): Promise<void> => {
  await pool.query('delete from dead_letters where id <= (select max(id) from dead_letters) - $1', [KEPT]);
};
