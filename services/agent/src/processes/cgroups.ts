// SPDX-License-Identifier: Apache-2.0
/**
 * Numbers of cgroups to their paths. A cgroup's number is the inode of its folder; there is no way back but to look through
 * the folders. Paths are remembered after their cgroup is gone: events of its last processes come later.
 */
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Cgroups of containers come and go; a host has some hundred at a time. */
const KNOWN_MAX = 16_384;
/** A number that is nowhere is looked for this often. */
const LOOK_EVERY_MS = 1_000;

const foldersIn = (path: string): Dirent[] => {
  try {
    return readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  } catch {
    return []; // gone meanwhile
  }
};

const inodeOf = (path: string): bigint | undefined => {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return undefined;
  }
};

export class Cgroups {
  readonly #root: string | undefined;
  readonly #now: () => number;
  readonly #paths = new Map<bigint, string>();
  #lookedMs = Number.NEGATIVE_INFINITY;

  /** `root`: where the unified hierarchy is mounted; without one nothing is known. */
  constructor(root: string | undefined, now: () => number = () => performance.now()) {
    this.#root = root;
    this.#now = now;
  }

  /** From the hierarchy's root, `/` for itself; '' when it is not known. */
  pathOf(id: bigint): string {
    const known = this.#paths.get(id);
    if (known !== undefined || this.#root === undefined) return known ?? '';
    const now = this.#now();
    if (now - this.#lookedMs < LOOK_EVERY_MS) return '';
    this.#lookedMs = now;
    this.#look();
    return this.#paths.get(id) ?? '';
  }

  #look(): void {
    const root = this.#root as string;
    const waiting = ['/'];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const folder = join(root, path);
      const id = inodeOf(folder);
      if (id !== undefined) this.#remember(id, path);
      for (const { name } of foldersIn(folder)) waiting.push(join(path, name));
    }
  }

  #remember(id: bigint, path: string): void {
    this.#paths.delete(id);
    this.#paths.set(id, path);
    const [oldest] = this.#paths.keys();
    if (this.#paths.size > KNOWN_MAX && oldest !== undefined) this.#paths.delete(oldest);
  }
}
