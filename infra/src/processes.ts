// SPDX-License-Identifier: Apache-2.0
/**
 * Starts the real processes of a fleet: each with its own log file, journalled for clean-up, optionally inside a
 * network namespace and a cgroup. Readiness is a line of its output that the caller recognises.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { weirError } from '@weir/errors';
import { type Resources, startTicks } from './resources.ts';

export interface ProcessSpec {
  /** Names the log file and error messages. */
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Name of a network namespace below /run/netns. */
  readonly netns?: string;
  /** Absolute path of a cgroup v2 folder. */
  readonly cgroup?: string;
  /** Says whether a line of output means ready; without it, ready at once. */
  readonly ready?: (line: string) => boolean;
  readonly readyTimeoutMs?: number;
}

export interface RunningProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** The line that said ready. */
  readonly readyLine: string;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  alive(): boolean;
  /** Sends a signal and waits for the end; SIGKILL follows after graceMs. */
  stop(signal?: NodeJS.Signals, graceMs?: number): Promise<void>;
}

/** Entering namespace and cgroup happens in a shell before exec, so that the process never runs outside them. */
const wrap = (spec: ProcessSpec): string[] => {
  const inner = spec.netns ? ['nsenter', `--net=/run/netns/${spec.netns}`, '--', ...spec.command] : [...spec.command];
  if (!spec.cgroup) return inner;
  return ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', spec.cgroup, ...inner];
};

export const startProcess = async (
  resources: Resources,
  logDir: string,
  spec: ProcessSpec,
): Promise<RunningProcess> => {
  mkdirSync(logDir, { recursive: true });
  const logFile = join(logDir, `${spec.name}.log`);
  const [command, ...args] = wrap(spec);
  const child = spawn(command as string, args, {
    env: { ...process.env, ...spec.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // Ctrl-C in the terminal reaches only the runner, which ends the others in order
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: -1, signal: null }));
  });
  if (child.pid === undefined) throw weirError('INTERNAL', `could not start ${spec.name}: ${command} not found`);
  resources.addProcess(child.pid, spec.name);
  const ticks = startTicks(child.pid);
  const readyLine = await waitReady(child, spec, logFile, exited);
  const alive = () => startTicks(child.pid as number) === ticks && child.exitCode === null && child.signalCode === null;
  return {
    name: spec.name,
    pid: child.pid,
    logFile,
    readyLine,
    exited,
    alive,
    stop: async (signal = 'SIGTERM', graceMs = 5_000) => {
      if (!alive()) return;
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
};

const waitReady = (
  child: ChildProcess,
  spec: ProcessSpec,
  logFile: string,
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>,
): Promise<string> => {
  const output = createWriteStream(logFile, { flags: 'a' });
  child.stdout?.pipe(output, { end: false });
  child.stderr?.pipe(output, { end: false });
  if (!spec.ready) return Promise.resolve('');
  const ready = spec.ready;
  return new Promise((resolve, reject) => {
    let isReady = false;
    const timer = setTimeout(
      () => reject(startFailure(spec, logFile, `not ready after ${spec.readyTimeoutMs ?? 30_000} ms`)),
      spec.readyTimeoutMs ?? 30_000,
    );
    for (const input of [child.stdout, child.stderr] as NodeJS.ReadableStream[]) {
      createInterface({ input }).on('line', (line) => {
        if (!ready(line)) return;
        clearTimeout(timer);
        isReady = true;
        resolve(line);
      });
    }
    void exited.then(({ code, signal }) => {
      // what ends later may outlive the folder of its log
      if (isReady) return;
      clearTimeout(timer);
      reject(startFailure(spec, logFile, `ended with ${signal ?? `status ${code}`}`));
    });
  });
};

const startFailure = (spec: ProcessSpec, logFile: string, why: string): Error => {
  const tail = readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n');
  return weirError('INTERNAL', `${spec.name} did not start: ${why}\n${tail}`, { fix: `see ${logFile}` });
};

/** Makes a cgroup v2 folder and journals it. */
export const makeCgroup = (resources: Resources, path: string): string => {
  resources.add({ kind: 'cgroup', path });
  mkdirSync(path, { recursive: true });
  return path;
};
