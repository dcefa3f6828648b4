// SPDX-License-Identifier: Apache-2.0
/**
 * `node bpf/codegen/main.ts` writes bpf/gen from bpf/obj; `--check` compares and exits 1 naming the stale files.
 * `--objects DIR` and `--out DIR` take other directories.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { isWeirError } from '@weir/errors';
import { COMMAND } from './emit.ts';
import { emitFiles, readObjects } from './generate.ts';
import { staleFiles, writeFiles } from './output.ts';

const run = (args: readonly string[]): number => {
  const { values } = parseArgs({
    args: [...args],
    options: { check: { type: 'boolean' }, objects: { type: 'string' }, out: { type: 'string' } },
  });
  const files = emitFiles(readObjects(values.objects ?? resolve(import.meta.dirname, '../obj')));
  const out = values.out ?? resolve(import.meta.dirname, '../gen');
  if (values.check !== true) {
    for (const name of writeFiles(out, files)) process.stderr.write(`codegen: wrote ${name}\n`);
    return 0;
  }
  const stale = staleFiles(out, files);
  for (const name of stale) process.stderr.write(`codegen: ${name} is stale; run ${COMMAND} and commit it\n`);
  return stale.length === 0 ? 0 : 1;
};

try {
  process.exitCode = run(process.argv.slice(2));
} catch (error) {
  if (!isWeirError(error)) throw error;
  process.stderr.write(`codegen: ${error.message}\n  fix: ${error.facts.fix ?? ''}\n`);
  process.exitCode = 1;
}
