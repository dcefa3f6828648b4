// SPDX-License-Identifier: Apache-2.0
/**
 * Events of processes: programs at the scheduler's tracepoints that outlive the agent, a map of who runs, and the ring
 * buffer. New programs are attached before those of an earlier agent go: for a moment both run, and what one has told the
 * other finds in the map, so that nothing is missed and nothing told twice.
 */

import { rm, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { weir_process_counter } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { ProcessRecords } from '@weir/bpf/process-events';
import { type BpfMap, cgroup2Mount, openObject, ringBuffer, runIterator } from '@weir/loader';
import type { ProcessPort, ProcessReader } from '../../processes/port.ts';
import { HeldPrograms } from './held-programs.ts';
import { type Owners, removeOwners, startOwners } from './owners.ts';

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
  await removeOwners(bpffsDir);
  for (const name of [LINKS, ...PINS]) await rm(join(bpffsDir, name), { recursive: true, force: true });
};

type StartOptions = Parameters<ProcessPort['start']>[0];

const begin = async (
  held: HeldPrograms,
  { bpffsDir, cgroup }: KernelProcessesOptions,
  { onRecords, onTrouble }: StartOptions,
): Promise<ProcessReader> => {
  const { object } = held;
  await object.commitPins();
  await held.attachTraced(PROGRAMS);
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
  // Processes are told all the same.
  const owners = await startOwners(bpffsDir, cgroup).catch((error): Owners | undefined => {
    onTrouble('flows do not name their processes on this host', error);
    return undefined;
  });
  return {
    counters: () => readCounters(object.map('process_counters')),
    inspect: async () => [...(await held.repair()), ...((await owners?.inspect()) ?? [])],
    stop: async () => {
      await ring.stop();
      owners?.close();
      held.close();
    },
  };
};

export const kernelProcesses = (settings: KernelProcessesOptions): ProcessPort => ({
  start: async (options): Promise<ProcessReader> => {
    const { bpffsDir, cgroup, argsBytes, envBytes } = settings;
    const object = await openObject(objectPath('process'), {
      ...{ pinDir: bpffsDir, pins: PINS, replaceIncompatible: true },
      rodata: { ...(await agentLimits(cgroup)), process_args_bytes: u32(argsBytes), process_env_bytes: u32(envBytes) },
    });
    const held = new HeldPrograms(object, { bpffsDir, folder: LINKS, maps: PINS });
    try {
      return await begin(held, settings, options);
    } catch (error) {
      // programs that nobody reads only cost
      held.close();
      await removeProcesses(bpffsDir);
      throw error;
    }
  },
});
