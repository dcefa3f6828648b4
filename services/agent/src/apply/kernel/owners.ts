// SPDX-License-Identifier: Apache-2.0
/**
 * Whose each socket is: programs at this host's cgroup and where the kernel tells of what is sent and received, as links that
 * are pinned and outlive the agent. They need the map of processes that run (processes.ts).
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { objectPath } from '@weir/bpf/objects';
import { type BpfObject, type CgroupHook, cgroup2Mount, openObject, runIterator } from '@weir/loader';
import { HeldPrograms } from './held-programs.ts';

const HOOKS: readonly CgroupHook[] = [
  ...(['sock_create', 'post_bind4', 'post_bind6'] as const),
  ...(['connect4', 'connect6', 'sendmsg4', 'sendmsg6'] as const),
];
/** Since Linux 6.3. Without them a socket that is handed over keeps its owner until it is bound, connected or sent by again. */
const TRACED = ['owner_sent', 'owner_received'] as const;
const AT_START = 'owner_seen';
const programOf = (hook: CgroupHook): string => `owner_${hook}`;

const LINKS = 'owner-links';
const NAMED = 'socket_processes';
/** The datapath's, and those of processes. */
const SHARED = ['socket_owners', 'processes', 'process_counters'];

const open = async (bpffsDir: string): Promise<BpfObject> => {
  const options = { pinDir: bpffsDir, pins: [...SHARED, NAMED], replaceIncompatible: true };
  const always = [...HOOKS.map(programOf), AT_START];
  try {
    return await openObject(objectPath('owner'), { ...options, autoload: [...always, ...TRACED] });
  } catch {
    // An older kernel. One that refuses these too says why.
    return openObject(objectPath('owner'), { ...options, autoload: always });
  }
};

export interface Owners {
  /** Puts back pins that somebody removed; says which. */
  inspect(): Promise<string[]>;
  close(): void;
}

/** `cgroup`: v2 folder of this host; of the whole machine unless told. */
export const startOwners = async (bpffsDir: string, cgroup: string | undefined): Promise<Owners> => {
  const root = cgroup ?? (await cgroup2Mount());
  if (root === undefined) throw new Error('no cgroup v2 is mounted, so nobody can be asked whose a socket is');
  const object = await open(bpffsDir);
  const held = new HeldPrograms(object, { bpffsDir, folder: LINKS, maps: [NAMED] });
  try {
    await object.commitPins();
    await held.attachTraced(TRACED.filter((name) => object.programs.has(name)));
    for (const hook of HOOKS) await held.attachCgroup(programOf(hook), root, hook);
    await runIterator(object.program(AT_START));
    return { inspect: () => held.repair(), close: () => held.close() };
  } catch (error) {
    held.close();
    throw error;
  }
};

/** `socket_owners` is the datapath's, and stays: sockets keep an owner that nobody brings up to date, until they are closed. */
export const removeOwners = async (bpffsDir: string): Promise<void> => {
  for (const name of [LINKS, NAMED]) await rm(join(bpffsDir, name), { recursive: true, force: true });
};
