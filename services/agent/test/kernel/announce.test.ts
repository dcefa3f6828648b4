// SPDX-License-Identifier: Apache-2.0
/**
 * Two hosts and a client on one link, real programs, leases on a real bus: which host answers for an address, and what becomes
 * of it when hosts lose the bus, their agent or their backends.
 *
 *     a 198.51.100.1 -- bridge -- client 198.51.100.99
 *     b 198.51.100.2 --/
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bus, type ConfigEntry, connectBus, ensureStreams, readLease } from '@weir/bus';
import { startTestNats, type TestNats } from '@weir/bus/testing';
import { needKernel } from '@weir/loader/testing';
import { FrontendType, TrafficPolicy } from '@weir/proto/weir/bus/v1/config_pb.js';
import { Announcer } from '../../src/announce/announcer.ts';
import { KernelAnnounce } from '../../src/apply/kernel/announce.ts';
import { l2AnnouncementEntry, labelledHostEntry, removal, type ServiceBody, serviceEntry } from '../support/entries.ts';
import { createTestHost, type TestHost } from '../support/netns.ts';

const VIP4 = '198.51.100.50';
const VIP6 = '2001:db8:51::50';
const GROUP = 'ff02::1:ff00:50';
const SERVICE = 'shop.web';
const NAMES = ['a', 'b'] as const;
type Name = (typeof NAMES)[number];
const TIMES = { leaseDurationMs: 2_000, renewDeadlineMs: 800, retryPeriodMs: 250 };
const ANNOUNCEMENT = { loadBalancerIps: true, interfaces: ['^up[0-9]$'], ...TIMES };
const PATIENT_MS = 30_000;

const service = (more: Partial<ServiceBody> = {}): ConfigEntry =>
  serviceEntry({
    id: SERVICE,
    number: 7,
    frontends: [VIP4, VIP6].map((address, i) => ({
      ...{ number: 70 + i, type: FrontendType.LOAD_BALANCER, address, port: 80, protocol: 6 },
    })),
    backends: [],
    ...more,
  });

const eventually = async <T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> => {
  const endMs = Date.now() + PATIENT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > endMs) throw new Error(`${what} did not come in ${PATIENT_MS} ms`);
    await sleep(50);
  }
};

describe('announcement of service addresses', { skip: needKernel(), timeout: 180_000 }, () => {
  let host: TestHost;
  let nats: TestNats;
  let client: string;
  const netns = new Map<Name, string>();
  const macs = new Map<Name, string>();
  const buses = new Map<Name, Bus>();
  const announcers = new Map<Name, Announcer>();
  /** Hosts that are cut off from the bus. */
  const cut = new Set<Name>();
  const bpffsDir = (name: Name): string => join(host.bpffsDir, name);
  const inside = (where: string, ...command: string[]): string => host.run(where, ...command);
  const troubles: string[] = [];
  /** The host's end of its link. */
  const linkOf = (
    where: string,
  ): { readonly address: string; readonly stats64: { readonly rx: { packets: number } } } =>
    JSON.parse(inside(where, 'ip', '-json', '-statistics', 'link', 'show', 'up0'))[0];

  const start = (name: Name, entries: readonly ConfigEntry[]): Announcer => {
    const announcer = new Announcer({
      ...{ host: name, boot: BigInt(Date.now()), isComplete: () => true },
      port: new KernelAnnounce({ bpffsDir: bpffsDir(name), hostNetns: netns.get(name) as string, uplink: 'up0' }),
      bus: () => (cut.has(name) ? undefined : buses.get(name)),
      onTrouble: (what, cause) => troubles.push(`${name}: ${what} ${cause ?? ''}`),
    });
    announcer.reset(entries);
    announcer.start();
    announcers.set(name, announcer);
    return announcer;
  };
  const stop = async (name: Name): Promise<void> => {
    await announcers.get(name)?.stop();
    announcers.delete(name);
  };
  const everything = (name: Name, one = service()): ConfigEntry[] => [
    labelledHostEntry(name, { rack: name }),
    l2AnnouncementEntry('web', ANNOUNCEMENT),
    one,
  ];
  const tell = (...entries: ConfigEntry[]): void => {
    for (const announcer of announcers.values()) for (const entry of entries) announcer.change(entry);
  };
  const stateOf = (name: Name): string | undefined => announcers.get(name)?.status[0]?.state;
  const holder = (): Name | undefined => NAMES.find((name) => stateOf(name) === 'held');
  const waits = (name: Name): Promise<true> =>
    eventually(`${name} to wait`, () => (stateOf(name) === 'waiting' ? true : undefined));
  const other = (name: Name): Name => (name === 'a' ? 'b' : 'a');

  /** What fails is looked at by what came of it. Both hosts are in this process: it goes on meanwhile. */
  const atClient = (...command: string[]): Promise<void> =>
    new Promise((resolve) => {
      execFile('nsenter', [`--net=${client}`, '--', ...command], () => resolve());
    });
  /** Whom the client finds behind an address when it asks anew; undefined: nobody answers. */
  const resolves = async (address: string): Promise<Name | undefined> => {
    await atClient('ip', 'neigh', 'del', address, 'dev', 'eth0');
    await atClient('ping', '-c', '1', '-W', '0.2', address);
    return neighbour(address);
  };
  /** Held is said a moment before the datapath has it. */
  const answers = (name: Name): Promise<true> =>
    eventually(`${name} to answer`, async () =>
      (await resolves(VIP4)) === name && (await resolves(VIP6)) === name ? true : undefined,
    );
  /** Whom it believes to be behind an address, without asking. */
  const neighbour = (address: string): Name | undefined => {
    const mac = / lladdr ([0-9a-f:]+) /.exec(inside(client, 'ip', 'neigh', 'show', address, 'dev', 'eth0'))?.[1];
    return NAMES.find((name) => macs.get(name) === mac);
  };
  const groupsOf = (name: Name): boolean =>
    inside(netns.get(name) as string, 'ip', 'maddr', 'show', 'dev', 'up0').includes(GROUP);

  before(async () => {
    host = await createTestHost();
    mkdirSync(host.bpffsDir, { recursive: true });
    const lan = await host.makeNetns('lan');
    inside(lan, 'ip', 'link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
    inside(lan, 'ip', 'link', 'set', 'br0', 'up');
    const joinLan = async (name: string, dev: string, ip4: string, ip6: string): Promise<string> => {
      const path = await host.makeNetns(name);
      inside(path, 'sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=0');
      inside(lan, 'ip', 'link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', dev, 'netns', path);
      inside(lan, 'ip', 'link', 'set', `to-${name}`, 'master', 'br0', 'up');
      inside(path, 'ip', 'link', 'set', 'lo', 'up');
      inside(path, 'ip', 'address', 'add', `${ip4}/24`, 'dev', dev);
      inside(path, 'ip', 'address', 'add', `${ip6}/64`, 'dev', dev, 'nodad');
      inside(path, 'ip', 'link', 'set', dev, 'up');
      return path;
    };
    for (const [i, name] of NAMES.entries()) {
      const path = await joinLan(name, 'up0', `198.51.100.${i + 1}`, `2001:db8:51::${i + 1}`);
      netns.set(name, path);
      macs.set(name, linkOf(path).address);
      mkdirSync(bpffsDir(name), { recursive: true });
    }
    client = await joinLan('client', 'eth0', '198.51.100.99', '2001:db8:51::99');
    nats = await startTestNats();
    for (const name of NAMES) buses.set(name, await connectBus({ servers: nats.url, name }));
    await ensureStreams((buses.get('a') as Bus).jsm);
  });
  after(async () => {
    for (const name of NAMES) await stop(name);
    for (const bus of buses.values()) await bus.close();
    await nats?.stop();
    for (const name of NAMES) rmSync(bpffsDir(name), { recursive: true, force: true });
    await host?.destroy();
  });

  it('one of two hosts answers, by ARP and NDP, and what is sent to the addresses comes to it', async () => {
    for (const name of NAMES) start(name, everything(name));
    const first = await eventually('a holder', holder);
    await waits(other(first));
    await answers(first);
    for (const address of [VIP4, VIP6]) {
      const before = packetsIn(first);
      assert.equal(await resolves(address), first, address);
      assert.ok(packetsIn(first) > before);
    }
    assert.ok(groupsOf(first));
    assert.ok(!groupsOf(other(first)));
    const lease = (await readLease(buses.get('a') as Bus, SERVICE))?.lease;
    assert.deepEqual(
      [lease?.holder, lease?.addresses, lease?.interfaces, lease?.announcement, lease?.durationMs],
      [first, [VIP4, VIP6], ['up0'], 'web', TIMES.leaseDurationMs],
    );
  });
  const packetsIn = (name: Name): number => linkOf(netns.get(name) as string).stats64.rx.packets;

  it('an agent that ends leaves its host answering, and the next one goes on with the lease', async () => {
    const first = holder() as Name;
    const since = announcers.get(first)?.status[0]?.sinceMs;
    await stop(first);
    assert.equal(await resolves(VIP4), first);
    start(first, everything(first));
    await eventually('the lease again', () => (stateOf(first) === 'held' ? true : undefined));
    assert.equal(announcers.get(first)?.status[0]?.sinceMs, since);
    await waits(other(first));
    assert.equal(await resolves(VIP6), first);
  });

  it('without the bus both stay as they are', async () => {
    const first = holder() as Name;
    for (const name of NAMES) cut.add(name);
    await eventually('the deadline', () => (stateOf(first) === 'unconfirmed' ? true : undefined));
    await sleep(TIMES.leaseDurationMs + TIMES.retryPeriodMs);
    assert.equal(await resolves(VIP4), first);
    await waits(other(first));
    cut.clear();
    // Whoever is faster: it was silent for longer than a lease.
    await eventually('a holder', holder);
  });

  it('a host that is cut off loses the lease; who has it tells the link, which the other host hears', async (t: TestContext) => {
    const first = await eventually('a holder', holder);
    const second = other(first);
    await answers(first);
    cut.add(first);
    const startedMs = Date.now();
    await eventually('another holder', () => (stateOf(second) === 'held' ? true : undefined));
    t.diagnostic(`taken over after ${Date.now() - startedMs} ms, lease ${TIMES.leaseDurationMs} ms`);
    // Nobody asked: the client was told.
    await eventually('the news', () => (neighbour(VIP4) === second && neighbour(VIP6) === second ? true : undefined));
    await answers(second);
    // It believes that it holds it, and is silent all the same.
    assert.notEqual(stateOf(first), 'waiting');
    cut.delete(first);
    await waits(first);
    await eventually(`${first} to leave the groups`, () => (groupsOf(first) ? undefined : true));
  });

  it('an agent that was killed for good loses the lease too', async () => {
    const first = holder() as Name;
    const second = other(first);
    await stop(first);
    await eventually('another holder', () => (stateOf(second) === 'held' ? true : undefined));
    await answers(second);
    start(first, everything(first));
    await waits(first);
    assert.equal(await resolves(VIP6), second);
  });

  it('a conflict is told, and who has the lease speaks again', async () => {
    const first = holder() as Name;
    const before = troubles.length;
    inside(client, 'ip', 'address', 'add', `${VIP4}/32`, 'dev', 'eth0');
    // It asks for somebody with the address as its own.
    await atClient('ping', '-c', '1', '-W', '0.2', '-I', VIP4, '198.51.100.77');
    inside(client, 'ip', 'address', 'del', `${VIP4}/32`, 'dev', 'eth0');
    await eventually('trouble', () => (troubles.length > before ? true : undefined));
    assert.match(
      troubles.at(-1) ?? '',
      new RegExp(`^${first}: another machine speaks for an address of service shop.web`),
    );
    assert.equal(await resolves(VIP4), first);
  });

  it('where a service is only served locally, a host with a backend answers, and gives it up with the last one', async () => {
    const at = (hostId: string) =>
      service({
        externalTrafficPolicy: TrafficPolicy.LOCAL,
        backends: [{ number: 1, address: '10.9.0.1', port: 80, protocol: 6, hostId }],
      });
    for (const name of ['a', 'b', 'a'] as const) {
      tell(at(name));
      await eventually(`${name} holds it`, () => (stateOf(name) === 'held' ? true : undefined));
      await eventually(`${other(name)} has nothing to do with it`, () =>
        announcers.get(other(name))?.status.length === 0 ? true : undefined,
      );
      await answers(name);
    }
  });

  it('an address that goes is not answered for; nothing is left when nothing is announced', async () => {
    const [frontend] = [{ number: 70, type: FrontendType.LOAD_BALANCER, address: VIP4, port: 80, protocol: 6 }];
    tell(service({ frontends: [frontend] }));
    const first = await eventually('a holder', holder);
    await eventually('one address', () => (groupsOf(first) ? undefined : true));
    assert.equal(await resolves(VIP6), undefined);
    assert.equal(await resolves(VIP4), first);
    tell(removal('l2Announcement', 'web'));
    await eventually('the end', () =>
      NAMES.some((name) => existsSync(join(bpffsDir(name), 'announced'))) ? undefined : true,
    );
    assert.equal(await resolves(VIP4), undefined);
    assert.deepEqual(
      troubles.filter((trouble) => !trouble.includes('another machine speaks')),
      [],
    );
  });
});
