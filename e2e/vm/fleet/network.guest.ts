// SPDX-License-Identifier: Apache-2.0
/** What joins hosts in a guest: VXLAN, WireGuard, masquerading, and what is left of a workload that went while its agent was dead. */
import { after, before, describe, test } from 'node:test';
import { encrypted } from './encryption.ts';
import { createGuestFleet, type GuestFleet } from './guest-fleet.ts';
import { removedMeanwhile } from './restart.ts';
import { masqueraded, tunnelled } from './tunnel.ts';

describe("a fleet's network", () => {
  let scene: GuestFleet;
  before(async () => {
    scene = await createGuestFleet();
  });
  after(() => scene?.fleet.destroy());

  test('VXLAN between the hosts: policy is by identity there too', () => tunnelled(scene));
  test('WireGuard between the hosts: keys go round, flows say what was encrypted', () => encrypted(scene));
  test("masquerading: the world sees the host's address", () => masqueraded(scene));
  test('a workload that is removed while its agent is dead leaves no interface and no filter', () =>
    removedMeanwhile(scene, scene.named('api')));
});
