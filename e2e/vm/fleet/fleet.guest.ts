// SPDX-License-Identifier: Apache-2.0
/**
 * A fleet whose hosts are in a guest: the matrix, and SCTP by the kernel. Run by suites.ts, never by itself: the control plane is the machine's. At full length every policy of the matrix gets a
 * step of its own, as on the machine; otherwise they come all at once.
 */
import { after, before, describe, test } from 'node:test';
import { createFleet, type Fleet, type Workload } from '@weir/infra/fleet';
import { testFleet } from '../../lib/fleet-options.ts';
import { size } from '../../lib/size.ts';
import { workloadsOn } from '../../matrix/layout.ts';
import { Matrix } from '../../matrix/matrix.ts';
import { POLICIES } from '../../matrix/policies.ts';
import { associations } from './association.ts';
import { GUEST_HOSTS } from './hosts.ts';
import { PATIENT_MS, REFUSED_MS, type Scene } from './scene.ts';

const STEPS = size({ short: [POLICIES], long: POLICIES.map((policy) => [policy]) });

describe('a fleet', () => {
  let fleet: Fleet;
  let matrix: Matrix;
  let scene: Scene;

  before(async () => {
    fleet = await createFleet(testFleet('gu', GUEST_HOSTS));
    const workloads = await Promise.all(
      workloadsOn(GUEST_HOSTS).map(async (spec) => fleet.register(await fleet.makePlace(spec))),
    );
    await Promise.all(workloads.map(({ id }) => fleet.waitWorkloadReady(id, PATIENT_MS)));
    const named = (name: string): Workload => workloads.find(({ spec }) => spec.name === name) as Workload;
    matrix = new Matrix(fleet, workloads, { refusedMs: REFUSED_MS, patienceMs: PATIENT_MS });
    scene = { fleet, web: named('web'), client: named('client'), stranger: named('logger') };
  });
  after(() => fleet?.destroy());

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
});
