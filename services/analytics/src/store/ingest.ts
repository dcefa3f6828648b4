// SPDX-License-Identifier: Apache-2.0
/**
 * Stores a batch of messages of one kind of event in one transaction: rows by COPY, what they add up to, ledger. Either all of it
 * is committed or nothing, so a batch may be tried again at any time, by anybody.
 */
import type pg from 'pg';
import type { BatchHead } from '../domain/flow-reader.ts';
import type { Range } from '../domain/ranges.ts';
import type { Span } from '../domain/transcode.ts';
import type { Hosts } from './hosts.ts';
import type { KindTables } from './kinds.ts';
import { LedgerConflict, LedgerPlan, type Settled } from './ledger.ts';
import { type Loss, saveLosses } from './losses.ts';
import type { Partitions } from './partitions.ts';

export interface EventMessage {
  readonly host: string;
  readonly data: Uint8Array;
  readonly head: BatchHead;
}

export interface StoredBatch {
  /** Events stored now; the others were stored before. */
  readonly rows: number;
  readonly duplicates: number;
  /** Events whose time was outside of what the store keeps. */
  readonly retimed: number;
  readonly settled: readonly (Settled & { readonly host: string })[];
}

export interface Planned {
  readonly message: EventMessage;
  readonly hostId: number;
  /** What of it is not stored yet. */
  readonly keep: readonly Range[];
}

export interface Copied {
  readonly rows: number;
  readonly retimed: number;
  readonly lost: readonly Loss[];
}

/** Events of one kind into their tables. */
export interface EventCopy {
  readonly tables: KindTables;
  /** In which each event needs a place. */
  readonly partitions: readonly Partitions[];
  /** Throws PoisonError when a message cannot be stored. */
  validate(data: Uint8Array): void;
  /** Inside the transaction. Times without a place go into `missing`; then it throws MissingPartitions. */
  copy(client: pg.PoolClient, planned: readonly Planned[], missing: Set<number>): Promise<Copied>;
}

export interface EventStoreOptions {
  readonly pool: pg.Pool;
  readonly hosts: Hosts;
  readonly copy: EventCopy;
}

/** A host's clock may be ahead by this much. */
export const FUTURE_MS = 2 * 3_600_000;
const ATTEMPTS = 8;
/** No partition for a row, because it was dropped a moment ago; with a name it is a constraint of the table. */
const isMissingPartition = (error: unknown): boolean => {
  const { code, constraint } = (error ?? {}) as { code?: string; constraint?: string };
  return code === '23514' && constraint === undefined;
};

/** Holds for no other time: each row is looked at. */
export const NOWHERE: Span = { fromUs: 0, toUs: 0 };

export class MissingPartitions extends Error {
  override readonly name = 'MissingPartitions';
}

const isRetryable = (error: unknown): boolean => {
  if (error instanceof LedgerConflict || error instanceof MissingPartitions) return true;
  return ['40001', '40P01'].includes((error as { code?: string })?.code ?? '');
};

export class EventStore {
  readonly #options: EventStoreOptions;

  constructor(options: EventStoreOptions) {
    this.#options = options;
  }

  validate(data: Uint8Array): void {
    this.#options.copy.validate(data);
  }

  /** Throws PoisonError when a message cannot be read (nothing is stored then), else what Postgres says. */
  async store(messages: readonly EventMessage[]): Promise<StoredBatch> {
    for (let attempt = 1; ; attempt += 1) {
      const missing = new Set<number>();
      try {
        return await this.#storeOnce(messages, missing);
      } catch (error) {
        if (isMissingPartition(error)) {
          for (const partitions of this.#options.copy.partitions) await partitions.refresh();
        } else if (!isRetryable(error)) throw error;
        if (attempt >= ATTEMPTS) throw error;
        for (const partitions of this.#options.copy.partitions) await partitions.ensure([...missing]);
      }
    }
  }

  async #storeOnce(messages: readonly EventMessage[], missing: Set<number>): Promise<StoredBatch> {
    const { pool, hosts, copy } = this.#options;
    const ids = await hosts.idsOf(messages.map(({ host }) => host));
    const placed = messages.map((message) => ({ message, hostId: ids.get(message.host) as number }));
    const runs = placed.map(({ message, hostId }) => ({ hostId, boot: message.head.boot }));
    await hosts.ensureAgents(copy.tables, runs);

    const client = await pool.connect();
    let failed = true;
    try {
      const plan = await LedgerPlan.read(client, copy.tables, runs);
      const planned: Planned[] = placed.map(({ message, hostId }) => {
        const { boot, firstSeq, next } = message.head;
        return { message, hostId, keep: plan.take({ hostId, boot }, { first: firstSeq, next }) };
      });
      await client.query('begin');
      const { rows, retimed, lost } = await copy.copy(client, planned, missing);
      for (const loss of lost) plan.lose(loss);
      await saveLosses(client, copy.tables, lost);
      const settled = await plan.commit(client, Date.now());
      await client.query('commit');
      failed = false;
      const names = new Map(placed.map(({ message, hostId }) => [hostId, message.host]));
      const total = messages.reduce((sum, { head }) => sum + head.count, 0);
      return {
        rows,
        retimed,
        duplicates: total - rows,
        settled: settled.map((run) => ({ ...run, host: names.get(run.hostId) as string })),
      };
    } catch (error) {
      if (error instanceof LedgerConflict) {
        await client.query('rollback');
        failed = false;
        // Rows of that run were removed, or the plan is old: look at everything again.
        hosts.forgetAgents();
      }
      throw error;
    } finally {
      // Whatever a broken COPY left of the connection ends with it.
      client.release(failed);
    }
  }
}
