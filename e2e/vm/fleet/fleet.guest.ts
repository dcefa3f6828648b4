// SPDX-License-Identifier: Apache-2.0
/**
 * A fleet whose hosts are in a guest: the matrix, SCTP by the kernel, and an agent that is killed under connections.
 * Run by suites.ts, never by itself: the control plane is the machine's. At full length every policy of the matrix gets a
 * step of its own, as on the machine; otherwise they come all at once.
 */
import { after, before, describe, test } from 'node:test';
import { size } from '../../lib/size.ts';
import { Matrix } from '../../matrix/matrix.ts';
import { POLICIES } from '../../matrix/policies.ts';
import { associations } from './association.ts';
import { createGuestFleet, type GuestFleet } from './guest-fleet.ts';
import { agentKilled } from './restart.ts';
import { PATIENT_MS, REFUSED_MS } from './scene.ts';

const STEPS = size({ short: [POLICIES], long: POLICIES.map((policy) => [policy]) });

describe('a fleet', () => {
  let scene: GuestFleet;
  let matrix: Matrix;

  before(async () => {
    scene = await createGuestFleet();
    matrix = new Matrix(scene.fleet, scene.workloads, { refusedMs: REFUSED_MS, patienceMs: PATIENT_MS });
  });
  after(() => scene?.fleet.destroy());

  test('without a policy everybody reaches everybody', async () => {
    await matrix.check([]);
  });
  for (const [i, step] of STEPS.entries()) {
    const policies = STEPS.slice(0, i + 1).flat();
    test(`with ${policies.length} policies every pair is as they say`, async () => {
      await matrix.apply(step);
      await matrix.check(policies);
    });
  }
  test('every connection has its flows, with verdict, rule and counts', () => matrix.checkFlows(POLICIES));
  test('without the policies everything is open again', async () => {
    await matrix.remove(POLICIES);
    await matrix.check([]);
  });
  test('SCTP of the kernel: associations come about where the policy says so', () => associations(scene));
  test('an agent killed under connections: none ends, nothing forbidden passes, the kernel keeps what it had', (t) =>
    agentKilled(t, scene));
});
