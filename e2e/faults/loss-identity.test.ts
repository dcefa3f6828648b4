// SPDX-License-Identifier: Apache-2.0
/** F34: delivered + lost, by place and CPU, is what was generated, however small the ring buffer is. */
import { describe, it } from 'node:test';
import { accountForFlows } from '@weir/bpf/testing/runs';
import { needKernel } from '@weir/loader/testing';
import { report } from '../lib/figures.ts';
import { size } from '../lib/size.ts';

const KIB = 1024;
const FLOWS = size({ short: 50_000, long: 1_000_000 });
const RINGS_KIB = size({ short: [4, 256, 8192], long: [4, 16, 64, 256, 1024, 4096, 8192] });
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

describe('loss accounting', { skip: needKernel() }, () => {
  for (const [kib, perSecond] of [...RINGS_KIB.map((each) => [each, 0] as const), [1024, 1000] as const]) {
    it(`F34 ${FLOWS} flows, ring of ${kib} KiB${perSecond ? `, ${perSecond}/s allowed` : ''}`, async (t) => {
      const account = await accountForFlows(FLOWS, kib * KIB, perSecond);
      const { delivered, lostRing, throttled, contiguous, decoded, decodedClaimed } = account;
      const total = delivered + sum(lostRing) + sum(throttled);
      const lost = { lost_ring: lostRing.join('+'), lost_throttle: throttled.join('+') };
      report(t, 'F34', { flows: FLOWS, ring_kib: kib, delivered, ...lost, total }, [
        [`delivered + lost = ${FLOWS}`, total === FLOWS],
        ['sequence numbers without a gap', contiguous],
        ['batches hold what they say', decoded === decodedClaimed && decoded > 0],
        ['a ring of one page loses', kib > 4 || sum(lostRing) > 0],
        ['an allowance holds back', perSecond === 0 || sum(throttled) > 0],
      ]);
    });
  }
});
