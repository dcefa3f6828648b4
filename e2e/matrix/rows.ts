// SPDX-License-Identifier: Apache-2.0
/**
 * The connectivity matrix as tests of a fleet that others use too: three hosts, six workloads of their own, TCP, UDP and ICMP in
 * both families, eleven policies applied one after the other through the public API. After each step every pair is tried
 * with real sockets and compared with the hand-written meaning of the policies; after the last, so is every flow that the
 * fleet recorded. Policies and workloads are gone afterwards.
 */
import { after, before, test } from 'node:test';
import type { Fleet } from '@weir/infra/fleet';
import { HOSTS, workloadsOn } from './layout.ts';
import { Matrix } from './matrix.ts';
import { POLICIES } from './policies.ts';

/** Within a describe() whose fleet has HOSTS. */
export const connectivityMatrix = (fleet: () => Fleet): void => {
  let matrix: Matrix;
  const ids: string[] = [];

  before(async () => {
    const workloads = await fleet().addWorkloads(workloadsOn(HOSTS));
    ids.push(...workloads.map(({ id }) => id));
    matrix = new Matrix(fleet(), workloads);
  });
  after(() => Promise.all(ids.map((id) => fleet().removeWorkload(id))));

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
};
