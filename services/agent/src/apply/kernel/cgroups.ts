// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads that are cgroups of this host: the object `cgroup`, opened when there is one, and its programs at each such
 * cgroup, as links that are pinned and outlive this process. Nothing stands at any other cgroup.
 */
import { existsSync, type FSWatcher, mkdirSync, watch } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { objectPath } from '@weir/bpf/objects';
import { attachCgroup, type BpfObject, cgroup2Mount, type Link, openObject, openPinnedLink } from '@weir/loader';
import type { Cgroups } from '../ports.ts';

export interface CgroupOptions {
  readonly bpffsDir: string;
  /** cgroup v2 folder of this host, below which paths are; that of the whole machine unless told. */
  readonly cgroup?: string;
  /** Of the maps that all objects share. */
  readonly maxEntries: Readonly<Record<string, number>>;
  readonly rodata?: Readonly<Record<string, Uint8Array>>;
}

const HOOKS = { from_sockets: 'skb_egress', to_sockets: 'skb_ingress' } as const;
type ProgramName = keyof typeof HOOKS;
const PROGRAMS = Object.keys(HOOKS) as ProgramName[];
/** Belong to this object alone. */
const OWN_MAPS = ['socket_scratch'];
const NUMBERS = 'cgroup_workloads';

export const cgroupLinksDirOf = (bpffsDir: string): string => join(bpffsDir, 'cgroup-links');

const idBytes = (id: string): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(id));
  return out;
};

const numberBytes = (number: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(number);
  return out;
};

export class KernelCgroups implements Cgroups {
  readonly #options: CgroupOptions;
  /** The workloads' object, whose map says which cgroup is which workload. */
  readonly #shared: BpfObject;
  #object: BpfObject | undefined;
  #root: string | undefined;
  readonly #links = new Map<string, Link>();
  readonly #watchers = new Map<string, FSWatcher>();
  #onChange: () => void = () => {};
  /** Workloads are connected several at a time, and share the object. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(shared: BpfObject, options: CgroupOptions) {
    this.#shared = shared;
    this.#options = options;
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  async #path(cgroup: string): Promise<string> {
    this.#root ??= this.#options.cgroup ?? (await cgroup2Mount());
    if (this.#root === undefined) throw new Error('no cgroup v2 is mounted, so no cgroup can be a workload');
    return join(this.#root, cgroup);
  }

  async id(cgroup: string): Promise<string | undefined> {
    const path = await this.#path(cgroup);
    return stat(path, { bigint: true }).then(
      (found) => (found.isDirectory() ? String(found.ino) : undefined),
      () => undefined,
    );
  }

  async read(): Promise<ReadonlyMap<number, string>> {
    const { keys, values, count } = await this.#shared.map(NUMBERS).lookupAll();
    return new Map(
      Array.from({ length: count }, (_, i) => [values.readUInt32LE(i * 4), String(keys.readBigUInt64LE(i * 8))]),
    );
  }

  attach(number: number, cgroup: string, id: string): Promise<void> {
    return this.#alone(() => this.#attach(number, cgroup, id));
  }

  async #attach(number: number, cgroup: string, id: string): Promise<void> {
    const object = await this.#open();
    // Before the programs: whom they do not know they refuse.
    this.#shared.map(NUMBERS).update(idBytes(id), numberBytes(number));
    mkdirSync(cgroupLinksDirOf(this.#options.bpffsDir), { recursive: true, mode: 0o700 });
    const path = await this.#path(cgroup);
    for (const name of PROGRAMS) {
      const pin = this.#pinOf(number, name);
      this.#links.get(pin)?.close();
      this.#links.delete(pin);
      this.#links.set(pin, await attachCgroup(object.program(name), path, HOOKS[name], pin));
    }
  }

  async check(number: number, id: string): Promise<readonly string[]> {
    const object = this.#object;
    const problems = PROGRAMS.flatMap((name) => {
      const pin = this.#pinOf(number, name);
      const info = this.#links.get(pin)?.info();
      if (!info || !object || info.progId !== object.program(name).id) return [`its program ${name} is not attached`];
      if (info.cgroupId !== BigInt(id)) return [`its program ${name} was detached`];
      return existsSync(pin) ? [] : [`the pin of its program ${name} was removed`];
    });
    const known = this.#shared.map(NUMBERS).lookup(idBytes(id));
    return known?.readUInt32LE() === number ? problems : [...problems, `its entry in the map '${NUMBERS}' was changed`];
  }

  release(number: number): Promise<void> {
    return this.#alone(() => this.#release(number));
  }

  async #release(number: number): Promise<void> {
    for (const name of PROGRAMS) {
      const pin = this.#pinOf(number, name);
      const link = this.#links.get(pin) ?? (existsSync(pin) ? openPinnedLink(pin) : undefined);
      this.#links.delete(pin);
      // At once: with its last holder alone a link would go some time later.
      link?.detach();
      link?.close();
      await rm(pin, { force: true });
    }
    for (const [held, id] of await this.read()) if (held === number) this.#shared.map(NUMBERS).delete(idBytes(id));
    await this.#closeUnused();
  }

  async known(): Promise<readonly number[]> {
    const pins = await readdir(cgroupLinksDirOf(this.#options.bpffsDir)).catch(() => []);
    return [...new Set(pins.map((pin) => Number.parseInt(pin, 10)))];
  }

  /** Of the folders in which these cgroups come and go: a unit that starts again is another cgroup. */
  async watch(cgroups: readonly string[]): Promise<void> {
    const wanted = new Set(await Promise.all(cgroups.map(async (cgroup) => dirname(await this.#path(cgroup)))));
    for (const [path, watcher] of this.#watchers) {
      if (wanted.has(path) && existsSync(path)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
    for (const path of wanted) {
      if (this.#watchers.has(path) || !existsSync(path)) continue;
      try {
        const watcher = watch(path, { persistent: false }, () => this.#onChange());
        watcher.on('error', () => this.#onChange());
        this.#watchers.set(path, watcher);
      } catch {
        // It went this moment, or there are no more watches to be had: passes look by themselves, only later.
      }
    }
  }

  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    for (const link of this.#links.values()) link.close();
    this.#object?.close();
  }

  async #open(): Promise<BpfObject> {
    if (this.#object) return this.#object;
    const { bpffsDir: pinDir, maxEntries, rodata } = this.#options;
    const object = await openObject(objectPath('cgroup'), { pinDir, replaceIncompatible: true, maxEntries, rodata });
    await object.commitPins();
    this.#object = object;
    return object;
  }

  /** Nobody pays for what no workload needs. */
  async #closeUnused(): Promise<void> {
    const { bpffsDir } = this.#options;
    if (this.#links.size > 0 || (await this.known()).length > 0) return;
    this.#object?.close();
    this.#object = undefined;
    for (const name of OWN_MAPS) await rm(join(bpffsDir, name), { force: true });
    await rm(cgroupLinksDirOf(bpffsDir), { recursive: true, force: true });
  }

  #pinOf(number: number, program: ProgramName): string {
    return join(cgroupLinksDirOf(this.#options.bpffsDir), `${number}-${program}`);
  }
}
