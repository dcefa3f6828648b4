// SPDX-License-Identifier: Apache-2.0
/**
 * One `node --test` over many files. Its closing lines (tests, pass, fail ... and what failed) are held back until
 * it has ended, so that what the caller has to say comes before them and they are the last thing printed.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface TestRunOptions {
  readonly files: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Only tests whose name matches. */
  readonly namePattern?: string;
}

export interface TestRun {
  readonly exitCode: number;
  /** By node:test's names: tests, pass, fail, cancelled, skipped, todo. */
  readonly counts: Readonly<Record<string, number>>;
  /** Print last. */
  readonly closing: string;
}

/** Two cores, so two files at once. */
const CONCURRENCY = 2;
/** A test that hangs fails by name long before CI's own limit; the longest takes a few minutes. */
const TEST_TIMEOUT_MS = 20 * 60_000;
/** At full length an agent is killed two hundred times. */
const LONG_TIMEOUT_MS = 60 * 60_000;

const CLOSING_LINE = /^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

export const runTests = async ({ files, env, namePattern }: TestRunOptions): Promise<TestRun> => {
  const timeoutMs = env.WEIR_TEST_LONG === '1' ? LONG_TIMEOUT_MS : TEST_TIMEOUT_MS;
  const options = ['--test-reporter=spec', `--test-concurrency=${CONCURRENCY}`, `--test-timeout=${timeoutMs}`];
  if (namePattern !== undefined) options.push(`--test-name-pattern=${namePattern}`);
  const child = spawn(process.execPath, ['--test', ...options, ...files], {
    // NODE_TEST_CONTEXT: set inside a test, it would turn this run into a part of that one.
    env: { ...env, NO_COLOR: '1', FORCE_COLOR: undefined, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve(code ?? 1));
  });

  const counts: Record<string, number> = {};
  const closing: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, value] = CLOSING_LINE.exec(line) ?? [];
    if (name !== undefined) counts[name] = Number(value);
    if (name !== undefined || closing.length > 0) closing.push(line);
    else process.stdout.write(`${line}\n`);
  }
  const exitCode = await ended;
  process.off('SIGINT', stop).off('SIGTERM', stop);
  return { exitCode, counts, closing: `${closing.join('\n')}\n` };
};
