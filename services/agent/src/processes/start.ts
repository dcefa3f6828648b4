// SPDX-License-Identifier: Apache-2.0
/** From the kernel's events to the cache: who runs on this host, whose child, in which container, unit or workload. */
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ProcessRecord } from '@weir/bpf/process-events';
import { cgroup2Mount } from '@weir/loader';
import type { AgentConfig } from '../config.ts';
import type { Platform } from '../platform.ts';
import { type KnownProcess, type Places, ProcessCache } from './cache.ts';
import { Cgroups } from './cgroups.ts';
import { ProcessEventBytes } from './event-bytes.ts';
import { hostNamespaces } from './image-facts.ts';
import type { ProcessPort, ProcessReader } from './port.ts';
import { unitOf } from './units.ts';

export interface ProcessesOptions {
  readonly host: string;
  readonly port: ProcessPort;
  readonly clockOffsetNs: () => bigint;
  readonly argsBytes: number;
  readonly envBytes: number;
  /** Paths of the network namespaces of this host's workloads, by workload id. */
  readonly netnsOf: () => Iterable<readonly [workload: string, path: string]>;
  /** Encoded weir.process.v1.ProcessEvents; nothing more is read while too many of these have not settled. */
  readonly onEvents: (events: readonly Uint8Array[]) => Promise<void>;
  readonly onTrouble: (what: string, cause: unknown) => void;
}

export interface Processes {
  readonly cache: ProcessCache;
  counters(): Readonly<Record<string, bigint>>;
  inspect(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

/** Namespaces of workloads are looked at again this often. */
const NETNS_EVERY_MS = 1_000;
const TICKS_PER_SECOND = 100n;
const NS_PER_TICK = 1_000_000_000n / TICKS_PER_SECOND;
/** Of /proc/<pid>/stat, behind the name: the 22nd field. */
const STARTTIME = 19;

const inodeOf = (path: string): number | undefined => {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
};

const workloadsByNetns = (netnsOf: ProcessesOptions['netnsOf']): Places['workload'] => {
  let lookedMs = Number.NEGATIVE_INFINITY;
  let known = new Map<number, string>();
  return (netns) => {
    const now = performance.now();
    if (now - lookedMs >= NETNS_EVERY_MS) {
      lookedMs = now;
      known = new Map();
      for (const [workload, path] of netnsOf()) {
        const inode = inodeOf(path);
        if (inode !== undefined) known.set(inode, workload);
      }
    }
    return known.get(netns);
  };
};

/** Ticks since boot at which the process that has this pid now was made; undefined: nobody has it. */
const startOf = async (pid: number): Promise<bigint | undefined> => {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  const ticks = text.slice(text.lastIndexOf(')') + 2).split(' ')[STARTTIME];
  return ticks === undefined || ticks === '' ? undefined : BigInt(ticks);
};

/** Of a process that ran before the programs did: they cannot read another's memory, /proc can. */
const withMemory = async (record: ProcessRecord, argsBytes: number, envBytes: number): Promise<ProcessRecord> => {
  const { pid, start_ns } = record.facts;
  const read = (name: string, most: number): Promise<Buffer> =>
    most === 0
      ? Promise.resolve(record.env)
      : readFile(`/proc/${pid}/${name}`).then(
          (bytes) => bytes.subarray(0, most),
          () => Buffer.alloc(0),
        );
  const [args, env] = await Promise.all([read('cmdline', argsBytes), read('environ', envBytes)]);
  // another process may have its number by now
  return (await startOf(pid)) === start_ns / NS_PER_TICK ? { ...record, args, env } : record;
};

/** In a container: it is of the tree whose root began the container, and was not put in from outside. */
const inInitTree = (cache: ProcessCache, known: KnownProcess): boolean | undefined => {
  if (known.unit?.kind !== 'container') return undefined;
  const pidns = known.facts.ns_pid;
  return [known, ...cache.ancestors(known)].some(({ ownPid, facts }) => ownPid === 1 && facts.ns_pid === pidns);
};

export const startProcesses = async (options: ProcessesOptions): Promise<Processes> => {
  const { host, port, clockOffsetNs, argsBytes, envBytes, netnsOf, onEvents, onTrouble } = options;
  const bytes = new ProcessEventBytes(hostNamespaces());
  const cgroups = new Cgroups(await cgroup2Mount());
  const cache = new ProcessCache({
    host,
    clockOffsetNs,
    places: {
      cgroupPath: ({ cgroup_id }) => cgroups.pathOf(cgroup_id),
      unit: unitOf,
      workload: workloadsByNetns(netnsOf),
    },
  });
  // Batches come while an earlier one still waits for /proc; an exit must not go before the record of its process.
  let earlier: Promise<unknown> = Promise.resolve();
  const encode = (record: ProcessRecord): Uint8Array | undefined => {
    const known = cache.take(record);
    if (!known) return undefined;
    const { kind } = record;
    const timeNs = kind === 'seen' ? BigInt(Date.now()) * 1_000_000n : record.facts.header.time_ns + clockOffsetNs();
    const isImage = kind === 'exec' || kind === 'seen';
    const isInInitTree = isImage ? inInitTree(cache, known) : undefined;
    return bytes.encode(record, known, cache.byId(known.parentExecId), timeNs, isInInitTree);
  };
  const take = async (
    records: readonly ProcessRecord[],
    before: Promise<unknown>,
  ): Promise<{ readonly sent: Promise<void> }> => {
    const whole = await Promise.all(
      records.map((record) => (record.kind === 'seen' ? withMemory(record, argsBytes, envBytes) : record)),
    );
    await before;
    return { sent: onEvents(whole.map(encode).filter((event) => event !== undefined)) };
  };
  const reader: ProcessReader = await port.start({
    onRecords: (records) => {
      const taken = take(records, earlier);
      earlier = taken.catch(() => {}); // told to the port
      return taken.then(({ sent }) => sent);
    },
    onTrouble,
  });
  return {
    cache,
    counters: () => reader.counters(),
    inspect: () => reader.inspect(),
    stop: () => reader.stop(),
  };
};

type Watched = Pick<Platform, 'processes' | 'clockOffsetNs'>;
type Wanted = Pick<AgentConfig, 'host' | 'processArgsBytes' | 'processEnvBytes'>;

export interface ProcessWatch {
  /** Undefined until the programs are there, and where they are not wanted or the kernel refuses them. */
  readonly current: Processes | undefined;
  /** They are there, or will not be; never fails. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

/** Returns at once: nothing else of the agent waits for it, or fails with it; what fails is told. */
export const watchProcesses = (
  { processes: port, clockOffsetNs }: Watched,
  { host, processArgsBytes: argsBytes, processEnvBytes: envBytes }: Wanted,
  { netnsOf, onEvents, onTrouble }: Pick<ProcessesOptions, 'netnsOf' | 'onEvents' | 'onTrouble'>,
): ProcessWatch => {
  let current: Processes | undefined;
  const start = async (): Promise<void> => {
    if (!port) return;
    const sizes = { argsBytes, envBytes };
    current = await startProcesses({ host, port, clockOffsetNs, ...sizes, netnsOf, onEvents, onTrouble });
  };
  const started = start().catch((error) => onTrouble('processes cannot be watched on this host', error));
  return {
    get current() {
      return current;
    },
    ready: started,
    stop: async () => {
      await started;
      await current?.stop();
    },
  };
};
