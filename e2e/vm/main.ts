// SPDX-License-Identifier: Apache-2.0
/**
 * `npm run test:vm`: the suites on other kernels.
 *
 *   npm run test:vm                                    all suites on Debian's 6.1; the packets on 6.12 when it is there
 *   npm run test:vm -- --long --suite fleet            a step for every policy of the matrix
 *   npm run test:vm -- --kernel 6.12 --suite packets   one suite, another kernel (a version, a release, or the folder of an
 *                                                      unpacked kernel package); both options may be repeated
 *   npm run test:vm -- -- uname -a                     any command in a guest
 */
import { parseArgs } from 'node:util';
import { inGuest, needGuest } from './guest.ts';
import { findKernel, type GuestKernel, isPresent, NEWER, OLDEST } from './kernels.ts';
import { runSuite, SUITES } from './suites.ts';

const COMMAND_TIMEOUT_MS = 60 * 60_000;

const { values, positionals } = parseArgs({
  options: {
    kernel: { type: 'string', multiple: true },
    suite: { type: 'string', multiple: true },
    long: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

const onOutput = (text: string): void => {
  process.stdout.write(text);
};

const runCommand = async (kernel: GuestKernel): Promise<boolean> => {
  const { status } = await inGuest({ kernel, command: positionals, timeoutMs: COMMAND_TIMEOUT_MS, onOutput });
  process.exitCode = status;
  return status === 0;
};

const runSuites = async (kernel: GuestKernel, names: readonly string[]): Promise<boolean> => {
  let passed = true;
  for (const name of names) {
    const suite = SUITES.find((s) => s.name === name);
    if (!suite) throw new Error(`there is no suite ${name}; there are ${SUITES.map((s) => s.name).join(', ')}`);
    process.stdout.write(`vm: ${kernel.release}: ${name}: ${suite.what}\n`);
    const { status, tests, failed, skipped, bootS, wallMs } = await runSuite(suite, {
      kernel,
      isLong: values.long,
      onOutput,
    });
    const ok = status === 0 && tests > 0 && failed === 0;
    const took = `${(wallMs / 1000).toFixed(0)} s, ${bootS} of them boot`;
    process.stdout.write(
      `vm: ${kernel.release}: ${name} ${ok ? 'PASS' : 'FAIL'}: ${tests} tests, ${failed} failed, ${skipped} skipped (${took})\n`,
    );
    passed &&= ok;
  }
  return passed;
};

/** Kernels and the suites for each. Nobody waits for a newer one to be fetched who did not ask for it. */
const plan = (): [kernel: string, suites: readonly string[]][] => {
  const suites = values.suite ?? SUITES.map(({ name }) => name);
  if (values.kernel) return values.kernel.map((kernel) => [kernel, suites]);
  if (positionals.length > 0) return [[OLDEST, []]];
  const newer = NEWER.filter(isPresent).map((kernel): [string, string[]] => [kernel, values.suite ?? ['packets']]);
  return [[OLDEST, suites], ...newer];
};

const reason = needGuest();
if (reason !== false) {
  process.stderr.write(`vm: no guest can be started here: ${reason}\n`);
  process.exitCode = 1;
} else {
  for (const [wanted, suites] of plan()) {
    const kernel = findKernel(wanted);
    const passed = await (positionals.length > 0 ? runCommand(kernel) : runSuites(kernel, suites));
    if (!passed) process.exitCode ||= 1;
  }
}
