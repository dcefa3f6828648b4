// SPDX-License-Identifier: Apache-2.0
/** The oldest kernel that is supported, with every `npm test`: the suites that are quick enough, a guest each. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { endedInTheMiddle } from './ended.ts';
import { needGuest } from './guest.ts';
import { findKernel, OLDEST } from './kernels.ts';
import { stopSignal } from './stop.ts';
import { runSuite, SUITES } from './suites.ts';

describe(`kernel ${OLDEST}`, { skip: needGuest() }, () => {
  const { signal, close } = stopSignal();
  after(close);

  for (const suite of SUITES.filter(({ everyTime }) => everyTime)) {
    it(`${suite.name}: ${suite.what}`, async (t) => {
      const kernel = findKernel();
      const { status, tests, failed, skipped, bootS, wallMs, stdout, stderr } = await runSuite(suite, {
        kernel,
        signal,
      });
      t.diagnostic(
        `${kernel.release}: ${tests} tests, booted in ${bootS} s, done after ${(wallMs / 1000).toFixed(0)} s`,
      );
      assert.equal(status, 0, `${stdout}\n${stderr}`);
      assert.ok(tests > 0, stdout);
      assert.equal(failed + skipped, 0, stdout);
    });
  }
});

describe('a run that is ended in the middle', { skip: needGuest() }, endedInTheMiddle);
