// SPDX-License-Identifier: Apache-2.0
/** F06 on another kernel: hosts in a guest have booted, and their agents come late. */
import { after, before, describe, test } from 'node:test';
import { createFleet, type Fleet } from '@weir/infra/fleet';
import { bootWindow } from '../../faults/fleet/f06-boot-window.ts';
import { testFleet } from '../../lib/fleet-options.ts';
import { GUEST_HOSTS } from './hosts.ts';
import { PATIENT_MS } from './scene.ts';

describe('a host that boots', () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await createFleet(testFleet('gb', GUEST_HOSTS));
  });
  after(() => fleet?.destroy());

  test('F06 a host boots, and its agent comes late', (t) => {
    const [host, other] = GUEST_HOSTS as [string, string];
    return bootWindow(t, fleet, { host, other, patienceMs: PATIENT_MS });
  });
});
