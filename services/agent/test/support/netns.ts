// SPDX-License-Identifier: Apache-2.0
/** Namespaces of a test, named after its process and taken away whatever happens, and processes inside them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroup2Mount, createNetns, deleteNetns, openNetlink } from '@weir/loader';
import type { Answer, Request } from './resident.ts';

const PREFIX = `weir-agent-${process.pid}-`;
const RESIDENT = new URL('./resident.ts', import.meta.url).pathname;

export class Resident {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;

  /** `cgroup`: a cgroup v2 folder that it is in before it opens anything. */
  constructor(netns: string, cgroup?: string) {
    const inside = ['nsenter', `--net=${netns}`, '--', process.execPath, RESIDENT];
    const [program = '', ...args] =
      cgroup === undefined ? inside : ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup, ...inside];
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.once('exit', (code, signal) => {
      for (const answer of this.#waiting.values()) answer(`the process ended: ${code ?? signal}`);
      this.#waiting.clear();
    });
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const { id, result } = JSON.parse(line) as { id: number; result: Answer };
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  ask(request: Request): Promise<Answer> {
    const id = this.#next++;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.stdin?.write(`${JSON.stringify({ id, ...request })}\n`);
    });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** A cgroup v2 folder; it goes when what is in it has ended, which takes a moment. */
export const makeCgroup = async (name: string): Promise<{ path: string; remove(): Promise<void> }> => {
  const mount = await cgroup2Mount();
  if (mount === undefined) throw new Error('no cgroup v2 is mounted');
  const path = join(mount, `${PREFIX}${name}`);
  mkdirSync(path);
  const remove = async (): Promise<void> => {
    for (let tries = 0; ; tries++) {
      try {
        rmdirSync(path);
        return;
      } catch (error) {
        if (tries > 100) throw error;
        await sleep(20);
      }
    }
  };
  return { path, remove };
};

export interface TestHost {
  readonly netns: string;
  readonly bpffsDir: string;
  makeNetns(name: string): Promise<string>;
  removeNetns(path: string): Promise<void>;
  resident(netns: string): Promise<Resident>;
  /** Runs a program in a namespace; returns what it wrote. */
  run(netns: string, ...command: string[]): string;
  destroy(): Promise<void>;
}

/** `ownBpffs`: a bpffs mounted for the test alone, instead of a folder in the machine's. */
export const createTestHost = async ({ ownBpffs = false } = {}): Promise<TestHost> => {
  const made = new Set<string>();
  const residents: Resident[] = [];
  const bpffsDir = ownBpffs ? join(tmpdir(), `${PREFIX}bpf`) : `/sys/fs/bpf/${PREFIX}host`;
  const run = (netns: string, ...command: string[]): string =>
    execFileSync('nsenter', [`--net=${netns}`, '--', ...command], { encoding: 'utf8' });
  const makeNetns = async (name: string): Promise<string> => {
    const path = `/run/netns/${PREFIX}${name}`;
    await createNetns(path);
    made.add(path);
    return path;
  };
  const removeNetns = async (path: string): Promise<void> => {
    made.delete(path);
    await deleteNetns(path);
  };
  const netns = await makeNetns('host');
  const host = openNetlink(netns);
  await host.setUp((await host.linkByName('lo'))?.ifindex ?? 1);
  // Stands for the uplink: the host's own address.
  const uplink = await host.addVeth({ name: 'uplink0', peer: 'far0' });
  await host.addAddress(uplink.ifindex, '198.18.250.1/24');
  await host.addAddress(uplink.ifindex, 'fd18:250::1/64', { nodad: true });
  await host.setUp(uplink.ifindex);
  host.close();
  return {
    netns,
    bpffsDir,
    makeNetns,
    removeNetns,
    resident: async (path) => {
      const resident = new Resident(path);
      residents.push(resident);
      return resident;
    },
    run,
    destroy: async () => {
      for (const resident of residents) await resident.stop();
      for (const path of made) await deleteNetns(path).catch(() => {});
      if (ownBpffs) execFileSync('umount', ['-l', bpffsDir], { stdio: 'ignore' });
      rmSync(bpffsDir, { recursive: true, force: true });
    },
  };
};

/** What tests of this process left in bpffs: should be nothing. */
export const leftovers = (): string[] => readdirSync('/sys/fs/bpf').filter((name) => name.startsWith(PREFIX));
