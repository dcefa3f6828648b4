// SPDX-License-Identifier: Apache-2.0
/** A first few thousand of the frames of lib/fuzz.ts; the million is a row of its own (e2e/security, S13). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { fuzzProgram } from './lib/fuzz.ts';

const PACKETS = Number(process.env.WEIR_FUZZ_PACKETS ?? 5000);

describe('fuzz', { skip: needKernel() }, () => {
  for (const program of ['from_workload', 'to_workload'] as const) {
    for (const remember of [false, true]) {
      test(`${program}: ${PACKETS} packets${remember ? ', connections live' : ''}`, async () => {
        const { passed, malformed } = await fuzzProgram(program, PACKETS, { remember });
        assert.ok(passed > PACKETS / 50, `the generator makes packets that pass: ${passed}`);
        assert.ok(malformed > PACKETS / 50, `and malformed ones: ${malformed}`);
      });
    }
  }
});
