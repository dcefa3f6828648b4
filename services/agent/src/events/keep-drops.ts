// SPDX-License-Identifier: Apache-2.0
/**
 * When the spool must shed, what was refused is worth more than what passed. What is left stands for all the numbers
 * that it had before: the loss is told in its own place, by the same way as the events, and leaves no gap behind.
 */
import { flowField, noneShed, processesOf, type Shed, sparseBatch, walkBatch, widen } from './flow-bytes.ts';
import { endOf, type SpoolBatch } from './segment.ts';

/** As many as the ring buffer's reader puts into one; far below what the bus takes. */
const FLOWS_MAX = 1_000;
const BYTES_MAX = 256 << 10;

/** The refused flows of consecutive dense batches, in batches that stand for all numbers up to `endSeq`. */
export const keepDrops = (
  boot: bigint,
  batches: readonly SpoolBatch[],
  firstSeq: bigint,
  endSeq: bigint,
): SpoolBatch[] => {
  const kept: SpoolBatch[] = [];
  let from = firstSeq;
  let next = firstSeq;
  let flows: Buffer[] = [];
  let bytes = 0;
  let shed = noneShed();
  /** Each process once, by its bytes. */
  let named = new Map<string, Buffer>();
  const finish = (to: bigint): void => {
    if (to > from) kept.push(sparseBatch(boot, from, to, flows, shed, [...named.values()]));
    named = new Map();
    from = to;
    flows = [];
    bytes = 0;
    shed = noneShed();
  };
  for (const batch of batches) {
    let seq = batch.firstSeq;
    const processes = processesOf(batch.bytes);
    let isOther = true;
    walkBatch(batch.bytes, (flow) => {
      if (flow.wasRefused) {
        const field = flowField(batch.bytes.subarray(flow.from, flow.to), seq - next);
        flows.push(field);
        if (named.size < processes.length || isOther)
          for (const one of processes) named.set(one.toString('latin1'), one);
        isOther = false;
        bytes += field.length;
        next = seq + 1n;
        if (flows.length >= FLOWS_MAX || bytes >= BYTES_MAX) finish(next);
      } else widen(shed, flow.timeNs);
      seq += 1n;
    });
  }
  finish(endSeq);
  return kept;
};

/** What is lost when all of these go, but for numbers below `fromSeq`. */
export const shedOf = (batches: readonly SpoolBatch[], fromSeq: bigint): Shed => {
  const all = noneShed();
  for (const batch of batches) {
    if (endOf(batch) <= fromSeq) continue;
    const before = walkBatch(batch.bytes, ({ wasRefused, timeNs }) => {
      if (wasRefused) all.refused += 1;
      widen(all, timeNs);
    });
    all.refused += before.refused;
    widen(all, before.fromNs, before.toNs);
  }
  return all;
};
