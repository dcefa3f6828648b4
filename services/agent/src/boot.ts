// SPDX-License-Identifier: Apache-2.0
/**
 * What names this life of the agent. `boot` is its start in Unix milliseconds, but always later than those before, also
 * when the clock was set back: (host, boot, sequence number) must never name two events.
 */
import { readdir, readFile } from 'node:fs/promises';
import type { StateFile } from './state-file.ts';

export const FIRST_SEQ = 1n;

export const nextBoot = async (spoolDir: string, state: StateFile): Promise<bigint> => {
  const spooled = (await readdir(spoolDir).catch(() => [])).filter((name) => /^\d+$/.test(name)).map(BigInt);
  const earlier = [...spooled, BigInt(state.state.lastBoot)].reduce((a, b) => (a > b ? a : b), 0n);
  const now = BigInt(Date.now());
  const boot = now > earlier ? now : earlier + 1n;
  await state.save({ lastBoot: String(boot) });
  return boot;
};

/**
 * A connection is named by the time at which the kernel made its entry. Turned into Unix time it must not follow the
 * clock: the offset is measured once in an uptime of the machine and kept for agents to come.
 */
export const connectionOffset = async (state: StateFile, measure: () => bigint): Promise<bigint> => {
  const machineBoot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
  const kept = state.state.connectionOffset;
  if (machineBoot !== '' && kept.machineBoot === machineBoot) return BigInt(kept.ns);
  const ns = measure();
  await state.save({ connectionOffset: { machineBoot, ns: String(ns) } });
  return ns;
};
