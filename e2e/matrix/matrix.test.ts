// SPDX-License-Identifier: Apache-2.0
/**
 * The connectivity matrix: three hosts, six workloads, TCP, UDP and ICMP in both families, eleven policies applied
 * one after the other through the public API. After each step every pair is tried with real sockets and compared
 * with the hand-written meaning of the policies; after the last, so is every flow that the fleet recorded.
 */
import { after, before, describe, test } from 'node:test';
import { createFleet, type Fleet } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { HOSTS, workloadsOn } from './layout.ts';
import { Matrix } from './matrix.ts';
import { POLICIES } from './policies.ts';

describe('connectivity matrix', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let matrix: Matrix;

  before(async () => {
    fleet = await createFleet(testFleet('mx', HOSTS));
    matrix = new Matrix(fleet, await fleet.addWorkloads(workloadsOn(HOSTS)));
  });
  after(() => fleet?.destroy());

  test('without a policy everybody reaches everybody', async () => {
    await matrix.check([]);
  });

  for (const [i, policy] of POLICIES.entries()) {
    test(`with ${i + 1} policies, the last one ${policy.key}`, async () => {
      await matrix.apply([policy]);
      await matrix.check(POLICIES.slice(0, i + 1));
    });
  }

  test('every connection has its flows, with verdict, rule and counts', () => matrix.checkFlows(POLICIES));

  test('deleting the policies opens everything again', async () => {
    await matrix.remove(POLICIES);
    await matrix.check([]);
  });
});
