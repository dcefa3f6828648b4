// SPDX-License-Identifier: Apache-2.0
/**
 * Programs of one object that outlive the agent: their links are pinned in a folder of their own and held open, because
 * programs run on when their pins are taken away, and can be pinned again. The same of its maps.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { attachCgroup, attachTpBtf, type BpfObject, type CgroupHook, type Link } from '@weir/loader';

export interface HeldOptions {
  readonly bpffsDir: string;
  /** Folder of the links, below it. */
  readonly folder: string;
  /** Maps whose pins are this object's to look after. */
  readonly maps: readonly string[];
}

export class HeldPrograms {
  readonly object: BpfObject;
  readonly #options: HeldOptions;
  readonly #links = new Map<string, Link>();

  constructor(object: BpfObject, options: HeldOptions) {
    this.object = object;
    this.#options = options;
  }

  get #dir(): string {
    return join(this.#options.bpffsDir, this.#options.folder);
  }

  has(name: string): boolean {
    return this.#links.has(name);
  }

  get isEmpty(): boolean {
    return this.#links.size === 0;
  }

  /** In the place of those of an earlier agent: rename(2) over a pinned link, so that one of the two is always there. */
  async attachTraced(names: readonly string[]): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    for (const name of names) {
      const made = join(this.#dir, `${name}_new`);
      await rm(made, { force: true });
      this.#links.set(name, await attachTpBtf(this.object.program(name), made));
      await rename(made, join(this.#dir, name));
    }
  }

  /** In the place of an earlier agent's, in one step. */
  async attachCgroup(name: string, cgroup: string, hook: CgroupHook): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    this.#links.set(name, await attachCgroup(this.object.program(name), cgroup, hook, join(this.#dir, name)));
  }

  /** Also what an earlier agent left in its place. */
  async detach(name: string): Promise<void> {
    await rm(join(this.#dir, name), { force: true });
    this.#links.get(name)?.close();
    this.#links.delete(name);
  }

  /** Puts back pins that somebody removed; says which. */
  async repair(): Promise<string[]> {
    const problems: string[] = [];
    for (const name of this.#options.maps) {
      const path = join(this.#options.bpffsDir, name);
      if (existsSync(path)) continue;
      this.object.map(name).pin(path);
      problems.push(`the pin of map '${name}' was removed`);
    }
    for (const [name, link] of this.#links) {
      const path = join(this.#dir, name);
      if (existsSync(path)) continue;
      await mkdir(this.#dir, { recursive: true });
      link.pin(path);
      problems.push(`the pin of program '${name}' was removed`);
    }
    return problems;
  }

  /** Lets go of them; what is attached stays. */
  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.object.close();
  }
}
