// SPDX-License-Identifier: Apache-2.0
/** What is run on another kernel: existing tests, put together so that each guest starts one program. */
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type GuestResult, inGuest } from './guest.ts';
import { CACHE, type GuestKernel } from './kernels.ts';

export interface GuestSuite {
  readonly name: string;
  readonly what: string;
  /** Test files, relative to the repository. */
  readonly files: readonly string[];
  /** Is part of `npm test`; the others run with `npm run test:vm` alone. */
  readonly everyTime: boolean;
  readonly timeoutMs: number;
}

const MINUTE_MS = 60_000;
const loaderTests = ['attach', 'lifetime', 'map', 'object', 'probe', 'program', 'ringbuf', 'tracing', 'verifier-log'];

export const SUITES: readonly GuestSuite[] = [
  {
    name: 'packets',
    what: 'the tables of packets, cuts, timers and exact counts, every drop reason',
    files: ['packets', 'cut', 'sweep'].map((name) => `bpf/tests/${name}.test.ts`),
    everyTime: true,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'traffic',
    what: 'sockets in namespaces against the programs, and random frames against a second parser',
    files: ['traffic', 'fuzz'].map((name) => `bpf/tests/${name}.test.ts`),
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
  {
    name: 'loader',
    what: 'maps, links, filters, rings and verifier logs through the native loader',
    files: loaderTests.map((name) => `bpf/loader/test/${name}.test.ts`),
    everyTime: false,
    timeoutMs: 8 * MINUTE_MS,
  },
];

export interface SuiteOptions {
  readonly kernel: GuestKernel;
  readonly onOutput?: (text: string) => void;
}

export interface SuiteResult extends GuestResult {
  readonly tests: number;
  readonly failed: number;
  readonly skipped: number;
}

/** node:test's closing lines. */
const countOf = (output: string, name: string): number =>
  Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(output)?.[1] ?? 0);

/** Runs a suite in a guest of its own. Throws as `inGuest` does; a test that failed is said by the result. */
export const runSuite = async (suite: GuestSuite, { kernel, onOutput }: SuiteOptions): Promise<SuiteResult> => {
  const program = await bundle(join(CACHE, `${suite.name}-${process.pid}.mjs`), ...suite.files);
  const result = await inGuest({
    kernel,
    command: [process.execPath, '--test-reporter=spec', program],
    timeoutMs: suite.timeoutMs,
    env: { CI: process.env.CI ?? '', WEIR_TEST_GUEST: kernel.release },
    onOutput,
  });
  return {
    ...result,
    tests: countOf(result.stdout, 'tests'),
    failed: countOf(result.stdout, 'fail') + countOf(result.stdout, 'cancelled'),
    skipped: countOf(result.stdout, 'skipped'),
  };
};
