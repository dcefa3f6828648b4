// SPDX-License-Identifier: Apache-2.0
/** Builds the benchmarks' timer of requests (bench/native). Moved into place when it is whole. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';

const HERE = import.meta.dirname;
const binary = join(HERE, 'bench/build/rr');
const next = `${binary}.${process.pid}`;
mkdirSync(dirname(binary), { recursive: true });
execFileSync('gcc', ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', join(HERE, 'bench/native/rr.c'), '-o', next], {
  stdio: ['ignore', process.env.WEIR_VERBOSE ? 'inherit' : 'ignore', 'inherit'],
});
renameSync(next, binary);
