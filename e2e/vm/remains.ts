// SPDX-License-Identifier: Apache-2.0
/** Files and folders of guests whose process was killed: their names end in, or go on after, its number. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** `pattern` names the process by its first group. Returns what was removed. */
export const sweepDead = (dir: string, pattern: RegExp): string[] => {
  if (!existsSync(dir)) return [];
  const dead = readdirSync(dir).filter((name) => {
    const pid = pattern.exec(name)?.[1];
    return pid !== undefined && !existsSync(`/proc/${pid}`);
  });
  for (const name of dead) rmSync(join(dir, name), { recursive: true, force: true });
  return dead;
};
