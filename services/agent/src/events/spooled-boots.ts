// SPDX-License-Identifier: Apache-2.0
/** Which earlier runs of the agent still have events in the spool: of any other, nothing more will come. */
import { readdir } from 'node:fs/promises';

/** The spool removes the folder of an earlier run with its last file. */
export const spooledBoots = async (spoolDir: string, boot: bigint): Promise<bigint[]> =>
  (await readdir(spoolDir))
    .filter((name) => /^\d+$/.test(name))
    .map(BigInt)
    .filter((other) => other !== boot);
