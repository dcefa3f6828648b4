// SPDX-License-Identifier: Apache-2.0
/**
 * `npm test`: the checks, then all tests in one run, whose closing lines come last.
 *
 *   npm test                       everything
 *   npm test -- bpf policy-engine  only tests in files whose path contains one of these words, no checks
 *   npm test -- --name=PATTERN     only tests whose name matches, no checks
 *   npm test -- --checks           only the checks (npm run check)
 *
 * Without root, tests that need the kernel skip themselves and say so; with CI=true a skipped test is a failure.
 */
import { globSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startTestPostgres } from '@weir/db/testing';
import { CHECKS, runChecks } from './checks.ts';
import { runTests } from './test-run.ts';

const TEST_FILES = '{bpf,services,infra,e2e}/**/*.test.ts';

const { values: options, positionals: words } = parseArgs({
  options: { checks: { type: 'boolean', default: false }, name: { type: 'string' } },
  allowPositionals: true,
});
const isPartial = words.length > 0 || options.name !== undefined;
const isCi = process.env.CI === 'true';

const testFiles = (): string[] =>
  globSync(TEST_FILES, { exclude: ['**/node_modules/**'] })
    .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
    .sort();

/** One Postgres for a whole run; for a few files the tests' own, which starts when one needs it, is quicker. */
const startShared = async () => {
  if (isPartial || process.env.WEIR_TEST_PG_URL !== undefined) return { env: {}, stop: async () => {} };
  const postgres = await startTestPostgres();
  return { env: { WEIR_TEST_PG_URL: postgres.url }, stop: () => postgres.stop() };
};

const run = async (): Promise<number> => {
  const failedChecks = isPartial ? [] : runChecks(CHECKS);
  if (options.checks) return failedChecks.length === 0 ? 0 : 1;

  const files = testFiles();
  if (files.length === 0) {
    process.stderr.write(`test: no test file's path contains ${words.join(' or ')}\n`);
    return 1;
  }
  const shared = await startShared();
  const { exitCode, counts, closing } = await runTests({
    files,
    env: { ...process.env, ...shared.env },
    namePattern: options.name,
  }).finally(shared.stop);

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
