// SPDX-License-Identifier: Apache-2.0
/**
 * Events of processes: programs at the scheduler's tracepoints that outlive the agent, a map of who runs, and the ring
 * buffer. New programs are attached before those of an earlier agent go: for a moment both run, and what one has told the
 * other finds in the map, so that nothing is missed and nothing told twice.
 */

import { existsSync } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { weir_process_counter } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { ProcessRecords } from '@weir/bpf/process-events';
import {
  attachTpBtf,
  type BpfMap,
  type BpfObject,
  cgroup2Mount,
  type Link,
  openObject,
  ringBuffer,
  runIterator,
} from '@weir/loader';
import type { ProcessPort, ProcessReader } from '../../processes/port.ts';

export interface KernelProcessesOptions {
  readonly bpffsDir: string;
  /** cgroup v2 folder: only processes below it are told; all of the machine unless given. */
  readonly cgroup?: string;
  /** How much of arguments and of environment is read; bytes. */
  readonly argsBytes: number;
  readonly envBytes: number;
}

const PROGRAMS = ['process_exec', 'process_fork', 'process_exit'] as const;
/** Those that nobody takes over: they are written and read in one run of a program. */
const PINS = ['processes', 'process_events', 'process_counters'] as const;
const LINKS = 'process-links';

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};

const u64 = (value: bigint): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(value);
  return out;
};

/** The root's processes are everybody's: it is no limit. */
export const agentLimits = async (cgroup: string | undefined): Promise<Record<string, Buffer>> => {
  const root = await cgroup2Mount();
  const path = cgroup && root ? relative(root, cgroup) : '';
  if (!cgroup || path === '') return {};
  const { ino } = await stat(cgroup, { bigint: true });
  return { process_cgroup: u64(ino), process_cgroup_level: u32(path.split('/').length) };
};

const counterName = (name: string): string => name.replace('PROCESS_COUNT_', '').toLowerCase();

const readCounters = (map: BpfMap): Record<string, bigint> => {
  const named: Record<string, bigint> = {};
  for (const [name, index] of Object.entries(weir_process_counter)) {
    if (name === 'PROCESS_COUNT_MAX') continue;
    const values = map.lookup(u32(index));
    let sum = 0n;
    for (let at = 0; values && at < values.length; at += 8) sum += values.readBigUInt64LE(at);
    named[counterName(name)] = sum;
  }
  return named;
};

/** Programs and maps of an earlier agent, where processes are no longer to be watched. */
export const removeProcesses = async (bpffsDir: string): Promise<void> => {
  for (const name of [LINKS, ...PINS]) await rm(join(bpffsDir, name), { recursive: true, force: true });
};

/**
 * In the place of those of an earlier agent: rename(2) over a pinned link, so that one of the two is always there. They
 * stay open: programs run on when their pins are taken away, and can be pinned again.
 */
const attach = async (object: BpfObject, links: Map<string, Link>, bpffsDir: string): Promise<void> => {
  const dir = join(bpffsDir, LINKS);
  await mkdir(dir, { recursive: true });
  for (const name of PROGRAMS) {
    const made = join(dir, `${name}_new`);
    await rm(made, { force: true });
    links.set(name, await attachTpBtf(object.program(name), made));
    await rename(made, join(dir, name));
  }
};

/** Puts back pins that somebody removed; says which. */
const repair = async (object: BpfObject, links: ReadonlyMap<string, Link>, bpffsDir: string): Promise<string[]> => {
  const problems: string[] = [];
  for (const name of PINS) {
    const path = join(bpffsDir, name);
    if (existsSync(path)) continue;
    object.map(name).pin(path);
    problems.push(`the pin of map '${name}' was removed`);
  }
  for (const [name, link] of links) {
    const path = join(bpffsDir, LINKS, name);
    if (existsSync(path)) continue;
    await mkdir(join(bpffsDir, LINKS), { recursive: true });
    link.pin(path);
    problems.push(`the pin of program '${name}' was removed`);
  }
  return problems;
};

type StartOptions = Parameters<ProcessPort['start']>[0];

const begin = async (
  object: BpfObject,
  links: Map<string, Link>,
  bpffsDir: string,
  { onRecords, onTrouble }: StartOptions,
): Promise<ProcessReader> => {
  await object.commitPins();
  await attach(object, links, bpffsDir);
  const records = new ProcessRecords();
  const ring = ringBuffer({
    map: object.map('process_events'),
    flow: { boot: 1n, firstSeq: 1n },
    onBatch: () => {},
    onEvents: (raw) => onRecords(records.take(raw)),
    onError: (error) => onTrouble('events of processes could not be handed on', error),
  });
  try {
    // After the ring has a reader: a machine with many processes fills it.
    await runIterator(object.program('process_seen'));
  } catch (error) {
    await ring.stop();
    throw error;
  }
  return {
    counters: () => readCounters(object.map('process_counters')),
    inspect: () => repair(object, links, bpffsDir),
    stop: async () => {
      await ring.stop();
      for (const link of links.values()) link.close();
      object.close();
    },
  };
};

export const kernelProcesses = ({ bpffsDir, cgroup, argsBytes, envBytes }: KernelProcessesOptions): ProcessPort => ({
  start: async (options): Promise<ProcessReader> => {
    const object = await openObject(objectPath('process'), {
      ...{ pinDir: bpffsDir, pins: PINS, replaceIncompatible: true },
      rodata: { ...(await agentLimits(cgroup)), process_args_bytes: u32(argsBytes), process_env_bytes: u32(envBytes) },
    });
    const links = new Map<string, Link>();
    try {
      return await begin(object, links, bpffsDir, options);
    } catch (error) {
      // programs that nobody reads only cost
      for (const link of links.values()) link.close();
      object.close();
      await removeProcesses(bpffsDir);
      throw error;
    }
  },
});
