// SPDX-License-Identifier: Apache-2.0
/** The directory of generated files: written whole, or compared. It holds nothing that was written by hand. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Files = ReadonlyMap<string, string>;

/** Names that are missing, differ, or should not be there, sorted. */
export const staleFiles = (dir: string, files: Files): string[] => {
  const present = existsSync(dir) ? readdirSync(dir) : [];
  const differ = [...files].filter(([name, content]) => {
    return !present.includes(name) || readFileSync(join(dir, name), 'utf8') !== content;
  });
  return [...differ.map(([name]) => name), ...present.filter((name) => !files.has(name))].sort();
};

/** Writes only what changed, so that nothing that watches the files wakes in vain; returns those names. */
export const writeFiles = (dir: string, files: Files): string[] => {
  mkdirSync(dir, { recursive: true });
  const stale = staleFiles(dir, files);
  for (const name of stale) {
    const content = files.get(name);
    if (content === undefined) rmSync(join(dir, name), { recursive: true });
    else writeFileSync(join(dir, name), content);
  }
  return stale;
};
