// SPDX-License-Identifier: Apache-2.0
/** Namespaces of a test, named after its process and taken away whatever happens, and processes inside them. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createNetns, deleteNetns, openNetlink } from '@weir/loader';
import type { Answer, Request } from './resident.ts';

const PREFIX = `weir-agent-${process.pid}-`;
const RESIDENT = new URL('./resident.ts', import.meta.url).pathname;

export class Resident {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;

  constructor(netns: string) {
    this.#child = spawn('nsenter', [`--net=${netns}`, '--', process.execPath, RESIDENT], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
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
