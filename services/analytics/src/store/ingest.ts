// SPDX-License-Identifier: Apache-2.0
/**
 * Stores a batch of messages in one transaction: rows by COPY, sums per edge and per rule, ledger. Either all of it is committed
 * or nothing, so a batch may be tried again at any time, by anybody.
 *
 * Rows are made while the COPY runs, message by message, so that Postgres works on the ones before meanwhile.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { EdgeTable } from '../domain/edges.ts';
import { type BatchHead, FlowReader } from '../domain/flow-reader.ts';
import { COPY_HEAD, COPY_TAIL, FLOW_COLUMNS, FlowRows } from '../domain/flow-rows.ts';
import { lengthOf, type Range } from '../domain/ranges.ts';
import { HitTable } from '../domain/rule-hits.ts';
import { type Span, transcode } from '../domain/transcode.ts';
import { saveEdges } from './edges.ts';
import { outdateSums } from './group-sums.ts';
import type { Hosts } from './hosts.ts';
import { LedgerConflict, LedgerPlan, type Settled } from './ledger.ts';
import { type Loss, lossOf, saveLosses } from './losses.ts';
import type { Partition, Partitions } from './partitions.ts';
import { saveRuleHits } from './rule-hits.ts';

export interface FlowMessage {
  readonly host: string;
  readonly data: Uint8Array;
  readonly head: BatchHead;
}

export interface StoredBatch {
  /** Flows stored now; the others were stored before. */
  readonly rows: number;
  readonly duplicates: number;
  /** Flows whose time was outside of what the store keeps. */
  readonly retimed: number;
  readonly settled: readonly (Settled & { readonly host: string })[];
}

export interface FlowStoreOptions {
  readonly pool: pg.Pool;
  readonly hosts: Hosts;
  readonly flows: Partitions;
  readonly edges: Partitions;
  readonly retentionMs: number;
}

/** A host's clock may be ahead by this much. */
const FUTURE_MS = 2 * 3_600_000;
const US_PER_MS = 1_000;
/** Rows go to the socket in pieces of about this size. */
const CHUNK_BYTES = 64 * 1024;
const ATTEMPTS = 8;
/** No partition for a row, because it was dropped a moment ago; with a name it is a constraint of the table. */
const isMissingPartition = (error: unknown): boolean => {
  const { code, constraint } = (error ?? {}) as { code?: string; constraint?: string };
  return code === '23514' && constraint === undefined;
};

/** Holds for no other time: each row is looked at. */
const NOWHERE: Span = { fromUs: 0, toUs: 0 };

class MissingPartitions extends Error {
  override readonly name = 'MissingPartitions';
}

interface Planned {
  readonly message: FlowMessage;
  readonly hostId: number;
  readonly keep: readonly Range[];
}

const isRetryable = (error: unknown): boolean => {
  if (error instanceof LedgerConflict || error instanceof MissingPartitions) return true;
  return ['40001', '40P01'].includes((error as { code?: string })?.code ?? '');
};

export class FlowStore {
  readonly #options: FlowStoreOptions;

  constructor(options: FlowStoreOptions) {
    this.#options = options;
  }

  /** Throws PoisonError when a message cannot be read (nothing is stored then), else what Postgres says. */
  async store(messages: readonly FlowMessage[]): Promise<StoredBatch> {
    for (let attempt = 1; ; attempt += 1) {
      const missing = new Set<number>();
      try {
        return await this.#storeOnce(messages, missing);
      } catch (error) {
        if (isMissingPartition(error)) {
          await this.#options.flows.refresh();
          await this.#options.edges.refresh();
        } else if (!isRetryable(error)) throw error;
        if (attempt >= ATTEMPTS) throw error;
        await this.#options.flows.ensure([...missing]);
        await this.#options.edges.ensure([...missing]);
      }
    }
  }

  async #storeOnce(messages: readonly FlowMessage[], missing: Set<number>): Promise<StoredBatch> {
    const { pool, hosts } = this.#options;
    const ids = await hosts.idsOf(messages.map(({ host }) => host));
    const placed = messages.map((message) => ({ message, hostId: ids.get(message.host) as number }));
    const runs = placed.map(({ message, hostId }) => ({ hostId, boot: message.head.boot }));
    await hosts.ensureAgents(runs);

    const client = await pool.connect();
    let failed = true;
    try {
      const plan = await LedgerPlan.read(client, runs);
      const planned: Planned[] = placed.map(({ message, hostId }) => {
        const { boot, firstSeq, next } = message.head;
        return { message, hostId, keep: plan.take({ hostId, boot }, { first: firstSeq, next }) };
      });
      await client.query('begin');
      const { rows, retimed, lost } = await this.#copy(client, planned, missing);
      for (const loss of lost) plan.lose(loss);
      await saveLosses(client, lost);
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

  async #copy(
    client: pg.PoolClient,
    planned: readonly Planned[],
    missing: Set<number>,
  ): Promise<{ rows: number; retimed: number; lost: readonly Loss[] }> {
    const { flows, edges: edgePartitions, retentionMs } = this.#options;
    const nowMs = Date.now();
    const minUs = (nowMs - retentionMs) * US_PER_MS;
    const maxUs = (nowMs + FUTURE_MS) * US_PER_MS;
    const reader = new FlowReader();
    const rows = new FlowRows();
    const edges = new EdgeTable();
    const hits = new HitTable();
    let count = 0;
    let retimed = 0;
    const lost: Loss[] = [];
    const written = new Set<Partition>();
    const place = (timeUs: number): Span => {
      const timeMs = timeUs / US_PER_MS;
      const [flow, edge] = [flows.at(timeMs), edgePartitions.at(timeMs)];
      if (flow === undefined || edge === undefined) {
        missing.add(timeMs);
        return NOWHERE;
      }
      written.add(flow);
      if (timeUs === minUs || timeUs === maxUs) {
        retimed += 1;
        return NOWHERE;
      }
      return {
        fromUs: Math.max(flow.fromMs * US_PER_MS, edge.fromMs * US_PER_MS, minUs + 1),
        toUs: Math.min(flow.toMs * US_PER_MS, edge.toMs * US_PER_MS, maxUs),
      };
    };
    const chunks = function* (): Generator<Uint8Array> {
      yield COPY_HEAD;
      for (const { message, hostId, keep } of planned) {
        if (keep.length === 0) continue;
        const before = rows.rows;
        transcode(reader, message.data, message.head, keep, { rows, edges, hits, hostId, minUs, maxUs, place });
        const absent = lengthOf(keep) - (rows.rows - before);
        if (absent > 0) lost.push(lossOf(message.head, hostId, absent));
        // All times are looked at before giving up, so that one more attempt is enough.
        if (missing.size > 0) rows.clear();
        if (rows.length < CHUNK_BYTES) continue;
        count += rows.rows;
        yield rows.take();
      }
      if (missing.size > 0) throw new MissingPartitions();
      count += rows.rows;
      if (rows.length > 0) yield rows.take();
      yield COPY_TAIL;
    };
    if (planned.every(({ keep }) => keep.length === 0)) return { rows: 0, retimed: 0, lost };
    const stream = client.query(copyFrom(`copy flows (${FLOW_COLUMNS.join(', ')}) from stdin (format binary)`));
    await pipeline(Readable.from(chunks(), { objectMode: true, highWaterMark: 1 }), stream);
    // By the clock after the rows were written: a partition that was added up in between has closed by then.
    const late = [...written].filter(({ toMs }) => toMs <= Date.now());
    await outdateSums(
      client,
      late.map(({ name }) => name),
    );
    await saveEdges(client, edges.columns());
    await saveRuleHits(client, hits.sorted());
    return { rows: count, retimed, lost };
  }
}
