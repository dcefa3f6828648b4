// SPDX-License-Identifier: Apache-2.0
/**
 * A fleet whose hosts are in a guest: the matrix, SCTP by the kernel, VXLAN, masquerading, and an agent that is killed
 * under connections.
 * Run by suites.ts, never by itself: the control plane is the machine's. At full length every policy of the matrix gets a
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
import { agentKilled, removedMeanwhile } from './restart.ts';
import { PATIENT_MS, REFUSED_MS, type Scene } from './scene.ts';
import { masqueraded, tunnelled } from './tunnel.ts';

const STEPS = size({ short: [POLICIES], long: POLICIES.map((policy) => [policy]) });

describe('a fleet', () => {
  let fleet: Fleet;
  let matrix: Matrix;
  let scene: Scene;
  const named = (name: string): Workload =>
    [...fleet.workloads.values()].find(({ spec }) => spec.name === name) as Workload;

  before(async () => {
    fleet = await createFleet(testFleet('gu', GUEST_HOSTS));
    const workloads = await Promise.all(
      workloadsOn(GUEST_HOSTS).map(async (spec) => fleet.register(await fleet.makePlace(spec))),
    );
    await Promise.all(workloads.map(({ id }) => fleet.waitWorkloadReady(id, PATIENT_MS)));
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
  test('VXLAN between the hosts: policy is by identity there too', () => tunnelled(scene));
  test("masquerading: the world sees the host's address", () => masqueraded(scene));
  test('an agent killed under connections: none ends, nothing forbidden passes, the kernel keeps what it had', (t) =>
    agentKilled(t, scene));
  test('a workload that is removed while its agent is dead leaves no interface and no filter', () =>
    removedMeanwhile(scene, named('api')));
});
