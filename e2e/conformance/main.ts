// SPDX-License-Identifier: Apache-2.0
/**
 * `npm run conformance -- FILE... [--mode engine|maps|traffic] [--filter TEXT] [--skip-tag T]... [--json OUT]
 * [--random N] [--seed S]`. Exit status: 0 all right, 1 a cell is wrong, 2 the run could not be made.
 */
import { parseArgs } from 'node:util';
import { isWeirError, weirError } from '@weir/errors';
import { testFleet } from '../lib/fleet-options.ts';
import type { Mode } from './mode.ts';
import { readFile } from './read/file.ts';
import { mismatchText, tallyText, writeReport } from './report.ts';
import { createTally, type Run, runCases, runSuite } from './run.ts';

const MODES: Readonly<Record<string, () => Promise<Mode>>> = {
  engine: async () => (await import('./engine-mode.ts')).createEngineMode(),
  maps: async () => (await import('./maps/mode.ts')).createMapsMode(),
  traffic: async () => {
    const { createTrafficMode, TRAFFIC_HOSTS } = await import('./traffic/mode.ts');
    return createTrafficMode({ fleet: testFleet('ct', TRAFFIC_HOSTS) });
  },
};

const number = (text: string | undefined, name: string): number | undefined => {
  if (text === undefined) return undefined;
  if (/^[0-9]{1,9}$/.test(text)) return Number(text);
  throw weirError('INVALID_ARGUMENT', `--${name} takes a whole number of at most 9 digits, not ${text}`, {
    field: name,
    value: text,
    fix: 'correct the number',
  });
};

const main = async (): Promise<number> => {
  const { values, positionals: files } = parseArgs({
    allowPositionals: true,
    options: {
      mode: { type: 'string', default: 'engine' },
      filter: { type: 'string' },
      'skip-tag': { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      random: { type: 'string' },
      seed: { type: 'string' },
    },
  });
  const open = Object.hasOwn(MODES, values.mode) ? MODES[values.mode] : undefined;
  if (!open) {
    throw weirError('INVALID_ARGUMENT', `--mode: there is no mode ${values.mode}`, {
      field: 'mode',
      value: values.mode,
      fix: `use one of ${Object.keys(MODES).join(', ')}`,
    });
  }
  const random = number(values.random, 'random');
  const seed = number(values.seed, 'seed') ?? Math.floor(Math.random() * 1e9);
  if (files.length === 0 && random === undefined) {
    throw weirError('INVALID_ARGUMENT', 'no case file was named', {
      field: 'FILE',
      fix: 'npm run conformance -- e2e/conformance/cases/*.json',
    });
  }
  const suites = files.map(readFile);
  for (const { file, notes } of suites) for (const note of notes) process.stderr.write(`note: ${file}: ${note}\n`);
  const tally = createTally();
  const started = performance.now();
  const mode = await open();
  const run: Run = {
    mode,
    tally,
    selection: { filter: values.filter, skipTags: values['skip-tag'] },
    onMismatch: (found) => process.stdout.write(mismatchText(found)),
  };
  try {
    for (const suite of suites) await runSuite(run, suite);
    if (random !== undefined)
      await runCases(run, 'random', (await import('./random/case.ts')).randomCases(random, seed, mode.ownAddresses));
  } finally {
    await mode.close();
  }
  const durationMs = Math.round(performance.now() - started);
  if (values.json)
    writeReport(values.json, tally, {
      mode: mode.name,
      files,
      durationMs,
      ...(random === undefined ? {} : { random, seed }),
    });
  if (random !== undefined) process.stdout.write(`random ${random}, seed ${seed}\n`);
  process.stdout.write(`${tallyText(tally)}\n`);
  return tally.wrong > 0 ? 1 : 0;
};

try {
  process.exitCode = await main();
} catch (error) {
  const fix = isWeirError(error) ? error.facts.fix : undefined;
  process.stderr.write(`conformance: ${(error as Error).message}${fix ? `\n  fix: ${fix}` : ''}\n`);
  process.exitCode = 2;
}
