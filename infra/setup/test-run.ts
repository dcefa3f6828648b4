// SPDX-License-Identifier: Apache-2.0
/**
 * One run over many test files, begun in the order given, each a `run()` of node:test in a process of its own. A file
 * takes as many of the machine's slots as it says, so that those that mostly wait go three at once, and one that
 * computes on every processor does not slow all others down. What a file prints comes together when it has ended; the
 * closing lines (tests, pass, fail ... and what failed) are those of all files, held back so that what the caller has to
 * say comes before them.
 */
import { relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

export interface TestRunOptions {
  /** They see the environment of this process, without colours. */
  readonly files: readonly string[];
  readonly slots: number;
  /** At least 1; one that asks for more than there are gets them all. */
  readonly slotsOf: (file: string) => number;
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

/** In the order in which node:test prints them. */
const COUNTS = ['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo'] as const;
const CLOSING_LINE = /^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;
const FAILURES_HEADING = '✖ failing tests:';

interface FileRun {
  readonly succeeded: boolean;
  readonly ms: number;
  readonly counts: Readonly<Record<string, number>>;
  /** What it printed, and what stands below the heading of what failed. */
  readonly printed: readonly string[];
  readonly failures: readonly string[];
}

const runFile = async (file: string, options: TestRunOptions, signal: AbortSignal): Promise<FileRun> => {
  const { timeoutMs, namePattern } = options;
  const started = performance.now();
  const events = run({
    files: [resolve(file)],
    concurrency: 1,
    timeout: timeoutMs,
    signal,
    ...(namePattern === undefined ? {} : { testNamePatterns: namePattern }),
  });
  let succeeded = false;
  events.on('test:summary', ({ file: of, success }) => {
    if (of === undefined) succeeded = success; // the one of the whole run
  });
  const counts: Record<string, number> = {};
  const printed: string[] = [];
  const closing: string[] = [];
  for await (const line of createInterface({ input: events.compose(new spec()) })) {
    const [, name, value] = CLOSING_LINE.exec(line) ?? [];
    if (name !== undefined) counts[name] = Number(value);
    else (Object.keys(counts).length > 0 ? closing : printed).push(line);
  }
  const failures = closing.slice(closing.indexOf(FAILURES_HEADING) + 1);
  return { succeeded, ms: performance.now() - started, counts, printed, failures };
};

/** Calls `work` for each file in order, as soon as it has its slots; a file never overtakes one before it. */
const inSlots = async (
  { files, slots, slotsOf }: Pick<TestRunOptions, 'files' | 'slots' | 'slotsOf'>,
  work: (file: string) => Promise<void>,
): Promise<void> => {
  let free = slots;
  const running = new Set<Promise<void>>();
  for (const file of files) {
    const takes = Math.min(slots, slotsOf(file));
    while (free < takes) await Promise.race(running);
    free -= takes;
    const one = work(file).finally(() => {
      free += takes;
      running.delete(one);
    });
    running.add(one);
  }
  await Promise.all(running);
};

export const runTests = async (options: TestRunOptions): Promise<TestRun> => {
  process.env.NO_COLOR = '1';
  delete process.env.FORCE_COLOR;
  // set inside a test, it would turn this run into a part of that one
  delete process.env.NODE_TEST_CONTEXT;
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const started = performance.now();

  const ran: (FileRun & { readonly file: string })[] = [];
  await inSlots(options, async (file) => {
    if (stopping.signal.aborted) return;
    const one = await runFile(file, options, stopping.signal);
    if (one.printed.length > 0) process.stdout.write(`${one.printed.join('\n')}\n`);
    ran.push({ ...one, file: relative('.', file) });
  });
  process.off('SIGINT', stop).off('SIGTERM', stop);

  const counts = Object.fromEntries(
    COUNTS.map((name) => [name, ran.reduce((sum, one) => sum + (one.counts[name] ?? 0), 0)]),
  );
  const failures = ran.flatMap((one) => one.failures);
  const closing = [
    ...COUNTS.map((name) => `ℹ ${name} ${counts[name]}`),
    `ℹ duration_ms ${performance.now() - started}`,
    ...(failures.length > 0 ? ['', FAILURES_HEADING, ...failures] : []),
  ];
  return {
    exitCode: ran.length === options.files.length && ran.every((one) => one.succeeded) ? 0 : 1,
    counts,
    files: ran.sort((one, other) => other.ms - one.ms),
    closing: `${closing.join('\n')}\n`,
  };
};
