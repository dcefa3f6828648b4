// SPDX-License-Identifier: Apache-2.0
/** Commands of this test, each bounded in time, with its output as the answer or in the error. */
import { type ChildProcess, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { Engine } from './engine.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const CLI = `${ROOT}services/cli/src/main.ts`;
const FILE = `${ROOT}infra/compose.yaml`;
const KILL_GRACE_MS = 5_000;

/** What runs now, to be ended when the test is interrupted. */
const running = new Set<ChildProcess>();
/** With what it started, which would hold its output open: docker-compose 1.29 runs `docker exec`. */
const end = ({ pid }: ChildProcess): void => {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
};
export const endCommands = (): void => {
  for (const child of running) end(child);
};

export class CommandFailed extends Error {
  readonly status: number | null;
  readonly stdout: string;

  constructor(command: string, status: number | null, stdout: string, stderr: string) {
    super(`${command}: status ${status}\n${`${stdout}${stderr}`.trimEnd().split('\n').slice(-40).join('\n')}`);
    this.status = status;
    this.stdout = stdout;
  }
}

export const run = async (
  env: Readonly<Record<string, string>>,
  timeoutMs: number,
  command: string,
  ...args: string[]
): Promise<string> => {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    detached: true,
  });
  running.add(child);
  const killing = setTimeout(() => end(child), timeoutMs + KILL_GRACE_MS);
  const status = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), status]).finally(() => {
    clearTimeout(killing);
    running.delete(child);
  });
  if (code !== 0) throw new CommandFailed([command, ...args].join(' '), code, stdout, stderr);
  return stdout;
};

export const compose = (engine: Engine, timeoutMs: number, ...words: string[]): Promise<string> =>
  run(engine.env, timeoutMs, 'docker-compose', '-p', 'weir', '-f', FILE, ...words);

const CLI_MS = 180_000;

/** The `weir` command, as the machine's user runs it: against the published ports. */
export const weir = (engine: Engine, ...words: string[]): Promise<string> =>
  run({}, CLI_MS, 'nsenter', `--net=/run/netns/${engine.netns}`, '--', process.execPath, CLI, ...words);

export type Say = (line: string) => void;

export const createSay = (): Say => {
  const started = performance.now();
  return (line) => {
    process.stdout.write(`[${((performance.now() - started) / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
  };
};
