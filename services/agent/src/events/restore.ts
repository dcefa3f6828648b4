// SPDX-License-Identifier: Apache-2.0
/** A spool file that an agent before this one left: what of it is whole, and nothing else. */
import { readFile, rm, truncate } from 'node:fs/promises';
import { readFrames } from '../records.ts';
import { Segment } from './segment.ts';

/** Cuts a torn end off the file; undefined (and no file any more) when nothing of it is whole. */
export const restoreSegment = async (
  boot: bigint,
  path: string,
  onTrouble: (what: string, cause: unknown) => void,
): Promise<Segment | undefined> => {
  const file = await readFile(path);
  const { validBytes, damage } = readFrames(file);
  if (damage !== 'none') {
    // Torn by a kill in mid-write: that batch was never published, and its events never had a reader.
    onTrouble(`spool file ${path} ends in a ${damage} record; ${file.length - validBytes} bytes cut`, undefined);
    await truncate(path, validBytes);
  }
  const segment = Segment.restore(boot, path, file.subarray(0, validBytes));
  if (!segment) await rm(path, { force: true });
  return segment;
};
