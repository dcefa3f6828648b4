// SPDX-License-Identifier: Apache-2.0
/**
 * Flows into their table by COPY, with sums per edge and per rule. Rows are made while the COPY runs, message by message, so that
 * Postgres works on the ones before meanwhile.
 */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { EdgeTable } from '../domain/edges.ts';
import { readOwners } from '../domain/flow-owners.ts';
import { FlowReader } from '../domain/flow-reader.ts';
import { COPY_HEAD, COPY_TAIL, FLOW_COLUMNS, FlowRows } from '../domain/flow-rows.ts';
import { lengthOf } from '../domain/ranges.ts';
import { HitTable } from '../domain/rule-hits.ts';
import { type Span, transcode, validate } from '../domain/transcode.ts';
import { saveEdges } from './edges.ts';
import { outdateSums } from './group-sums.ts';
import { type Copied, type EventCopy, FUTURE_MS, MissingPartitions, NOWHERE, type Planned } from './ingest.ts';
import { KINDS } from './kinds.ts';
import { type Loss, lossOf } from './losses.ts';
import type { Owners } from './owners.ts';
import type { Partition, Partitions } from './partitions.ts';
import { saveRuleHits } from './rule-hits.ts';

export interface FlowCopyOptions {
  readonly flows: Partitions;
  readonly edges: Partitions;
  readonly owners: Owners;
  readonly retentionMs: number;
}

const US_PER_MS = 1_000;
/** Rows go to the socket in pieces of about this size. */
const CHUNK_BYTES = 64 * 1024;

export class FlowCopy implements EventCopy {
  readonly #options: FlowCopyOptions;
  readonly tables = KINDS.flow;

  constructor(options: FlowCopyOptions) {
    this.#options = options;
  }

  get partitions(): readonly Partitions[] {
    return [this.#options.flows, this.#options.edges];
  }

  validate(data: Uint8Array): void {
    validate(new FlowReader(), data);
  }

  async copy(client: pg.PoolClient, planned: readonly Planned[], missing: Set<number>): Promise<Copied> {
    const { flows, edges: edgePartitions, retentionMs } = this.#options;
    const owners = await this.#options.owners.idsOf(
      planned
        .filter(({ keep }) => keep.length > 0)
        .map(({ message, hostId }) => ({ hostId, owners: readOwners(message.data) })),
    );
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
        const target = { rows, edges, hits, hostId, owners, minUs, maxUs, place };
        transcode(reader, message.data, message.head, keep, target);
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
