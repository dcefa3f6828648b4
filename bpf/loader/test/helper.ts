// SPDX-License-Identifier: Apache-2.0
/** What the tests of this package share: compiled fixtures, a bpffs folder of their own, and cleaning up. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));
const include = fileURLToPath(new URL('../../include', import.meta.url));

let folder: string | undefined;
process.on('exit', () => folder && rmSync(folder, { recursive: true, force: true }));

/** Names of kernel things made by this test process. */
export const own = (name: string): string => `wl${process.pid}${name}`;

export const compile = (name: string, defines: readonly string[] = []): string => {
  folder ??= mkdtempSync(join(tmpdir(), 'weir-loader-'));
  const object = join(folder, `${name}${defines.join('').replaceAll(/\W/g, '')}.bpf.o`);
  if (existsSync(object)) return object;
  const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-I${include}`, '-I/usr/include/x86_64-linux-gnu'];
  execFileSync('clang-19', [
    ...flags,
    ...defines.map((define) => `-D${define}`),
    '-c',
    join(fixtures, `${name}.bpf.c`),
    '-o',
    object,
  ]);
  return object;
};

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
