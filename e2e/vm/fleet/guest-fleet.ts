// SPDX-License-Identifier: Apache-2.0
/** The fleet that every test of this folder starts with: two hosts, the workloads of the matrix, all ready. */
import { createFleet, type Fleet, type Workload } from '@weir/infra/fleet';
import { testFleet } from '../../lib/fleet-options.ts';
import { workloadsOn } from '../../matrix/layout.ts';
import { GUEST_HOSTS } from './hosts.ts';
import { PATIENT_MS, type Scene } from './scene.ts';

export interface GuestFleet extends Scene {
  readonly fleet: Fleet;
  readonly workloads: readonly Workload[];
  named(name: string): Workload;
}

/** Whoever calls destroys the fleet; when it does not come about, nothing stays. */
export const createGuestFleet = async (): Promise<GuestFleet> => {
  const fleet = await createFleet(testFleet('gu', GUEST_HOSTS));
  try {
    const workloads = await Promise.all(
      workloadsOn(GUEST_HOSTS).map(async (spec) => fleet.register(await fleet.makePlace(spec))),
    );
    await Promise.all(workloads.map(({ id }) => fleet.waitWorkloadReady(id, PATIENT_MS)));
    const named = (name: string): Workload => workloads.find(({ spec }) => spec.name === name) as Workload;
    return { fleet, workloads, named, web: named('web'), client: named('client'), stranger: named('logger') };
  } catch (error) {
    await fleet.destroy();
    throw error;
  }
};
