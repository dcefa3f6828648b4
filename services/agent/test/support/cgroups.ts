// SPDX-License-Identifier: Apache-2.0
/** Cgroups that workloads are, as tests make them and find programs at them. */
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPinnedLink } from '@weir/loader';

/** Programs of a workload stand at the cgroup that is at the path now. */
export const held = (bpffs: string, path: string): boolean => {
  const dir = join(bpffs, 'cgroup-links');
  const pins = existsSync(dir) ? readdirSync(dir) : [];
  const { ino } = statSync(path, { bigint: true });
  const ids = pins.map((pin) => {
    const link = openPinnedLink(join(dir, pin));
    const { cgroupId } = link.info();
    link.close();
    return cgroupId;
  });
  return ids.length === 2 && ids.every((id) => id === ino);
};

const TRIES = 3000;

/** As a unit that is started again: another cgroup at the same path. What was in it has ended, or does this moment. */
export const renewFolder = async (path: string): Promise<void> => {
  for (let tries = 0; existsSync(path); tries++) {
    try {
      rmdirSync(path);
    } catch (error) {
      if (tries > TRIES) throw error;
      await sleep(20);
    }
  }
  mkdirSync(path);
};
