// SPDX-License-Identifier: Apache-2.0
/** Where events are missing for good, because an agent's spool was full: told by the agent in their place, kept here. */
import type pg from 'pg';
import type { BatchHead } from '../domain/flow-reader.ts';
import type { KindTables } from './kinds.ts';

export interface Loss {
  readonly hostId: number;
  readonly boot: number;
  /** Not all from here up to `next` need be missing. */
  readonly first: number;
  readonly next: number;
  readonly lost: number;
  readonly refused: number;
  /** Unix milliseconds; 0: not known. */
  readonly fromMs: number;
  readonly toMs: number;
}

export const lossOf = ({ boot, firstSeq, next, shed }: BatchHead, hostId: number, lost: number): Loss => ({
  hostId,
  boot,
  first: firstSeq,
  next,
  lost,
  refused: Math.min(lost, shed?.refused ?? 0),
  fromMs: shed?.fromMs ?? 0,
  toMs: shed?.toMs ?? 0,
});

/** In the transaction that stores what is not missing. */
export const saveLosses = async (
  client: Pick<pg.ClientBase, 'query'>,
  tables: KindTables,
  losses: readonly Loss[],
): Promise<void> => {
  if (losses.length === 0) return;
  const column = (value: (loss: Loss) => number): number[] => losses.map(value);
  await client.query(
    `insert into ${tables.losses} (host_id, boot, first_seq, next_seq, lost, refused, from_time, to_time)
     select host_id, boot, first_seq, next_seq, lost, refused,
            to_timestamp(nullif(from_ms, 0) / 1000.0), to_timestamp(nullif(to_ms, 0) / 1000.0)
       from unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[])
         as new (host_id, boot, first_seq, next_seq, lost, refused, from_ms, to_ms)
     on conflict (host_id, boot, first_seq) do nothing`,
    [
      column(({ hostId }) => hostId),
      column(({ boot }) => boot),
      column(({ first }) => first),
      column(({ next }) => next),
      column(({ lost }) => lost),
      column(({ refused }) => refused),
      column(({ fromMs }) => fromMs),
      column(({ toMs }) => toMs),
    ],
  );
};
