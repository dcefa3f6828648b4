// SPDX-License-Identifier: Apache-2.0
/** Packets through the real programs. S13: what nobody sends, by the million; see bpf/tests/lib/fuzz.ts. S14: tricks. */
import { describe, it } from 'node:test';
import { fuzzOther, fuzzProgram, OTHER_PROGRAMS } from '@weir/bpf/testing/runs';
import { needKernel } from '@weir/loader/testing';
import { report } from '../lib/figures.ts';
import { watchKernelLog } from '../lib/kernel-log.ts';
import { isLong, size } from '../lib/size.ts';
import { evasion } from './packets/s14-evasion.ts';
import { serviceEvasion } from './packets/s14-services.ts';

const PACKETS = size({ short: 20_000, long: 1_000_000 });
const SECONDS = 60;

describe('packets at random', { skip: needKernel() }, () => {
  for (const program of ['from_workload', 'to_workload'] as const) {
    it(`S13 ${program}: ${PACKETS} frames of 0 to 1514 bytes`, async (t) => {
      const log = watchKernelLog();
      const startMs = performance.now();
      const { seed, refused, malformed, compared, passed } = await fuzzProgram(program, PACKETS);
      const seconds = (performance.now() - startMs) / 1000;
      await fuzzProgram(program, PACKETS / 10, { seed, remember: true });
      const complaints = log.complaints();
      const figures = { program, packets: PACKETS, seed, seconds: seconds.toFixed(1), malformed, compared, passed };
      report(t, 'S13', { ...figures, refused, differences: 0, kernel_warnings: complaints?.length ?? 'unreadable' }, [
        [`no kernel warning (${complaints?.[0] ?? 'none'})`, (complaints?.length ?? 0) === 0],
        ['a fiftieth or more passes', passed > PACKETS / 50],
        ['a fiftieth or more is malformed', malformed > PACKETS / 50],
        ['a fifth or more is compared', compared > PACKETS / 5],
        [`less than ${SECONDS} s`, !isLong || seconds < SECONDS],
      ]);
    });
  }
});

/** Enough to see every hook's numbers; loading the program takes longer. */
const OTHER_PACKETS = size({ short: 2_000, long: 1_000_000 });

describe('packets at random, elsewhere', { skip: needKernel() }, () => {
  for (const which of OTHER_PROGRAMS) {
    it(`S13 ${which.program} of ${which.object}: ${OTHER_PACKETS} frames of 0 to 1514 bytes`, async (t) => {
      const log = watchKernelLog();
      const startMs = performance.now();
      const { seed, returned } = await fuzzOther(which, OTHER_PACKETS);
      const seconds = (performance.now() - startMs) / 1000;
      const complaints = log.complaints();
      const figures = { program: which.program, object: which.object, packets: OTHER_PACKETS, seed };
      const verdicts = Object.entries(returned).map(([action, count]) => `${action}:${count}`);
      const outcome = { seconds: seconds.toFixed(1), returned: verdicts.join(',') };
      report(t, 'S13', { ...figures, ...outcome, kernel_warnings: complaints?.length ?? 'unreadable' }, [
        [`no kernel warning (${complaints?.[0] ?? 'none'})`, (complaints?.length ?? 0) === 0],
        ['every frame has a verdict', verdicts.length > 0],
        [`less than ${SECONDS} s`, !isLong || seconds < SECONDS],
      ]);
    });
  }
});

describe('packets that try to get past policy', { skip: needKernel() }, () => {
  it('S14 fragments, extension headers, options, tunnels, ICMP, spoofed addresses', (t) => evasion(t));
  it('S14 the same from outside, against frontends of services', (t) => serviceEvasion(t));
});
