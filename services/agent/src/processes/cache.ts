// SPDX-License-Identifier: Apache-2.0
/**
 * The processes of this host: those that run, and for a while those that ended. A process keeps the place in the tree that
 * it was born in, whoever takes it over when its parent ends.
 */
import { uptime } from 'node:os';
import { weir_process_flags } from '@weir/bpf';
import type { ProcessRecord } from '@weir/bpf/process-events';
import type { Unit } from './units.ts';

export interface ExitFacts {
  /** 0 unless it was ended by a signal. */
  readonly signal: number;
  readonly status: number;
  readonly dumpedCore: boolean;
  /** Unix milliseconds. */
  readonly timeMs: number;
}

export interface KnownProcess {
  /** base64 of `<host>:<exec_ns>:<pid>`. */
  readonly execId: string;
  readonly parentExecId: string;
  readonly pid: number;
  readonly parentPid: number;
  /** In its own pid namespace. */
  readonly ownPid: number;
  /** Bytes that a process chose: need not be UTF-8. */
  readonly binary: Buffer;
  readonly cwd: Buffer;
  readonly args: Buffer;
  readonly env: Buffer;
  readonly flags: readonly string[];
  /** Its image is the first of a process that was forked. */
  readonly wasForked: boolean;
  /** Its begin was not told: it is known by its end only. */
  readonly isMissing: boolean;
  /** Unix milliseconds at which its image began, or it was made. */
  readonly startMs: number;
  readonly facts: ProcessRecord['facts'];
  readonly cgroupPath: string;
  readonly unit: Unit | undefined;
  readonly workload: string | undefined;
  exit?: ExitFacts;
  /** Exec id of the image that the same process has begun since. */
  replacedBy?: string;
}

/** Ended ones are kept for whoever comes with an event of theirs; then they are forgotten, oldest first. */
const ENDED_KEPT_MS = 60_000;
const ENDED_MAX = 16_384;
/** Of arguments and environment, in memory. Events have all that was asked for. */
const TEXT_MAX = 8_192;

const CORE = 0x80;
const SIGNAL = 0x7f;

export const execIdOf = (host: string, execNs: bigint, pid: number): string =>
  Buffer.from(`${host}:${execNs}:${pid}`).toString('base64');

const FLAGS = Object.entries(weir_process_flags).map(
  ([name, bit]) => [name.replace('PROCESS_', '').toLowerCase(), bit] as const,
);

export const flagNames = (flags: number): string[] => FLAGS.filter(([, bit]) => flags & bit).map(([name]) => name);

/** A copy: what records refer to is a whole batch of them. */
const copy = (bytes: Buffer): Buffer => Buffer.from(bytes.subarray(0, TEXT_MAX));

export interface Places {
  cgroupPath(facts: ProcessRecord['facts']): string;
  unit(cgroupPath: string): Unit | undefined;
  workload(netns: number): string | undefined;
}

export interface CacheOptions {
  readonly host: string;
  readonly places: Places;
  /** What makes Unix times of the kernel's; ns. */
  readonly clockOffsetNs: () => bigint;
  readonly now?: () => number;
}

export class ProcessCache {
  readonly #options: Required<CacheOptions>;
  readonly #byId = new Map<string, KnownProcess>();
  readonly #byPid = new Map<number, KnownProcess>();
  /** In the order of their end. */
  readonly #ended = new Map<string, number>();

  constructor(options: CacheOptions) {
    this.#options = { now: () => performance.now(), ...options };
  }

  get running(): number {
    return this.#byPid.size;
  }

  /** Those that run, oldest first; then the ones that ended. */
  all(): IterableIterator<KnownProcess> {
    return this.#byId.values();
  }

  byPid(pid: number): KnownProcess | undefined {
    return this.#byPid.get(pid);
  }

  byId(execId: string): KnownProcess | undefined {
    return this.#byId.get(execId);
  }

  /** From its parent up, as far as it is known. */
  ancestors(process: KnownProcess): KnownProcess[] {
    const found: KnownProcess[] = [];
    const seen = new Set([process.execId]);
    for (
      let next = this.#byId.get(process.parentExecId);
      next && !seen.has(next.execId);
      next = this.#byId.get(next.parentExecId)
    ) {
      seen.add(next.execId);
      found.push(next);
    }
    return found;
  }

  /** Each by its last image. */
  children(process: KnownProcess): KnownProcess[] {
    return [...this.#byId.values()].filter(
      ({ parentExecId, replacedBy }) => parentExecId === process.execId && replacedBy === undefined,
    );
  }

  /** Whom it is about; undefined: it tells nothing new. */
  take(record: ProcessRecord): KnownProcess | undefined {
    this.#forget();
    return record.kind === 'exit' ? this.#exit(record) : this.#begin(record);
  }

  #begin({ kind, facts, binary, cwd, args, env }: ProcessRecord): KnownProcess | undefined {
    const { host, places, clockOffsetNs } = this.#options;
    const execId = execIdOf(host, facts.exec_ns, facts.pid);
    const known = this.#byId.get(execId);
    if (known && kind !== 'seen') return undefined;
    const before = this.#byPid.get(facts.pid);
    if (before && before.execId !== execId) {
      if (before.facts.start_ns === facts.start_ns) before.replacedBy = execId;
      this.#end(before);
    }
    const maker = kind === 'fork' ? this.#byPid.get(facts.parent_pid) : undefined;
    const cgroupPath = places.cgroupPath(facts);
    const process: KnownProcess = {
      execId,
      parentExecId: facts.parent_exec_ns ? execIdOf(host, facts.parent_exec_ns, facts.parent_pid) : '',
      pid: facts.pid,
      parentPid: facts.parent_pid,
      ownPid: facts.own_pid,
      binary: maker ? maker.binary : copy(binary),
      cwd: maker ? maker.cwd : copy(cwd),
      args: maker ? maker.args : copy(args),
      env: maker ? maker.env : copy(env),
      flags: flagNames(facts.flags),
      wasForked: kind === 'exec' && before?.facts.start_ns === facts.start_ns && before.flags.includes('clone'),
      isMissing: kind === 'exit',
      startMs:
        kind === 'seen'
          ? Date.now() - uptime() * 1000 + Number(facts.exec_ns / 1_000_000n)
          : Number(((kind === 'exit' ? facts.exec_ns : facts.header.time_ns) + clockOffsetNs()) / 1_000_000n),
      facts,
      cgroupPath,
      unit: places.unit(cgroupPath),
      workload: places.workload(facts.ns_net),
    };
    this.#byId.set(execId, process);
    this.#byPid.set(facts.pid, process);
    this.#ended.delete(execId);
    return known ? undefined : process;
  }

  #exit(record: ProcessRecord): KnownProcess | undefined {
    const { facts } = record;
    const process = this.#byId.get(execIdOf(this.#options.host, facts.exec_ns, facts.pid)) ?? this.#begin(record);
    if (!process || process.exit) return undefined;
    process.exit = {
      signal: facts.exit_code & SIGNAL,
      status: facts.exit_code >> 8,
      dumpedCore: (facts.exit_code & CORE) !== 0,
      timeMs: Number((facts.header.time_ns + this.#options.clockOffsetNs()) / 1_000_000n),
    };
    this.#end(process);
    return process;
  }

  #end(process: KnownProcess): void {
    if (this.#byPid.get(process.pid) === process) this.#byPid.delete(process.pid);
    this.#ended.set(process.execId, this.#options.now());
  }

  #forget(): void {
    const now = this.#options.now();
    for (const [execId, endedMs] of this.#ended) {
      if (now - endedMs < ENDED_KEPT_MS && this.#ended.size <= ENDED_MAX) return;
      this.#ended.delete(execId);
      this.#byId.delete(execId);
    }
  }
}
