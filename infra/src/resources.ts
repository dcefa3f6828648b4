// SPDX-License-Identifier: Apache-2.0
/**
 * The journal of everything a fleet makes outside its own process: written before the thing is made, so that
 * the next run can clean up after one that was killed. One JSON line each in <dir>/resources.jsonl.
 *
 * Invariant: whatever a fleet creates on this machine is in the journal or below the fleet's own folder.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export type Resource =
  /** Whose fleet it is: without that process the rest is nobody's. */
  | { readonly kind: 'owner'; readonly pid: number; readonly startTicks: string }
  | { readonly kind: 'process'; readonly pid: number; readonly startTicks: string; readonly what: string }
  | { readonly kind: 'netns'; readonly name: string }
  | { readonly kind: 'link'; readonly name: string }
  | { readonly kind: 'bpffs'; readonly path: string }
  | { readonly kind: 'cgroup'; readonly path: string }
  | { readonly kind: 'dir'; readonly path: string };

const JOURNAL = 'resources.jsonl';

/** Field 22 of /proc/PID/stat: tells a process from a later one with its number. Undefined when it is gone. */
export const startTicks = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
};

export class Resources {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  add(resource: Resource): void {
    mkdirSync(this.dir, { recursive: true });
    appendFileSync(join(this.dir, JOURNAL), `${JSON.stringify(resource)}\n`);
  }

  addProcess(pid: number, what: string): void {
    this.add({ kind: 'process', pid, startTicks: startTicks(pid) ?? '', what });
  }

  /** Says that all of it belongs to this process. */
  addOwner(): void {
    this.add({ kind: 'owner', pid: process.pid, startTicks: startTicks(process.pid) ?? '' });
  }

  list(): Resource[] {
    const path = join(this.dir, JOURNAL);
    if (!existsSync(path)) return [];
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line) as Resource);
  }

  /** Ends and removes all of it, in an order that leaves nothing dangling; idempotent. Returns what would not go. */
  async removeAll(): Promise<string[]> {
    const all = this.list().reverse();
    const of = <K extends Resource['kind']>(kind: K) =>
      all.filter((r): r is Extract<Resource, { kind: K }> => r.kind === kind);
    const left = await endProcesses(of('process'));
    // The kernel takes down a namespace in the background, with the links in it and their peers: what goes away
    // under our hands is gone all the same.
    const attempt = (what: string, present: () => boolean, action: () => void): void => {
      if (!present()) return;
      try {
        action();
      } catch (error) {
        if (present()) left.push(`${what}: ${(error as Error).message.split('\n')[0]}`);
      }
    };
    const remove = (what: string, path: string) =>
      attempt(
        `${what} ${path}`,
        () => existsSync(path),
        () => rmSync(path, { recursive: true, force: true }),
      );
    for (const { path } of of('bpffs')) {
      // A mount of its own, not a folder in the machine's.
      if (!path.startsWith('/sys/fs/bpf/')) spawnSync('umount', ['-l', path], { stdio: 'ignore' });
      remove('bpffs', path);
    }
    for (const { name } of of('link')) {
      attempt(
        `link ${name}`,
        () => existsSync(`/sys/class/net/${name}`),
        () => ip('link', 'delete', name),
      );
    }
    for (const { name } of of('netns')) {
      attempt(
        `netns ${name}`,
        () => existsSync(`/run/netns/${name}`),
        () => ip('netns', 'delete', name),
      );
    }
    for (const { path } of of('cgroup')) await attemptCgroup(path, left);
    for (const { path } of of('dir')) remove('folder', path);
    if (left.length === 0) rmSync(join(this.dir, JOURNAL), { force: true });
    return left;
  }
}

/** Runs Debian's `ip`; its complaint becomes the error's message. */
export const ip = (...args: string[]): string => {
  try {
    return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    const stderr = String((error as { stderr?: unknown }).stderr ?? '').trim();
    throw new Error(`ip ${args.join(' ')}: ${stderr || (error as Error).message}`);
  }
};

const endProcesses = async (processes: readonly Extract<Resource, { kind: 'process' }>[]): Promise<string[]> => {
  const alive = (p: { pid: number; startTicks: string }) => startTicks(p.pid) === p.startTicks && p.startTicks !== '';
  const signal = (p: { pid: number }, name: NodeJS.Signals) => {
    try {
      process.kill(p.pid, name);
    } catch {
      // ended meanwhile
    }
  };
  let running = processes.filter(alive);
  for (const p of running) signal(p, 'SIGTERM');
  const until = Date.now() + 5_000;
  while (running.length > 0 && Date.now() < until) {
    await sleep(50);
    running = running.filter(alive);
  }
  for (const p of running) signal(p, 'SIGKILL');
  for (let i = 0; i < 40 && running.length > 0; i++) {
    await sleep(50);
    running = running.filter(alive);
  }
  return running.map((p) => `process ${p.pid} (${p.what}) does not end`);
};

/** A cgroup goes once its last process is reaped, which takes a moment after the kill. */
const attemptCgroup = async (path: string, left: string[]): Promise<void> => {
  for (let i = 0; existsSync(path); i++) {
    try {
      removeCgroupTree(path);
    } catch (error) {
      if (i >= 40) {
        left.push(`cgroup ${path}: ${(error as Error).message}`);
        return;
      }
      await sleep(50);
    }
  }
};

const removeCgroupTree = (path: string): void => {
  for (const name of readdirSync(path)) {
    const child = join(path, name);
    if (statSync(child).isDirectory()) removeCgroupTree(child);
  }
  rmdirSync(path);
};
