// SPDX-License-Identifier: Apache-2.0
/**
 * `npm test`: the checks, then all tests in one run, whose closing lines come last.
 *
 *   npm test                       everything
 *   npm test -- bpf policy-engine  only tests in files whose path contains one of these words, no checks
 *   npm test -- --name=PATTERN     only tests whose name matches, no checks
 *   npm test -- --checks           only the checks (npm run check)
 *   npm test -- --long=DIR [ROW...] the tests of a folder whose names begin with one of these, at full length
 *                                  (npm run test:faults -- F01, npm run test:security -- S06)
 *
 * Without root, tests that need the kernel skip themselves and say so; with CI=true a skipped test is a failure.
 */
import { globSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startTestPostgres } from '@weir/db/testing';
import { CHECKS, runChecks } from './checks.ts';
import { longestFirst, slotsOf } from './long-files.ts';
import { runTests } from './test-run.ts';

const TEST_FILES = '{bpf,services,infra,e2e}/**/*.test.ts';

/**
 * On two cores. Most files wait more than they compute (all but the guests: 690 processor seconds in 1,200 s one after
 * another), so three of them go at once; the guests' emulation keeps both cores busy by itself.
 */
const SLOTS = 3;
/** A test that hangs fails by name long before CI's own limit; the longest takes a few minutes. */
const TEST_TIMEOUT_MS = 20 * 60_000;
/** At full length an agent is killed two hundred times. */
const LONG_TIMEOUT_MS = 60 * 60_000;
const SLOWEST_SHOWN = 12;

const { values: options, positionals: words } = parseArgs({
  options: { checks: { type: 'boolean', default: false }, name: { type: 'string' }, long: { type: 'string' } },
  allowPositionals: true,
});
const { long } = options;
const isPartial = words.length > 0 || options.name !== undefined || long !== undefined;
/** Rows are named in front of a test's name; a word that could not be one finds nothing. */
const namePattern =
  long === undefined || words.length === 0
    ? options.name
    : `^(${words.map((word) => word.replaceAll(/[^A-Za-z0-9]/g, '')).join('|')})\\b`;
const isCi = process.env.CI === 'true';

const testFiles = (): string[] =>
  globSync(TEST_FILES, { exclude: ['**/node_modules/**'] })
    .filter((file) =>
      long === undefined
        ? words.length === 0 || words.some((word) => file.includes(word))
        : file.startsWith(`${long.replace(/\/$/, '')}/`),
    )
    .sort(longestFirst);

/** One Postgres for a whole run; for a few files the tests' own, which starts when one needs it, is quicker. */
const startShared = async () => {
  if (isPartial || process.env.WEIR_TEST_PG_URL !== undefined) return { stop: async () => {} };
  const postgres = await startTestPostgres();
  process.env.WEIR_TEST_PG_URL = postgres.url;
  return { stop: () => postgres.stop() };
};

const run = async (): Promise<number> => {
  const failedChecks = isPartial ? [] : runChecks(CHECKS);
  if (options.checks) return failedChecks.length === 0 ? 0 : 1;

  const files = testFiles();
  if (files.length === 0) {
    process.stderr.write(`test: no test file's path contains ${long ?? words.join(' or ')}\n`);
    return 1;
  }
  const shared = await startShared();
  if (long !== undefined) process.env.WEIR_TEST_LONG = '1';
  const ran = await runTests({
    files,
    slots: SLOTS,
    slotsOf,
    timeoutMs: long === undefined ? TEST_TIMEOUT_MS : LONG_TIMEOUT_MS,
    namePattern,
  }).finally(shared.stop);
  const { exitCode, counts, closing } = ran;
  if (!isPartial)
    for (const { file, ms } of ran.files.slice(0, SLOWEST_SHOWN))
      process.stdout.write(`test: ${(ms / 1000).toFixed(0)} s in ${file}\n`);

  const complaints = [
    ...failedChecks.map((name) => `check failed: ${name} (its output is at the top)`),
    ...(counts.tests === 0 || counts.tests === undefined ? ['no test was run'] : []),
    ...(isCi && (counts.skipped ?? 0) > 0 ? [`${counts.skipped} tests were skipped; with CI=true none may be`] : []),
  ];
  for (const complaint of complaints) process.stdout.write(`test: ${complaint}\n`);
  process.stdout.write(closing);
  return exitCode !== 0 ? exitCode : complaints.length > 0 ? 1 : 0;
};

process.exitCode = await run();
