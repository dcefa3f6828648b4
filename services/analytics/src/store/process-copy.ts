// SPDX-License-Identifier: Apache-2.0
/** Events of processes into their table by COPY. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CopyWriter } from '@weir/db';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { ProcessReader } from '../domain/process-reader.ts';
import { lengthOf } from '../domain/ranges.ts';
import { poison } from '../domain/wire.ts';
import { type Copied, type EventCopy, FUTURE_MS, MissingPartitions, type Planned } from './ingest.ts';
import { KINDS } from './kinds.ts';
import { type Loss, lossOf } from './losses.ts';
import type { Partitions } from './partitions.ts';

export interface ProcessCopyOptions {
  readonly processes: Partitions;
  readonly retentionMs: number;
}

const COLUMNS = [
  'time',
  'boot',
  'seq',
  'exec_ns',
  'parent_exec_ns',
  'host_id',
  'pid',
  'parent_pid',
  'uid',
  'kind',
  'type',
  'verdict',
  'binary_path',
  'arguments',
  'workload',
  'unit_kind',
  'unit',
  'policy',
  'event',
] as const;

const NS_PER_MS = 1_000_000n;

const writeRow = (rows: CopyWriter, reader: ProcessReader, hostId: number, boot: number, seq: number, ns: bigint) => {
  rows.row(COLUMNS.length);
  rows.timestamptzNs(ns);
  rows.int8(BigInt(boot));
  rows.int8(BigInt(seq));
  rows.int8(reader.execNs);
  rows.int8(reader.parentExecNs);
  rows.int4(hostId);
  rows.int4(reader.pid);
  rows.int4(reader.parentPid);
  rows.int8(BigInt(reader.uid));
  rows.int2(reader.kind);
  rows.int4(reader.type);
  rows.int2(reader.verdict);
  rows.text(reader.binary);
  rows.text(reader.arguments);
  rows.text(reader.workload);
  rows.text(reader.unitKind);
  rows.text(reader.unit);
  rows.text(reader.policy);
  rows.bytea(reader.event);
};

export class ProcessCopy implements EventCopy {
  readonly #options: ProcessCopyOptions;
  readonly tables = KINDS.process;

  constructor(options: ProcessCopyOptions) {
    this.#options = options;
  }

  get partitions(): readonly Partitions[] {
    return [this.#options.processes];
  }

  validate(data: Uint8Array): void {
    const reader = new ProcessReader();
    reader.open(data);
    while (reader.next());
  }

  async copy(client: pg.PoolClient, planned: readonly Planned[], missing: Set<number>): Promise<Copied> {
    const { processes, retentionMs } = this.#options;
    const nowMs = Date.now();
    const minNs = BigInt(Math.floor(nowMs - retentionMs)) * NS_PER_MS;
    const maxNs = BigInt(nowMs + FUTURE_MS) * NS_PER_MS;
    const reader = new ProcessReader();
    const rows = new CopyWriter();
    const lost: Loss[] = [];
    let retimed = 0;
    for (const { message, hostId, keep } of planned) {
      if (keep.length === 0) continue;
      const { boot, firstSeq, next } = message.head;
      const before = rows.rows;
      reader.open(message.data);
      for (let seq = firstSeq; reader.next(); seq += 1) {
        seq += reader.skipped;
        if (seq >= next) poison('an event has a number beyond end_seq');
        if (!keep.some((range) => seq >= range.first && seq < range.next)) continue;
        const ns = reader.timeNs < minNs ? minNs : reader.timeNs > maxNs ? maxNs : reader.timeNs;
        if (ns !== reader.timeNs) retimed += 1;
        const timeMs = Number(ns / NS_PER_MS);
        if (processes.at(timeMs) === undefined) missing.add(timeMs);
        writeRow(rows, reader, hostId, boot, seq, ns);
      }
      const absent = lengthOf(keep) - (rows.rows - before);
      if (absent > 0) lost.push(lossOf(message.head, hostId, absent));
    }
    if (missing.size > 0) throw new MissingPartitions();
    if (rows.rows > 0) {
      const stream = client.query(copyFrom(`copy process_events (${COLUMNS.join(', ')}) from stdin (format binary)`));
      await pipeline(Readable.from(rows.finish()), stream);
    }
    return { rows: rows.rows, retimed, lost };
  }
}
