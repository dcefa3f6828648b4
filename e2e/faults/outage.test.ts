// SPDX-License-Identifier: Apache-2.0
/** Rows about hosts without their control plane, with real agents and real packets. */
import { after, before, describe, it } from 'node:test';
import { createFleet, type Fleet } from '@weir/infra/fleet';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { busDown } from './outage/f11-traffic.ts';
import { partition } from './outage/f20-partition.ts';
import { centralDown } from './outage/f27-central-down.ts';
import { createScene, type Scene } from './outage/scene.ts';

describe('hosts without their control plane', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let scene: Scene;
  before(async () => {
    fleet = await createFleet(testFleet('ou', ['h1', 'h2'], { durable: true }));
    scene = await createScene(fleet);
  });
  after(() => fleet?.destroy());

  it('F11 NATS is killed under real traffic', (t) => busDown(t, scene));
  it('F20 a host is cut off, both ways and one way', (t) => partition(t, scene));
  it('F27 everything central is down and agents restart', (t) => centralDown(t, scene));
});
