// SPDX-License-Identifier: Apache-2.0
/**
 * Builds the program that plays a workload: one static binary, so that it runs in any namespace and any machine of
 * this architecture. Moved into place when it is whole: processes that run keep theirs.
 */
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { WORKLOAD_BINARY } from './src/station.ts';

const sources = globSync('*.c', { cwd: new URL('./workload/native/', import.meta.url).pathname }).sort();
const flags = ['-O2', '-static', '-std=gnu11', '-Wall', '-Wextra', '-Werror'];
const next = `${WORKLOAD_BINARY}.${process.pid}`;
mkdirSync(dirname(WORKLOAD_BINARY), { recursive: true });
execFileSync('gcc', [...flags, ...sources, '-o', next], {
  cwd: new URL('./workload/native/', import.meta.url).pathname,
  stdio: ['ignore', process.env.WEIR_VERBOSE ? 'inherit' : 'ignore', 'inherit'],
});
renameSync(next, WORKLOAD_BINARY);
