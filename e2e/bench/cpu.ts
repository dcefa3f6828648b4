// SPDX-License-Identifier: Apache-2.0
/** CPU time of processes, by /proc/PID/stat: user and system, of the process and what it has waited for. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ of every Linux on x86 and arm64. */
const TICKS_PER_SECOND = 100;

const fieldsOf = (pid: number): string[] => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
};

export const cpuSeconds = (pid: number): number => {
  const fields = fieldsOf(pid);
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / TICKS_PER_SECOND;
};

/** A server with a process for each connection, such as Postgres: all of them. */
export const cpuSecondsOfTree = (root: number): number => {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    try {
      const parent = Number(fieldsOf(pid)[1]);
      children.set(parent, [...(children.get(parent) ?? []), pid]);
    } catch {
      // ended meanwhile
    }
  }
  const sum = (pid: number): number =>
    cpuSeconds(pid) + (children.get(pid) ?? []).reduce((total, child) => total + sum(child), 0);
  return sum(root);
};
