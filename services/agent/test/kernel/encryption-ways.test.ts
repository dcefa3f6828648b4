// SPDX-License-Identifier: Apache-2.0
/**
 * What leads packets to the encrypting device, in the tables of a namespace; another device stands in its place. Packets
 * through WireGuard itself: wireguard.guest.ts.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createNetns, deleteNetns, type Netlink, openNetlink, ROUTE_TABLE } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { EncryptionWays, removeRules } from '../../src/apply/kernel/encryption-ways.ts';
import { type EncryptedRoute, type EncryptionPlan, NO_ENCRYPTION } from '../../src/plan/encryption.ts';

const NETNS = `/run/netns/weir-agent-${process.pid}-ways`;
const OWN = { ip4: '198.18.251.11', ip6: 'fd18:251::11' };
const PEER = { ip4: '198.18.251.12', ip6: 'fd18:251::12' };
const POOLS = { ip4: '10.92.0.0/24', ip6: 'fd92::/64' };
const FAMILIES = ['ip4', 'ip6'] as const;
/** Of whoever makes a route by way of another host: this agent, or somebody who knows nothing of encryption. */
const OTHERS_METRIC = 87;

const routes: readonly EncryptedRoute[] = FAMILIES.map((family) => ({ dst: POOLS[family], src: OWN[family] }));
const plan: EncryptionPlan = {
  ...NO_ENCRYPTION,
  hosts: [
    { dst: `${PEER.ip4}/32`, src: OWN.ip4 },
    { dst: `${PEER.ip6}/128`, src: OWN.ip6 },
  ],
  sources: { own: [OWN.ip4, OWN.ip6], pools: ['10.91.0.0/24', 'fd91::/64'] },
};

describe('ways to the device that encrypts', { skip: needKernel() }, () => {
  let socket: Netlink;
  const index = { up0: 0, wg0: 0 };
  const leadTo = async (dst: string): Promise<string[]> =>
    (await socket.routes({ table: ROUTE_TABLE.main }))
      .filter((route) => route.dst === dst)
      .map(({ ifindex, metric }) => `${ifindex === index.up0 ? 'up0' : 'wg0'} ${metric}`)
      .sort();

  before(async () => {
    await createNetns(NETNS);
    socket = openNetlink(NETNS);
    for (const name of ['up0', 'wg0'] as const) {
      const { ifindex } = await socket.addVeth({ name, peer: `far-${name}` });
      index[name] = ifindex;
      for (const one of [ifindex, (await socket.linkByName(`far-${name}`))?.ifindex ?? 0]) await socket.setUp(one);
    }
    await socket.addAddress(index.up0, `${OWN.ip4}/24`);
    await socket.addAddress(index.up0, `${OWN.ip6}/64`, { nodad: true });
  });
  after(async () => {
    socket?.close();
    await deleteNetns(NETNS);
  });

  it('a route that is made by way of an encrypted host leads to the uplink, and stays when encryption goes', async () => {
    const ways = new EncryptionWays();
    await ways.sync(socket, index.wg0, plan, routes);
    for (const family of FAMILIES)
      await socket.replaceRoute({ dst: POOLS[family], via: PEER[family], metric: OTHERS_METRIC });
    for (const family of FAMILIES) assert.deepEqual(await leadTo(POOLS[family]), ['up0 87', 'wg0 86'], family);
    assert.deepEqual(await ways.missing(socket), []);
    // as the next agent, which reads what there is
    const next = new EncryptionWays();
    await next.sync(socket, index.wg0, { ...plan, hosts: [] }, []);
    for (const family of FAMILIES) assert.deepEqual(await leadTo(POOLS[family]), ['up0 87'], family);
    assert.deepEqual(await socket.routes({ table: 51_871 }), []);
    assert.equal((await socket.rules()).filter(({ table }) => table === 51_871).length, 0);
  });

  it('rules that were taken away are named, and others stay when ours go', async () => {
    const ways = new EncryptionWays();
    await ways.sync(socket, index.wg0, plan, routes);
    await socket.addRule({ family: 4, src: '10.77.0.0/16', table: 100, priority: 9_000, protocol: 4 });
    await removeRules(socket);
    assert.match((await ways.missing(socket)).join(), /rule that what 10\.91\.0\.0\/24 sends is encrypted was removed/);
    assert.deepEqual(
      (await socket.rules(4)).filter(({ table }) => table === 100).map(({ src }) => src),
      ['10.77.0.0/16'],
    );
  });
});
