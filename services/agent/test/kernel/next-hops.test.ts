// SPDX-License-Identifier: Apache-2.0
/** LB-23: next hops of the uplinks are known before anybody sends to them, and stay so. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createNetns, deleteNetns, type Netlink, openNetlink } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { NextHops } from '../../src/apply/kernel/next-hops.ts';

const path = (name: string): string => `/run/netns/wh${process.pid}${name}`;
const NEXT = ['10.96.0.2', 'fd96::2'] as const;

describe('next hops of uplinks', { skip: needKernel() }, () => {
  let netlink: Netlink;
  let ifindex = 0;
  before(async () => {
    for (const name of ['a', 'b']) await createNetns(path(name));
    netlink = openNetlink(path('a'));
    const far = openNetlink(path('b'));
    ({ ifindex } = await netlink.addVeth({ name: 'eth0', peer: 'eth0', peerNetns: path('b') }));
    const there = (await far.linkByName('eth0'))?.ifindex ?? 0;
    for (const [socket, link, host] of [
      [netlink, ifindex, 1],
      [far, there, 2],
    ] as const) {
      // biome-ignore format: a table
      await socket.addAddress(link, `10.96.0.${host}/24`);
      await socket.addAddress(link, `fd96::${host}/64`, { nodad: true });
      await socket.setUp(link);
    }
    far.close();
    for (const [dst, via] of [['10.97.0.0/16', NEXT[0]], ['fd97::/32', NEXT[1]]] as const) // biome-ignore format: a table
      await netlink.replaceRoute({ dst, via, ifindex });
  });
  after(async () => {
    netlink.close();
    for (const name of ['a', 'b']) await deleteNetns(path(name));
  });

  const known = async (): Promise<string[]> =>
    (await netlink.neighbours())
      .filter(({ ip, mac }) => mac !== undefined && (NEXT as readonly string[]).includes(ip))
      .map(({ ip, state }) => `${ip} ${state}`)
      .sort();
  const waitKnown = async (): Promise<void> => {
    for (let i = 0; (await known()).length < 2; i++) {
      assert.ok(i < 200, `nobody asked for ${NEXT}: ${await known()}`);
      await sleep(50);
    }
  };

  it('LB-23 they are asked for before anybody sends, and no more when XDP sends nothing', async () => {
    assert.deepEqual(await known(), []);
    const hops = new NextHops(path('a'));
    assert.deepEqual(await hops.sync([{ ifindex, ifname: 'eth0' }]), []);
    await waitKnown();
    assert.deepEqual(await hops.sync([]), []);
    assert.deepEqual(await known(), []);
    // Of another interface nothing is asked.
    assert.deepEqual(await hops.sync([{ ifindex: 1, ifname: 'lo' }]), []);
    assert.deepEqual(await known(), []);
  });
});
