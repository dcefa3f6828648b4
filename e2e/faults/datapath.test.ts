// SPDX-License-Identifier: Apache-2.0
/** Faults of the datapath of one host, on a fleet that they share; each row is a file of its own in datapath/. */
import { after, before, describe, it } from 'node:test';
import { createFleet, type Fleet } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { changedWhileDead } from './datapath/changed-while-dead.ts';
import { agentKilled } from './datapath/f01.ts';
import { swapped } from './datapath/f02.ts';
import { killedInWrites } from './datapath/f03.ts';
import { takenAway } from './datapath/f05.ts';
import { mapsFull } from './datapath/f08.ts';
import { churned } from './datapath/f09.ts';
import { hashed } from './datapath/f09-hashes.ts';
import { eventFlood } from './datapath/f33.ts';
import { makeScene, type Scene } from './datapath/scene.ts';

/** One of them floods. */
const BYSTANDERS = 10;

describe('datapath faults', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let scene: Scene;
  before(async () => {
    fleet = await createFleet(testFleet('df', ['h1', 'h2'], { ownBpffs: true }));
    scene = await makeScene(fleet, BYSTANDERS);
  });
  after(() => fleet?.destroy());

  it('F01 agent killed under load: nobody notices', (t) => agentKilled(t, scene));
  it('a policy that changes while the agent is dead, or under connections, is in force afterwards', () =>
    changedWhileDead(scene));
  it('F05 pins, links and the file system taken away: put back, and told', (t) => takenAway(t, scene));
  it('F08 maps filled beyond the brim: denied, told, and only for whom it matters', (t) => mapsFull(t, scene));
  it('F33 event flood by one workload: throttled, others lose nothing', (t) => eventFlood(t, scene));
  it('F09 backends churn under live connections, and the agent is killed', (t) => churned(t, scene));
  it('F09 one of ten backends leaves Maglev, and the agent is killed: whom packets go to', (t) => hashed(t, scene));
  it('F03 agent killed at any point of a map update', (t) => killedInWrites(t, scene));
  // Last, because it leaves the hosts joined by tunnel.
  it('F02 a version with maps of another shape comes and goes', (t) => swapped(t, scene));
});
