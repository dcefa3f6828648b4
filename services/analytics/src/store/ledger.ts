// SPDX-License-Identifier: Apache-2.0
/**
 * Exactly-once rows from at-least-once messages. The ledger says which sequence numbers of a run are stored; a batch
 * is cut down to what is new, and the ledger is extended in the transaction that stores it. Reading it before the
 * COPY takes no lock; at the end the run's row is locked and the ledger looked at again, so that of two replicas
 * with the same flows one starts over. That lock is held for milliseconds and taken in one order by all.
 */
import type pg from 'pg';
import { join, lengthOf, overlaps, type Range, type StoredRange, settledUpTo, without } from '../domain/ranges.ts';
import type { KindTables } from './kinds.ts';

export interface Run {
  readonly hostId: number;
  readonly boot: number;
}

/** Somebody else stored some of the same flows meanwhile. */
export class LedgerConflict extends Error {
  override readonly name = 'LedgerConflict';
}

export interface Settled extends Run {
  /** Up to here everything is stored or lost for good; 0: nothing. */
  readonly seq: number;
}

const keyOf = ({ hostId, boot }: Run): string => `${hostId}:${boot}`;

type Queryable = Pick<pg.ClientBase, 'query'>;

const readRanges = async (
  client: Queryable,
  { ingested }: KindTables,
  runs: readonly Run[],
): Promise<Map<string, StoredRange[]>> => {
  const { rows } = await client.query<{ host_id: number; boot: bigint; first_seq: bigint; next_seq: bigint; at: Date }>(
    `select host_id, boot, first_seq, next_seq, stored_at as at
       from ${ingested} join unnest($1::int4[], $2::int8[]) as run (host_id, boot) using (host_id, boot)
      order by host_id, boot, first_seq`,
    [runs.map(({ hostId }) => hostId), runs.map(({ boot }) => boot)],
  );
  const ranges = new Map<string, StoredRange[]>(runs.map((run) => [keyOf(run), []]));
  for (const row of rows) {
    ranges.get(keyOf({ hostId: row.host_id, boot: Number(row.boot) }))?.push({
      first: Number(row.first_seq),
      next: Number(row.next_seq),
      storedAtMs: row.at.getTime(),
    });
  }
  return ranges;
};

/** What one transaction is going to store. */
export class LedgerPlan {
  readonly runs: readonly Run[];
  readonly #tables: KindTables;
  readonly #held: Map<string, StoredRange[]>;
  readonly #added = new Map<string, Range[]>();
  readonly #lost = new Map<string, number>();

  private constructor(tables: KindTables, runs: readonly Run[], held: Map<string, StoredRange[]>) {
    this.#tables = tables;
    this.runs = runs;
    this.#held = held;
  }

  static async read(client: Queryable, tables: KindTables, runs: Iterable<Run>): Promise<LedgerPlan> {
    const distinct = [...new Map([...runs].map((run) => [keyOf(run), run])).values()];
    distinct.sort((a, b) => a.hostId - b.hostId || a.boot - b.boot);
    return new LedgerPlan(tables, distinct, await readRanges(client, tables, distinct));
  }

  /** The part of a batch that is not stored yet; it now counts as being stored by this plan. */
  take(run: Run, batch: Range): Range[] {
    const key = keyOf(run);
    const added = this.#added.get(key) ?? [];
    const fresh = without(batch, [...(this.#held.get(key) ?? []), ...added]);
    this.#added.set(key, join([...added, ...fresh]));
    return fresh;
  }

  /** Of what is being stored, so many are only numbers: the events are lost. */
  lose({ lost, ...run }: Run & { readonly lost: number }): void {
    const key = keyOf(run);
    this.#lost.set(key, (this.#lost.get(key) ?? 0) + lost);
  }

  /** Inside the transaction, last: throws LedgerConflict when the plan no longer holds. */
  async commit(client: Queryable, nowMs: number): Promise<Settled[]> {
    const { agents: agentsTable } = this.#tables;
    const { rows } = await client.query<{ host_id: number; boot: bigint; released_seq: bigint }>(
      `select host_id, boot, released_seq
         from ${agentsTable} a join unnest($1::int4[], $2::int8[]) as run (host_id, boot) using (host_id, boot)
        order by host_id, boot for update of a`,
      [this.runs.map(({ hostId }) => hostId), this.runs.map(({ boot }) => boot)],
    );
    const agents = new Map(rows.map((row) => [keyOf({ hostId: row.host_id, boot: Number(row.boot) }), row]));
    const current = await readRanges(client, this.#tables, this.runs);
    const removed: (Run & { first: number })[] = [];
    const kept: (Run & StoredRange)[] = [];
    const settled: (Settled & { stored: number })[] = [];
    for (const run of this.runs) {
      const key = keyOf(run);
      const agent = agents.get(key);
      if (agent === undefined) throw new LedgerConflict(`the row of run ${key} is gone`);
      const held = current.get(key) ?? [];
      const added = this.#added.get(key) ?? [];
      if (added.some((range) => held.some((other) => overlaps(range, other)))) throw new LedgerConflict(key);
      const merged = join([...held, ...added]).map((range) => {
        const parts = held.filter((part) => overlaps(part, range));
        return { ...range, storedAtMs: Math.min(nowMs, ...parts.map(({ storedAtMs }) => storedAtMs)) };
      });
      removed.push(
        ...held
          .filter((part) => !merged.some(({ first }) => first === part.first))
          .map(({ first }) => ({ ...run, first })),
      );
      kept.push(
        ...merged
          .filter((range) => !held.some((part) => part.first === range.first && part.next === range.next))
          .map((range) => ({ ...run, ...range })),
      );
      const seq = settledUpTo({
        stored: merged,
        releasedSeq: Number(agent.released_seq),
        nowMs,
      });
      settled.push({ ...run, seq, stored: lengthOf(added) - (this.#lost.get(key) ?? 0) });
    }
    await this.#save(client, removed, kept, settled);
    return settled;
  }

  async #save(
    client: Queryable,
    removed: readonly (Run & { first: number })[],
    kept: readonly (Run & StoredRange)[],
    settled: readonly (Settled & { stored: number })[],
  ): Promise<void> {
    const { agents, ingested } = this.#tables;
    if (removed.length > 0) {
      await client.query(
        `delete from ${ingested} i using unnest($1::int4[], $2::int8[], $3::int8[]) as gone (host_id, boot, first_seq)
          where i.host_id = gone.host_id and i.boot = gone.boot and i.first_seq = gone.first_seq`,
        [removed.map(({ hostId }) => hostId), removed.map(({ boot }) => boot), removed.map(({ first }) => first)],
      );
    }
    if (kept.length > 0) {
      await client.query(
        `insert into ${ingested} (host_id, boot, first_seq, next_seq, stored_at)
         select host_id, boot, first_seq, next_seq, to_timestamp(at / 1000)
           from unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::float8[])
             as kept (host_id, boot, first_seq, next_seq, at)
         on conflict (host_id, boot, first_seq) do update set next_seq = excluded.next_seq`,
        [
          kept.map(({ hostId }) => hostId),
          kept.map(({ boot }) => boot),
          kept.map(({ first }) => first),
          kept.map(({ next }) => next),
          kept.map(({ storedAtMs }) => storedAtMs),
        ],
      );
    }
    await client.query(
      `update ${agents} a set
         stored = a.stored + run.stored,
         committed_seq = nullif(greatest(coalesce(a.committed_seq, 0), run.seq), 0),
         committed_at = case when run.stored > 0 then now() else a.committed_at end
         from unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[]) as run (host_id, boot, seq, stored)
        where a.host_id = run.host_id and a.boot = run.boot`,
      [
        settled.map(({ hostId }) => hostId),
        settled.map(({ boot }) => boot),
        settled.map(({ seq }) => seq),
        settled.map(({ stored }) => stored),
      ],
    );
  }
}

/** Where the runs stand now, for instance after a heartbeat explained a gap. Saves what changed. */
export const settleRuns = async (
  client: Queryable,
  tables: KindTables,
  runs: readonly Run[],
  nowMs: number,
): Promise<Settled[]> => {
  const plan = await LedgerPlan.read(client, tables, runs);
  return plan.commit(client, nowMs);
};
