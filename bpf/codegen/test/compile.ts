// SPDX-License-Identifier: Apache-2.0
/** Compiles small C fixtures into objects, in a directory that goes away with the test. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';

const INCLUDE = resolve(import.meta.dirname, '../../include');
/** Debian keeps asm/ headers in a folder named after the architecture. */
const MACHINE = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

const PRELUDE = `
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#define DOC(text) __attribute__((btf_decl_tag("doc:" text)))
`;

export interface Fixture {
  readonly dir: string;
  readonly objects: string;
  readonly out: string;
}

/** `sources`: object name -> C text after the usual includes. Generated code written to `out` finds its runtime. */
export const compileFixture = (t: TestContext, sources: Readonly<Record<string, string>>): Fixture => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-codegen-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const objects = join(dir, 'obj');
  mkdirSync(objects);
  symlinkSync(resolve(import.meta.dirname, '../../codec.ts'), join(dir, 'codec.ts'));
  for (const [name, text] of Object.entries(sources)) {
    const source = join(dir, `${name}.bpf.c`);
    writeFileSync(source, `${PRELUDE}${text}\nchar _license[] SEC("license") = "Dual BSD/GPL";\n`);
    const flags = ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', `-I${INCLUDE}`, `-I/usr/include/${MACHINE}`];
    execFileSync('clang-19', [...flags, '-c', source, '-o', join(objects, `${name}.bpf.o`)], { stdio: 'inherit' });
  }
  return { dir, objects, out: join(dir, 'gen') };
};
