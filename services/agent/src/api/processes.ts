// SPDX-License-Identifier: Apache-2.0
/** `/processes` of the local API: all of them, or one with those above and below it. */
import { weirError } from '@weir/errors';
import type { KnownProcess, ProcessCache } from '../processes/cache.ts';

/** Bytes that are no UTF-8 become U+FFFD; whoever needs them exactly has the event. */
const text = (bytes: Buffer): string => bytes.toString('utf8');
const words = (bytes: Buffer): string[] => {
  if (bytes.length === 0) return [];
  const whole = text(bytes);
  return (whole.endsWith('\0') ? whole.slice(0, -1) : whole).split('\0');
};
const time = (ms: number): string => new Date(ms).toISOString();
const NOBODY = 0xffff_ffff;

const show = (process: KnownProcess) => {
  const { facts, exit } = process;
  return {
    exec_id: process.execId,
    parent_exec_id: process.parentExecId || null,
    pid: process.pid,
    parent_pid: process.parentPid,
    own_pid: process.ownPid,
    binary: text(process.binary),
    arguments: words(process.args),
    ...(process.env.length > 0 ? { environment: words(process.env) } : {}),
    cwd: text(process.cwd),
    flags: process.flags,
    start_time: time(process.startMs),
    uid: facts.uid,
    euid: facts.euid,
    gid: facts.gid,
    egid: facts.egid,
    auid: facts.auid === NOBODY ? null : facts.auid,
    cap_effective: `0x${facts.cap_effective.toString(16)}`,
    namespaces: { net: facts.ns_net, mnt: facts.ns_mnt, pid: facts.ns_pid, user: facts.ns_user },
    cgroup: process.cgroupPath || null,
    unit: process.unit ?? null,
    workload: process.workload ?? null,
    replaced_by: process.replacedBy ?? null,
    exit: exit ? { status: exit.status, signal: exit.signal, core: exit.dumpedCore, time: time(exit.timeMs) } : null,
  };
};

export const showProcesses = (cache: ProcessCache, limit: number) => {
  const items: unknown[] = [];
  let total = 0;
  for (const process of cache.all()) {
    total += 1;
    if (items.length < limit) items.push(show(process));
  }
  return { running: cache.running, total, items };
};

/** `which`: a pid, of who has it now, or an exec id. */
export const showProcess = (cache: ProcessCache, which: string) => {
  const process = /^\d+$/.test(which) ? cache.byPid(Number(which)) : cache.byId(which);
  if (!process) {
    throw weirError('NOT_FOUND', `no process ${JSON.stringify(which)} is known on this host`, {
      field: 'process',
      value: which,
      fix: 'give the pid of a process that runs, or the exec id of one that ended less than a minute ago',
    });
  }
  return {
    ...show(process),
    ancestors: cache.ancestors(process).map(show),
    children: cache.children(process).map(show),
  };
};
