// SPDX-License-Identifier: Apache-2.0
/**
 * Attacks that need hosts, real agents and sockets, at full length (`npm run test:security -- S17`). Their short forms run on the fleet of
 * e2e/faults/fleet.test.ts, so that `npm test` starts one fleet less.
 */
import { after, before, describe, it } from 'node:test';
import { createFleet, type Fleet } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { isLong } from '../lib/size.ts';
import { spoofing } from './fleet/s17-spoofing.ts';
import { revoking } from './fleet/s18-revoking.ts';

if (isLong)
  describe('a fleet under attack', { skip: needKernel() }, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await createFleet(testFleet('sf', ['h1', 'h2']));
    });
    after(() => fleet?.destroy());

    it('S17 labels, names and addresses of others', (t) => spoofing(t, fleet));
    it('S18 access that is taken back', (t) => revoking(t, fleet));
  });
