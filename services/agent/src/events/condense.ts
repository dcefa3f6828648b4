// SPDX-License-Identifier: Apache-2.0
/** A spool file without the flows that passed, put in the place of the whole one by rename. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { frame, readFrames } from '../records.ts';
import { keepDrops } from './keep-drops.ts';
import { decodeRecord, encodeRecord, Segment } from './segment.ts';

/** Of a segment of which nothing was sent and nothing is being sent. Undefined when nothing of it is left. */
export const condense = async (segment: Segment): Promise<Segment | undefined> => {
  const { path, boot } = segment;
  const { frames } = readFrames(await readFile(path));
  const batches = frames.flatMap(({ payload }) => keepDrops(boot, decodeRecord(payload)));
  if (batches.length === 0) return undefined;
  const kept = Buffer.concat(batches.map((batch) => frame(encodeRecord(batch))));
  await writeFile(`${path}.new`, kept, { mode: 0o600 });
  await rename(`${path}.new`, path);
  const rest = Segment.restore(boot, path, kept);
  if (rest) rest.condensed = true;
  return rest;
};
