// SPDX-License-Identifier: Apache-2.0
/**
 * How the hosts are joined, set through the API of a fleet that runs: in each mode, who may talk to whom, by every
 * protocol and in both families; what the flows say of it; and everything else that the network document sets.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createFleet, type Fleet, until, type Workload } from '@weir/infra/fleet';
import { inNetns } from '@weir/infra/netns';
import { needKernel } from '@weir/loader/testing';
import { testFleet } from '../lib/fleet-options.ts';
import { connectivityMatrix } from '../matrix/rows.ts';
import { announce } from './announce.ts';
import { answers } from './answers.ts';
import { conversationsOf, converse } from './conversations.ts';
import { egress } from './egress.ts';
import { closedPorts, tooBig } from './errors.ts';
import { established } from './established.ts';
import { oneFamily, removePeople } from './families.ts';
import { health } from './health.ts';
import { bandwidth } from './limits.ts';
import { masquerade } from './masquerade.ts';
import { nat64 } from './nat64.ts';
import { prefilter } from './prefilter.ts';
import { HOSTS, makeScene, ROUTED, type Scene, setNetwork } from './scene.ts';
import { services } from './services.ts';
import { servicesBackends } from './services-backends.ts';
import { servicesLocal } from './services-local.ts';
import { servicesFromOutside } from './services-packets.ts';
import { servicesRows } from './services-rows.ts';
import { servicesUnseen } from './services-unseen.ts';
import { sourceCheck } from './source-check.ts';
import { vlans } from './vlan.ts';

const TUNNEL6 = { routing: 'tunnel', underlay: 'ipv6' };
const HYBRID = { routing: 'hybrid' };

describe('network', { skip: needKernel() }, () => {
  let fleet: Fleet;
  let scene: Scene;
  before(async () => {
    fleet = await createFleet(testFleet('nw', HOSTS, { routedHosts: ROUTED }));
    scene = await makeScene(fleet);
  });
  after(() => fleet?.destroy());

  /** How a host reaches a workload of another, in each family. */
  const ways = (from: string, { ip4, ip6 }: Workload): string[] =>
    [ip4, ip6].map((address) => {
      const route = inNetns(fleet.host(from).netns, 'ip', 'route', 'get', address);
      return /dev (\S+)/.exec(route)?.[1] === 'weir_vxlan' ? 'tunnel' : 'direct';
    });
  /** Every host has to be there, not one: they change one after the other. `near` is between h1 and h2, `far` to and from h3. */
  const waitWays = (near: string, far: string) => {
    const pairs = ['h1', 'h2', 'h3'].flatMap((from) =>
      [scene.web, scene.db, scene.shop]
        .filter(({ spec }) => spec.host !== from)
        .map((to) => ({ from, to, wanted: from === 'h3' || to.spec.host === 'h3' ? far : near })),
    );
    const wrong = () => pairs.filter(({ from, to, wanted }) => ways(from, to).some((way) => way !== wanted));
    return until(
      `hosts to be joined ${near}, h3 ${far}`,
      30_000,
      async () => wrong().length === 0,
      () =>
        wrong()
          .map(({ from, to }) => `${from} to ${to.id}: ${ways(from, to)}`)
          .join('; '),
    );
  };
  const mtu = ({ netns }: { readonly netns: string }): number =>
    Number(/mtu (\d+)/.exec(inNetns(netns, 'ip', 'link', 'show', 'eth0'))?.[1]);
  const waitMtu = (wanted: number) =>
    until(`an MTU of ${wanted}`, 30_000, async () => [scene.web, scene.shop].every((one) => mtu(one) === wanted));

  test('native: the underlay carries the addresses of workloads', async () => {
    await setNetwork(scene, { routing: 'native' });
    await waitWays('direct', 'direct');
    await waitMtu(1500);
    await converse(scene, conversationsOf(scene));
    await closedPorts(scene.web, scene.db);
  });

  describe('connectivity matrix', () => connectivityMatrix(() => fleet));

  test('VLAN ids that may pass the uplinks', () => vlans(scene, { routing: 'native' }));

  test('tunnel over IPv6: identities, fragments, errors', async () => {
    await setNetwork(scene, TUNNEL6);
    await waitWays('tunnel', 'tunnel');
    await waitMtu(1430);
    await converse(scene, conversationsOf(scene));
    await closedPorts(scene.web, scene.db);
    tooBig(scene.web, scene.db, 1430);
  });

  test('hybrid: direct on one subnet, by tunnel through the router', async () => {
    await setNetwork(scene, HYBRID);
    await waitWays('direct', 'tunnel');
    await waitMtu(1450);
    await converse(scene, conversationsOf(scene));
    await closedPorts(scene.shop, scene.db);
  });

  test('what is refused is answered, where a policy asks for it', () => answers(scene));
  test('connections that a change refuses are drained or cut', () => established(scene));
  test('masquerade: the world sees hosts', () => masquerade(scene, HYBRID));
  test('egress gateways: who is selected leaves by one, and by the next when it is cut off', () => egress(scene));
  test('a workload sends from its own addresses, unless it may from others', () => sourceCheck(scene));
  test('a prefilter drops and lets in again, live', () => prefilter(scene));
  test('bandwidth: limits come and go, live', () => bandwidth(scene));
  test('services: asked for by workloads of all hosts, judged by their backends', () => services(scene));
  test('services: asked for by packets whose sockets nobody has seen', () => servicesUnseen(scene));
  test('services: asked for from outside, with backends here, natively and by tunnel elsewhere', () =>
    servicesFromOutside(scene, HYBRID));
  test('services: who serves whom, by policies, zones, ranges, limits and redirects', () => servicesRows(scene));
  test('services: backends taken out, drained and weighed, and clients that stay', () => servicesBackends(scene));
  test('services: redirects, and what a host serves by its own', () => servicesLocal(scene, HYBRID));
  test('addresses of services: one host answers on the link, and the next when it is gone', (t) => announce(scene, t));
  test('the health mesh shows who is cut off, and that it is back', () => health(scene, 'h3'));

  test('a fleet of IPv6 only, then of IPv4 only with packets smaller than IPv6 allows', async () => {
    for (const [family, network] of [
      ['ip6', { ...HYBRID, underlay: 'ipv6' }],
      ['ip4', { ...HYBRID, mtu: 1000 }],
    ] as const) {
      await removePeople(scene);
      scene = await oneFamily(scene, family, network);
      if ('mtu' in network) await waitMtu(network.mtu);
      else await nat64(scene, { ...network, families: 'ipv6' });
    }
    assert.equal(mtu(scene.db), 1000);
  });
});
