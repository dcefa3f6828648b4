// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createNetns,
  deleteNetns,
  getSysctl,
  type Netlink,
  type NetworkChange,
  netnsCookie,
  netnsId,
  openNetlink,
  ROUTE_TABLE,
  setSysctl,
} from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { own } from './helper.ts';

const skip = needKernel();
const left = `/run/netns/${own('a')}`;
const right = `/run/netns/${own('b')}`;
let a: Netlink;
let b: Netlink;

before(async () => {
  if (skip) return;
  await createNetns(left);
  await createNetns(right);
  a = openNetlink(left);
  b = openNetlink(right);
});

after(async () => {
  if (skip) return;
  a.close();
  b.close();
  await deleteNetns(left);
  await deleteNetns(right);
});

test('namespaces are new and this process stays in its own', { skip }, async () => {
  const ids = new Set([await netnsId(), await netnsId(left), await netnsId(right)]);
  assert.equal(ids.size, 3);
  const cookies = new Set([await netnsCookie(), await netnsCookie(left), await netnsCookie(right)]);
  assert.equal(cookies.size, 3);
  assert.ok(cookies.has(await netnsCookie(left)));
  const own = await netnsId();
  // every thread of this process, libuv's workers among them, is where it was
  const { readdirSync, readlinkSync } = await import('node:fs');
  for (const task of readdirSync('/proc/self/task'))
    assert.equal(readlinkSync(`/proc/self/task/${task}/ns/net`), `net:[${own}]`);
  assert.deepEqual(
    (await a.links()).filter(({ name }) => name === 'lo').map(({ up, ifindex }) => [up, ifindex]),
    [[false, 1]],
  );
  await assert.rejects(createNetns(left), { code: 'KERNEL', message: /EEXIST/ });
});

test('a vxlan device that takes its destinations from the packets', { skip }, async () => {
  const made = await a.addVxlan({ name: 'vx0', port: 8473, sourceLow: 40_000, sourceHigh: 41_000, mtu: 1400 });
  const expected = { port: 8473, sourceLow: 40_000, sourceHigh: 41_000 };
  assert.deepEqual([made.kind, made.mtu, made.vxlan], ['vxlan', 1400, expected]);
  await a.setUp(made.ifindex);
  await assert.rejects(a.addVxlan({ name: 'vx0', ...expected }), { code: 'KERNEL', message: /EEXIST/ });
  await a.deleteLink(made.ifindex);
  assert.equal(await a.linkByName('vx0'), undefined);
});

test('a veth across namespaces, its addresses, routes and neighbours', { skip }, async () => {
  const link = await a.addVeth({
    name: 'va',
    peer: 'vb',
    peerNetns: right,
    mac: '02:00:00:00:00:0a',
    peerMac: '02:00:00:00:00:0b',
    mtu: 1400,
  });
  const peer = await b.linkByName('vb');
  assert.ok(peer);
  assert.deepEqual(
    [link.kind, link.mac, link.mtu, link.up, link.peerIfindex],
    ['veth', '02:00:00:00:00:0a', 1400, false, peer.ifindex],
  );
  assert.notEqual(link.peerNetnsId, undefined);
  assert.deepEqual([peer.mac, peer.mtu], ['02:00:00:00:00:0b', 1400]);

  await a.setUp(link.ifindex);
  await b.setUp(peer.ifindex);
  assert.equal((await a.linkByName('va'))?.carrier, true);

  await a.addAddress(link.ifindex, '10.9.0.1/24');
  await a.addAddress(link.ifindex, '10.9.0.1/24');
  await a.addAddress(link.ifindex, '10.9.1.1/32', { scope: 'link', noprefixroute: true });
  await a.addAddress(link.ifindex, 'fd00:9::1/64', { nodad: true });
  const addresses = (await a.addresses()).filter(({ ifindex }) => ifindex === link.ifindex);
  assert.deepEqual(
    addresses.filter(({ scope }) => scope !== 'link').map(({ address }) => address),
    ['10.9.0.1/24', 'fd00:9::1/64'],
  );
  assert.equal(addresses.find(({ address }) => address === 'fd00:9::1/64')?.tentative, false);
  assert.equal(addresses.find(({ address }) => address === '10.9.1.1/32')?.scope, 'link');

  await a.replaceRoute({ dst: 'default', via: '10.9.0.2', ifindex: link.ifindex });
  await a.replaceRoute({ dst: '192.0.2.0/24', via: '169.254.1.1', ifindex: link.ifindex, onlink: true, metric: 7 });
  await a.replaceRoute({ dst: '198.51.100.7/32', ifindex: link.ifindex, table: 77, src: '10.9.0.1' });
  await a.replaceRoute({ dst: 'default', via: 'fd00:9::2', ifindex: link.ifindex });
  await a.replaceRoute({ dst: '203.0.113.0/24', type: 'blackhole' });
  const main = await a.routes({ table: ROUTE_TABLE.main });
  const find = (dst: string) => main.find((route) => route.dst === dst);
  assert.equal(find('0.0.0.0/0')?.via, '10.9.0.2');
  assert.equal(find('::/0')?.via, 'fd00:9::2');
  assert.deepEqual([find('192.0.2.0/24')?.via, find('192.0.2.0/24')?.metric], ['169.254.1.1', 7]);
  assert.equal(find('203.0.113.0/24')?.type, 'blackhole');
  assert.equal(find('10.9.0.0/24')?.scope, 'link');
  assert.equal(find('198.51.100.7/32'), undefined);
  const [other] = await a.routes({ family: 4, table: 77 });
  assert.deepEqual([other?.dst, other?.src, other?.scope], ['198.51.100.7/32', '10.9.0.1', 'link']);
  assert.deepEqual(await a.routes({ family: 4, table: 78 }), []);
  await a.replaceRoute({ dst: '192.0.2.0/24', via: '10.9.0.3', metric: 7 });
  assert.equal((await a.routes({ family: 4 })).find(({ dst }) => dst === '192.0.2.0/24')?.via, '10.9.0.3');
  await a.delRoute({ dst: '192.0.2.0/24', metric: 7 });
  await assert.rejects(a.delRoute({ dst: '192.0.2.0/24', metric: 7 }), { code: 'KERNEL', message: /ESRCH/ });

  await a.addNeighbour({ ifindex: link.ifindex, ip: '10.9.0.2', mac: '02:00:00:00:00:0b' });
  await a.addNeighbour({ ifindex: link.ifindex, ip: 'fd00:9::2', mac: '02:00:00:00:00:0b' });
  const neighbours = await a.neighbours();
  assert.deepEqual(
    neighbours.filter(({ state }) => state === 'permanent').map(({ ip, mac }) => [ip, mac]),
    [
      ['10.9.0.2', '02:00:00:00:00:0b'],
      ['fd00:9::2', '02:00:00:00:00:0b'],
    ],
  );
  await a.delNeighbour(link.ifindex, '10.9.0.2');
  assert.equal((await a.neighbours(4)).find(({ ip }) => ip === '10.9.0.2')?.state ?? 'none', 'none');

  await a.delAddress(link.ifindex, '10.9.1.1/32');
  await a.setDown(link.ifindex);
  await a.setMac(link.ifindex, '02:00:00:00:00:0c');
  await a.rename(link.ifindex, 'vc');
  await a.setMtu(link.ifindex, 1300);
  assert.deepEqual(await a.linkByName('vc').then((found) => [found?.mac, found?.mtu, found?.up]), [
    '02:00:00:00:00:0c',
    1300,
    false,
  ]);
  assert.equal(await a.linkByName('va'), undefined);
  await a.deleteLink(link.ifindex);
  assert.equal(await b.linkByName('vb'), undefined);
});

test('bridges have ports; an interface moves between namespaces', { skip }, async () => {
  const bridge = await a.addBridge('br');
  const link = await a.addVeth({ name: 'p1', peer: 'p2' });
  await a.setMaster(link.ifindex, bridge.ifindex);
  assert.equal((await a.linkByIndex(link.ifindex))?.master, bridge.ifindex);
  assert.equal(bridge.kind, 'bridge');
  const p2 = await a.linkByName('p2');
  assert.ok(p2);
  await a.moveToNetns(p2.ifindex, right);
  assert.ok(await b.linkByName('p2'));
  assert.equal(await a.linkByName('p2'), undefined);
  await a.deleteLink(link.ifindex);
  await a.deleteLink(bridge.ifindex);
});

test('errors carry the kernel’s words and what it was about', { skip }, async () => {
  await assert.rejects(a.setUp(4711), { code: 'KERNEL', message: /interface 4711.*ENODEV/ });
  const refused = await a.replaceRoute({ dst: '192.0.2.0/24', via: '198.51.100.1' }).catch((error: unknown) => error);
  assert.match(String(refused), /route 192\.0\.2\.0\/24.*ENETUNREACH.*Nexthop has invalid gateway/);
  await assert.rejects(a.addAddress(1, '10.0.0.1/33'), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => openNetlink('/nonexistent'), { code: 'KERNEL', message: /ENOENT/ });
  const closed = openNetlink(left);
  closed.close();
  await assert.rejects(closed.links(), { code: 'KERNEL', message: /EBADF/ });
});

test('a monitor sees only its own namespace', { skip }, async () => {
  const seen: NetworkChange[] = [];
  const other: NetworkChange[] = [];
  const monitor = a.monitor((change) => seen.push(change));
  const otherMonitor = b.monitor((change) => other.push(change));
  const link = await a.addVeth({ name: 'm1', peer: 'm2' });
  await a.setUp(link.ifindex);
  await a.addAddress(link.ifindex, '10.8.0.1/24');
  await a.replaceRoute({ dst: '192.0.2.0/24', ifindex: link.ifindex });
  await a.delRoute({ dst: '192.0.2.0/24', ifindex: link.ifindex });
  await a.deleteLink(link.ifindex);
  for (let i = 0; i < 100; i++) {
    if (seen.some((change) => change.kind === 'link' && change.action === 'del' && change.link.name === 'm1')) break;
    await sleep(10);
  }
  await monitor.stop();
  await otherMonitor.stop();
  assert.ok(seen.some((change) => change.kind === 'link' && change.action === 'add' && change.link.name === 'm2'));
  assert.ok(
    seen.some(
      (change) => change.kind === 'address' && change.action === 'add' && change.address.address === '10.8.0.1/24',
    ),
  );
  for (const action of ['add', 'del'] as const)
    assert.ok(
      seen.some((change) => change.kind === 'route' && change.action === action && change.route.dst === '192.0.2.0/24'),
    );
  assert.deepEqual(other, []);
});

test('settings are read and written inside a namespace', { skip }, async () => {
  const mine = readFileSync('/proc/sys/net/ipv4/conf/lo/rp_filter', 'utf8').trim();
  await setSysctl(left, 'net/ipv4/conf/lo/rp_filter', '2');
  assert.equal(await getSysctl(left, 'net/ipv4/conf/lo/rp_filter'), '2');
  assert.equal(await getSysctl(undefined, 'net/ipv4/conf/lo/rp_filter'), mine);
  await assert.rejects(setSysctl(left, 'kernel/hostname', 'x'), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(setSysctl(left, 'net/../kernel/hostname', 'x'), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(setSysctl(left, 'net/ipv4/nothing', '1'), { code: 'KERNEL', message: /ENOENT/ });
});
