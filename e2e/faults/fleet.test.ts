// SPDX-License-Identifier: Apache-2.0
/** Rows that need hosts, real agents and sockets, one after the other on one fleet. */
import { after, before, describe, it } from 'node:test';
import { createFleet, type Fleet, type Workload } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { isLong, size } from '../lib/size.ts';
import { spoofing } from '../security/fleet/s17-spoofing.ts';
import { revoking } from '../security/fleet/s18-revoking.ts';
import { bootWindow } from './fleet/f06-boot-window.ts';
import { firstPackets } from './fleet/f07-first-packet.ts';
import { hostDies } from './fleet/f09-host-dies.ts';
import { deadBackends } from './fleet/f09-verdict.ts';
import { continuity } from './fleet/f10-continuity.ts';
import { acknowledgement } from './fleet/f30-acknowledgement.ts';
import { joinsAndLeaves } from './fleet/net04-joins.ts';
import { changeStorm } from './fleet/storm.ts';

/** A host has room for 253 workloads. */
const HOSTS = size({ short: ['h1', 'h2'], long: ['h1', 'h2', 'h3'] });
const SIMULATED = Array.from({ length: size({ short: 0, long: 47 }) }, (_, i) => `sim${i}`);
const JOINS = 'NET04 hosts join and leave under live connections';

describe('fleet', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let server: Workload;
  before(async () => {
    fleet = await createFleet(testFleet('ff', HOSTS, { simulatedHosts: SIMULATED }));
    server = await fleet.addWorkload({ name: 'server', host: 'h2', labels: { app: 'server' }, tcp: [80], udp: [53] });
  });
  after(() => fleet?.destroy());

  it('F06 a host boots, and its agent comes late', (t) =>
    bootWindow(t, fleet, { host: 'h1', other: 'h2', patienceMs: 60_000 }));
  it('F07 new workloads send from the moment their link is up', (t) => firstPackets(t, fleet, server));
  it('F10 fragments, and a way that becomes narrower under a connection', (t) => continuity(t, fleet));
  it('F09 backends that die are found out and left alone', (t) => deadBackends(t, fleet));
  // It takes half a minute until a host is missed.
  if (isLong) it('F09 a host dies, and another asks in its place', (t) => hostDies(t, fleet));
  if (!isLong) it(JOINS, (t) => joinsAndLeaves(t, fleet));
  it('F30 a policy that is said to be in force is', (t) => acknowledgement(t, fleet, server));
  it('STORM a thousand changes a minute under traffic', (t) => changeStorm(t, fleet));
  // At length they have a fleet of their own, in e2e/security.
  if (!isLong) it('S17 labels, names and addresses of others', (t) => spoofing(t, fleet));
  if (!isLong) it('S18 access that is taken back', (t) => revoking(t, fleet));
});

// At length some connections lead to a host behind a router, which the other rows would measure with.
if (isLong)
  describe('fleet with a router', { skip: needKernel() }, () => {
    let fleet: Fleet;
    before(async () => {
      fleet = await createFleet(testFleet('fr', ['h1', 'h2', 'h3'], { routedHosts: ['h3'] }));
      // Natively the world knows the way to workloads behind the router.
      await fleet.addExternal({ name: 'world' });
    });
    after(() => fleet?.destroy());

    it(JOINS, (t) => joinsAndLeaves(t, fleet));
  });
