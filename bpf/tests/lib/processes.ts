// SPDX-License-Identifier: Apache-2.0
/** Programs of process.bpf.c at work, for the processes of one cgroup of their own. */
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  attachTpBtf,
  type BpfObject,
  cgroup2Mount,
  ensureBpffs,
  type Link,
  openObject,
  type Ring,
  ringBuffer,
  runIterator,
} from '@weir/loader';
import { weir_process_counter } from '../../gen/index.ts';
import { objectPath } from '../../objects.ts';
import { type ProcessRecord, ProcessRecords } from '../../process-events.ts';
import { findClang } from '../../toolchain.ts';

const PROGRAMS = ['process_exec', 'process_fork', 'process_exit'] as const;
const PATIENCE_MS = 60_000;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

export interface WatchOptions {
  readonly argsBytes?: number;
  readonly envBytes?: number;
  readonly ringBytes?: number;
  readonly maxProcesses?: number;
}

/** Below the machine's root: depth 1. */
const LEVEL = 1;
/** What programs of several agents share. */
const PINS = ['processes', 'process_events', 'process_counters'];

let made = 0;

const load = (cgroup: string, pinDir: string, options: WatchOptions): Promise<BpfObject> =>
  openObject(objectPath('process'), {
    ...{ pinDir, pins: PINS },
    rodata: {
      process_cgroup: u64(statSync(cgroup, { bigint: true }).ino),
      process_cgroup_level: u32(LEVEL),
      ...(options.argsBytes === undefined ? {} : { process_args_bytes: u32(options.argsBytes) }),
      ...(options.envBytes === undefined ? {} : { process_env_bytes: u32(options.envBytes) }),
    },
    maxEntries: {
      ...(options.ringBytes === undefined ? {} : { process_events: options.ringBytes }),
      ...(options.maxProcesses === undefined ? {} : { processes: options.maxProcesses }),
    },
  });

export class Processes {
  readonly folder = mkdtempSync(join(tmpdir(), 'weir-processes-'));
  readonly acts = join(this.folder, 'acts');
  readonly cgroup: string;
  readonly object: BpfObject;
  readonly records: ProcessRecord[] = [];
  readonly #pinDir: string;
  readonly #options: WatchOptions;
  readonly #objects: BpfObject[];
  readonly #links: Link[] = [];
  #ring: Ring | undefined;

  private constructor(cgroup: string, pinDir: string, object: BpfObject, options: WatchOptions) {
    this.cgroup = cgroup;
    this.#pinDir = pinDir;
    this.object = object;
    this.#objects = [object];
    this.#options = options;
  }

  static async watch(options: WatchOptions = {}): Promise<Processes> {
    const cgroup = join((await cgroup2Mount()) ?? '', `wproc${process.pid}`);
    mkdirSync(cgroup, { recursive: true });
    const pinDir = `/sys/fs/bpf/wproc${process.pid}-${made++}`;
    await ensureBpffs(pinDir);
    const watched = new Processes(cgroup, pinDir, await load(cgroup, pinDir, options), options);
    await watched.#attach(watched.object);
    return watched;
  }

  /** Another agent's programs beside those that are there; returns them. */
  async another(): Promise<BpfObject> {
    const object = await load(this.cgroup, this.#pinDir, this.#options);
    this.#objects.push(object);
    await this.#attach(object);
    return object;
  }

  async #attach(object: BpfObject): Promise<void> {
    for (const name of PROGRAMS) this.#links.push(await attachTpBtf(object.program(name)));
  }

  detach(): void {
    for (const link of this.#links.splice(0)) link.close();
  }

  read(): void {
    const records = new ProcessRecords();
    this.#ring = ringBuffer({
      map: this.object.map('process_events'),
      flow: { boot: 1n, firstSeq: 1n },
      onBatch: () => {},
      onEvents: (raw) => this.records.push(...records.take(raw)),
    });
  }

  async seeAll(object = this.object): Promise<void> {
    await runIterator(object.program('process_seen'));
  }

  compileActs(): void {
    execFileSync(findClang(), ['-O1', '-pthread', join(import.meta.dirname, 'acts.c'), '-o', this.acts]);
  }

  /** A shell of the cgroup that becomes this command. Its pid is what the events have. */
  run(
    command: readonly string[],
    { argv0, ...options }: { cwd?: string; env?: NodeJS.ProcessEnv; argv0?: string } = {},
  ): SpawnSyncReturns<Buffer> {
    return spawnSync(
      '/bin/sh',
      ['-c', `echo $$ > ${this.cgroup}/cgroup.procs && exec "$@"`, 'sh', ...command],
      options,
    );
  }

  /** When the last event of a process has come, all of it has. */
  async exited(pid: number): Promise<ProcessRecord[]> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const own = this.records.filter(({ facts }) => facts.pid === pid);
      if (own.some(({ kind }) => kind === 'exit')) return own;
      if (performance.now() > deadline) throw new Error(`no exit of ${pid} was told`);
      await sleep(10);
    }
  }

  /** Of its own image: the shell that it was before is left out. */
  async image(result: SpawnSyncReturns<Buffer>): Promise<{ exec: ProcessRecord; exit: ProcessRecord }> {
    const own = await this.exited(result.pid);
    const exec = own.findLast(({ kind }) => kind === 'exec');
    const exit = own.find(({ kind }) => kind === 'exit');
    if (!exec || !exit) throw new Error(`${result.pid} began no image: ${result.stderr}`);
    return { exec, exit };
  }

  count(name: keyof typeof weir_process_counter): bigint {
    const values = this.object.map('process_counters').lookup(u32(weir_process_counter[name]));
    let sum = 0n;
    for (let at = 0; values && at < values.length; at += 8) sum += values.readBigUInt64LE(at);
    return sum;
  }

  async stop(): Promise<void> {
    await this.#ring?.stop();
    this.#ring = undefined;
  }

  async close(): Promise<void> {
    this.detach();
    await this.stop();
    for (const object of this.#objects) object.close();
    rmSync(this.#pinDir, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true, force: true });
    // A cgroup goes once its last process is reaped.
    for (let tries = 0; ; tries++) {
      try {
        rmdirSync(this.cgroup);
        return;
      } catch (error) {
        if (tries > 100) throw error;
        await sleep(50);
      }
    }
  }
}
