// SPDX-License-Identifier: Apache-2.0
/** One message of the bus -> rows of a COPY, sums per edge and per rule; the hot path, run once for each flow that is stored. */
import type { EdgeTable } from './edges.ts';
import { ownerKey, readOwners } from './flow-owners.ts';
import type { BatchHead, FlowReader } from './flow-reader.ts';
import { type FlowRows, microsOf } from './flow-rows.ts';
import type { Range } from './ranges.ts';
import type { HitTable } from './rule-hits.ts';
import { poison } from './wire.ts';

export interface TranscodeTarget {
  readonly rows: FlowRows;
  readonly edges: EdgeTable;
  readonly hits: HitTable;
  readonly hostId: number;
  /** Number of a process that flows name, by its `<host number>:<ownerKey>`. */
  readonly owners: ReadonlyMap<string, number>;
  /** Earlier and later times are moved to the bounds: a clock that is wrong loses nothing. */
  readonly minUs: number;
  readonly maxUs: number;
  /** Is there a place for a row of this time? Gives the span for which the answer is the same. */
  readonly place: (timeUs: number) => Span;
}

/** Unix microseconds, half open. */
export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Only the flows in `keep` (sorted). Throws PoisonError; then what was added up is of no use any more. */
export const transcode = (
  reader: FlowReader,
  message: Uint8Array,
  batch: BatchHead,
  keep: readonly Range[],
  target: TranscodeTarget,
): void => {
  const { rows, edges, hits, hostId, owners, minUs, maxUs, place } = target;
  reader.open(message);
  let seq = batch.firstSeq;
  let fromUs = 0;
  let toUs = 0;
  const ownerOf = (): number => {
    const { pid, execHigh, execLow, uid } = reader;
    return pid === 0 ? 0 : (owners.get(`${hostId}:${ownerKey(execHigh, execLow, pid, uid)}`) ?? 0);
  };
  const append = (): void => {
    const us = microsOf(reader.timeHigh, reader.timeLow);
    const timeUs = Math.max(minUs, Math.min(us, maxUs));
    if (timeUs < fromUs || timeUs >= toUs) ({ fromUs, toUs } = place(timeUs));
    rows.append(reader, hostId, batch.boot, seq, timeUs, ownerOf());
    edges.add(reader, hostId, timeUs);
    hits.add(reader, timeUs);
  };
  if (batch.next - batch.firstSeq !== batch.count) {
    // Some were shed: only the flows themselves say which numbers they have.
    for (; reader.next(); seq += 1) {
      seq += reader.skipped;
      if (seq >= batch.next) poison('a flow has a number beyond end_seq');
      if (keep.some(({ first, next }) => seq >= first && seq < next)) append();
    }
    return;
  }
  for (const range of keep) {
    for (; seq < range.first; seq += 1) reader.skip();
    for (; seq < range.next; seq += 1) {
      reader.next();
      append();
    }
  }
};

/** Reads every flow of a message; throws PoisonError when one cannot be stored. */
export const validate = (reader: FlowReader, message: Uint8Array): void => {
  readOwners(message);
  reader.open(message);
  while (reader.next());
};
