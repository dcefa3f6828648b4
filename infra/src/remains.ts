// SPDX-License-Identifier: Apache-2.0
/** What fleets left behind that did not end properly: killed with -9, or with the machine's power. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { weirError } from '@weir/errors';
import { Resources, startTicks } from './resources.ts';

/** Cleans up after a run of the same folder that did not end properly. */
export const removeRemains = async (dir: string): Promise<void> => {
  if (!existsSync(dir)) return;
  const left = await new Resources(dir).removeAll();
  if (left.length > 0) throw weirError('CONFLICT', `the last run left behind:\n  ${left.join('\n  ')}`);
  rmSync(dir, { recursive: true, force: true });
};

/**
 * Cleans up after every fleet beside `dir` whose owner, which its journal names, is gone. What will not go is said,
 * and stays.
 */
export const sweepRemains = async (parent: string, prefix: string, say: (text: string) => void): Promise<void> => {
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(prefix)) continue;
    const dir = join(parent, name);
    const owner = new Resources(dir).list().find((resource) => resource.kind === 'owner');
    if (owner === undefined || startTicks(owner.pid) === owner.startTicks) continue;
    say(`cleaning up after ${name}, whose process is gone`);
    await removeRemains(dir).catch((error: Error) => say(error.message));
  }
};
