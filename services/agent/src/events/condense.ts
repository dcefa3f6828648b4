// SPDX-License-Identifier: Apache-2.0
/** Spool files with less in them, put in the place of the whole ones by rename. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readFrames } from '../records.ts';
import { noneShed, type Shed, sparseBatch } from './flow-bytes.ts';
import { keepDrops, shedOf } from './keep-drops.ts';
import { decodeRecord, framedRecord, Segment, type SpoolBatch, segmentPath } from './segment.ts';

const replace = async (boot: bigint, path: string, batches: readonly SpoolBatch[]): Promise<Segment> => {
  const kept = Buffer.concat(batches.flatMap((batch) => framedRecord(batch).pieces));
  await writeFile(`${path}.new`, kept, { mode: 0o600 });
  await rename(`${path}.new`, path);
  const rest = Segment.restore(boot, path, kept);
  if (!rest) throw new Error(`${path} has no records`);
  rest.condensed = true;
  return rest;
};

const readBatches = async ({ path }: Segment): Promise<SpoolBatch[]> =>
  readFrames(await readFile(path)).frames.map(({ payload }) => decodeRecord(payload));

/** Without the flows that passed. Of a segment of which nothing was sent and nothing is being sent. */
export const condense = async (segment: Segment): Promise<Segment> => {
  const { boot, path, firstSeq, endSeq } = segment;
  return replace(boot, path, keepDrops(boot, await readBatches(segment), firstSeq, endSeq));
};

/** Without any flow: what is left says that the unsent ones are lost. The segment's own file goes when it is another. */
export const bury = async (segment: Segment): Promise<Segment> => {
  const { boot, path, unsentFrom, endSeq } = segment;
  let shed: Shed;
  try {
    shed = shedOf(await readBatches(segment), unsentFrom);
  } catch {
    shed = noneShed();
  }
  return replace(boot, segmentPath(dirname(path), unsentFrom), [sparseBatch(boot, unsentFrom, endSeq, [], shed)]);
};

/** One in the place of two neighbours that hold no flows. */
export const join = async (first: Segment, second: Segment): Promise<Segment> => {
  const batches = [...(await readBatches(first)), ...(await readBatches(second))];
  const shed = shedOf(batches, 0n);
  return replace(first.boot, first.path, [sparseBatch(first.boot, first.firstSeq, second.endSeq, [], shed)]);
};
