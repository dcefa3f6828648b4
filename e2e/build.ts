// SPDX-License-Identifier: Apache-2.0
/** Builds the benchmarks' timer of requests (bench/native) and their BPF programs (bench/bpf). Moved into place when they are whole. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { compile } from '@weir/bpf/build';

const HERE = import.meta.dirname;
const binary = join(HERE, 'bench/build/rr');
const next = `${binary}.${process.pid}`;
mkdirSync(dirname(binary), { recursive: true });
execFileSync('gcc', ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', join(HERE, 'bench/native/rr.c'), '-o', next], {
  stdio: ['ignore', process.env.WEIR_VERBOSE ? 'inherit' : 'ignore', 'inherit'],
});
renameSync(next, binary);

const programs = join(HERE, 'bench/bpf');
for (const name of readdirSync(programs).filter((file) => file.endsWith('.bpf.c')))
  compile(join(programs, name), join(HERE, 'bench/build', `${basename(name, '.c')}.o`));
