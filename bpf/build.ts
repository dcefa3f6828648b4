// SPDX-License-Identifier: Apache-2.0
/**
 * prog/*.bpf.c -> obj/*.bpf.o. An object newer than all sources is left alone; `--force` compiles anyway. Objects are
 * written beside their place and renamed, so a reader never sees half of one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { weirError } from '@weir/errors';
import { findClang, multiarchInclude } from './toolchain.ts';

const HERE = import.meta.dirname;
const SOURCE_SUFFIX = '.bpf.c';
const OBJECT_SUFFIX = '.bpf.o';

const filesIn = (dir: string, suffix: string): string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => join(dir, name));

/** Objects of programs that are gone would still be read by codegen. */
const removeOthers = (dir: string, objects: readonly string[]): void => {
  for (const object of filesIn(dir, OBJECT_SUFFIX)) if (!objects.includes(object)) rmSync(object);
};

const modifiedMs = (path: string): number => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** Every header counts as used by every program: compiling takes a second, knowing better takes a tool. */
const newestSourceMs = (source: string): number =>
  Math.max(...[source, join(HERE, 'build.ts'), ...filesIn(join(HERE, 'include'), '.h')].map(modifiedMs));

/** One program with the headers of include/. Moved into place when it is whole. */
export const compile = (source: string, object: string, clang: string = findClang()): void => {
  const unfinished = `${object}.${process.pid}`;
  const args = [
    ...['-O2', '-g', '-Wall', '-Wextra', '-Werror', '-Wno-unused-parameter', '-Wno-sign-compare'],
    ...['-target', 'bpf', '-mcpu=v3', '-fno-stack-protector'],
    ...['-I', join(HERE, 'include'), '-idirafter', multiarchInclude()],
    ...['-c', source, '-o', unfinished],
  ];
  const { status, stderr, error } = spawnSync(clang, args, { encoding: 'utf8' });
  if (status !== 0) {
    rmSync(unfinished, { force: true });
    throw weirError('INTERNAL', `${source} does not compile:\n${stderr || error?.message}`, {
      field: 'source',
      value: source,
      fix: `run ${clang} ${args.join(' ')}`,
    });
  }
  renameSync(unfinished, object);
};

export interface Built {
  readonly object: string;
  readonly compiled: boolean;
}

export const build = (options: { force?: boolean; out?: string } = {}): Built[] => {
  const out = options.out ?? join(HERE, 'obj');
  mkdirSync(out, { recursive: true });
  const sources = filesIn(join(HERE, 'prog'), SOURCE_SUFFIX);
  const objectOf = (source: string): string => join(out, `${basename(source, SOURCE_SUFFIX)}${OBJECT_SUFFIX}`);
  removeOthers(out, sources.map(objectOf));
  let clang: string | undefined;
  return sources.map((source) => {
    const object = objectOf(source);
    if (!options.force && modifiedMs(object) > newestSourceMs(source)) return { object, compiled: false };
    clang ??= findClang();
    compile(source, object, clang);
    return { object, compiled: true };
  });
};

if (import.meta.main) {
  const { values } = parseArgs({ options: { force: { type: 'boolean' }, out: { type: 'string' } } });
  try {
    for (const { object, compiled } of build(values))
      console.log(`${compiled ? 'compiled  ' : 'up to date'} ${object}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
