// SPDX-License-Identifier: Apache-2.0
/**
 * `npm run test:vm`: the suites on other kernels.
 *
 *   npm run test:vm                                    packets, matrix and agent restart on Debian's 6.1; the packets on 6.12
 *                                                      when it is there
 *   npm run test:vm -- --all                           every suite instead
 *   npm run test:vm -- --long --suite fleet            a step for every policy of the matrix
 *   npm run test:vm -- --kernel 6.12 --suite packets   one suite, another kernel (a version, a release, or the folder of an
 *                                                      unpacked kernel package); both options may be repeated
 *   npm run test:vm -- -- uname -a                     any command in a guest
 */
import { parseArgs } from 'node:util';
import { inParallel } from '@weir/infra/fleet';
import { inGuest, needGuest } from './guest.ts';
import { findKernel, type GuestKernel, isPresent, NEWER, OLDEST } from './kernels.ts';
import { stopSignal } from './stop.ts';
import { type GuestSuite, runSuite, SUITES } from './suites.ts';

/** A guest has two processors, but tests wait much. */
const GUESTS_AT_ONCE = 2;
const NEWER_SUITES = ['packets'];
const COMMAND_TIMEOUT_MS = 60 * 60_000;

const { values, positionals } = parseArgs({
  options: {
    kernel: { type: 'string', multiple: true },
    suite: { type: 'string', multiple: true },
    all: { type: 'boolean', default: false },
    long: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

const write = (text: string): void => {
  process.stdout.write(text);
};

const stop = stopSignal();
const { signal } = stop;

const runCommand = async (kernel: GuestKernel): Promise<void> => {
  const options = { kernel, command: positionals, timeoutMs: COMMAND_TIMEOUT_MS, onOutput: write, signal };
  process.exitCode = (await inGuest(options)).status;
};

interface Job {
  readonly kernel: GuestKernel;
  readonly suite: GuestSuite;
}

/** `alone`: nobody else writes, so its output is shown as it comes. Says whether it passed. */
const runJob = async ({ kernel, suite }: Job, alone: boolean): Promise<boolean> => {
  const title = `vm: ${kernel.release}: ${suite.name}`;
  write(`${title}: ${suite.what}\n`);
  const onOutput = alone ? write : undefined;
  try {
    const result = await runSuite(suite, { kernel, isLong: values.long, onOutput, signal });
    const { status, tests, failed, skipped, bootS, wallMs, stdout, stderr } = result;
    const ok = status === 0 && tests > 0 && failed === 0;
    const took = `${(wallMs / 1000).toFixed(0)} s, ${bootS} of them boot`;
    if (!alone) write(`${title}:\n${stdout}${stderr}`);
    write(`${title} ${ok ? 'PASS' : 'FAIL'}: ${tests} tests, ${failed} failed, ${skipped} skipped (${took})\n`);
    return ok;
  } catch (error) {
    write(`${title} FAIL: ${(error as Error).message}\n`);
    return false;
  }
};

const suiteOf = (name: string): GuestSuite => {
  const suite = SUITES.find((s) => s.name === name);
  if (!suite) throw new Error(`there is no suite ${name}; there are ${SUITES.map((s) => s.name).join(', ')}`);
  return suite;
};

/** Nobody waits for a newer kernel to be fetched who did not ask for it. */
const plan = (): Job[] => {
  const usual = SUITES.filter(({ everyTime }) => everyTime || values.all).map(({ name }) => name);
  const kernels: (readonly [version: string, suites: readonly string[]])[] = values.kernel
    ? values.kernel.map((version) => [version, values.suite ?? usual])
    : [
        [OLDEST, values.suite ?? usual],
        ...NEWER.filter(isPresent).map((v) => [v, values.suite ?? NEWER_SUITES] as const),
      ];
  return kernels.flatMap(([version, suites]) => {
    const kernel = findKernel(version);
    return suites.map((name) => ({ kernel, suite: suiteOf(name) }));
  });
};

const reason = needGuest();
if (reason !== false) {
  process.stderr.write(`vm: no guest can be started here: ${reason}\n`);
  process.exitCode = 1;
} else if (positionals.length > 0) {
  await runCommand(findKernel(values.kernel?.[0])).catch((error: Error) => {
    process.stderr.write(`vm: ${error.message}\n`);
    process.exitCode = 1;
  });
} else {
  const jobs = plan();
  const passed = await inParallel(jobs, GUESTS_AT_ONCE, (job) => runJob(job, jobs.length === 1));
  if (!passed.every(Boolean)) process.exitCode = 1;
}
stop.close();
