// SPDX-License-Identifier: Apache-2.0
/** Rows about the way to a host itself: real agents, programs and sockets. */
import { after, before, describe, it } from 'node:test';
import { createFleet, type External, type Fleet } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { CONFIRM_S, lockOut, S21_HOST } from './management/s21-lock-out.ts';

describe('management', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let outside: External;
  before(async () => {
    fleet = await createFleet(testFleet('sm', [S21_HOST], { agentEnv: { WEIR_AGENT_HOST_CONFIRM_S: `${CONFIRM_S}` } }));
    outside = await fleet.addExternal({ name: 'outside', ip4: '198.51.100.7', ip6: '2001:db8:51::7', tcp: [80] });
  });
  after(() => fleet?.destroy());

  it('S21 nobody is locked out of a host', (t) => lockOut(t, fleet, outside));
});
