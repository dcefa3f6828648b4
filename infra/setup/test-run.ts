// SPDX-License-Identifier: Apache-2.0
/**
 * One run of node:test over many files, begun in the order given. Its closing lines (tests, pass, fail ... and what
 * failed) are held back until it has ended, so that what the caller has to say comes before them and they come last.
 *
 * By `run()` and not by `node --test`, which sorts its files by name: a long one that begins last ends alone.
 */
import { relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

export interface TestRunOptions {
  /** They see the environment of this process, without colours. */
  readonly files: readonly string[];
  /** Files at once. */
  readonly concurrency: number;
  /** Of each test. */
  readonly timeoutMs: number;
  /** Only tests whose name matches. */
  readonly namePattern?: string;
}

export interface TestRun {
  readonly exitCode: number;
  /** By node:test's names: tests, pass, fail, cancelled, skipped, todo. */
  readonly counts: Readonly<Record<string, number>>;
  /** How long each file took, from the start of its process to its end; the longest first. */
  readonly files: readonly { readonly file: string; readonly ms: number }[];
  /** Print last. */
  readonly closing: string;
}

const CLOSING_LINE = /^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

export const runTests = async ({ files, concurrency, timeoutMs, namePattern }: TestRunOptions): Promise<TestRun> => {
  process.env.NO_COLOR = '1';
  delete process.env.FORCE_COLOR;
  // set inside a test, it would turn this run into a part of that one
  delete process.env.NODE_TEST_CONTEXT;
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.on('SIGINT', stop).on('SIGTERM', stop);

  const events = run({
    files: files.map((file) => resolve(file)),
    concurrency,
    timeout: timeoutMs,
    signal: stopping.signal,
    ...(namePattern === undefined ? {} : { testNamePatterns: namePattern }),
  });
  let succeeded = false;
  const took: TestRun['files'][number][] = [];
  events.on('test:summary', ({ file, success }) => {
    if (file === undefined) succeeded = success; // the one of all files
  });
  events.on('test:complete', ({ name, file, details }) => {
    // a file is a test whose name is its path
    if (file === name) took.push({ file: relative('.', file), ms: details.duration_ms });
  });

  const counts: Record<string, number> = {};
  const closing: string[] = [];
  for await (const line of createInterface({ input: events.compose(new spec()) })) {
    const [, name, value] = CLOSING_LINE.exec(line) ?? [];
    if (name !== undefined) counts[name] = Number(value);
    if (name !== undefined || closing.length > 0) closing.push(line);
    else process.stdout.write(`${line}\n`);
  }
  process.off('SIGINT', stop).off('SIGTERM', stop);
  return {
    exitCode: succeeded ? 0 : 1,
    counts,
    files: took.sort((one, other) => other.ms - one.ms),
    closing: `${closing.join('\n')}\n`,
  };
};
