// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads and a world that does not know their addresses: real programs on a real uplink, real sockets. Behind the
 * world's router is a far server, over a link that carries less.
 *
 *     workloads 10.87.0.0/24 -- host 198.51.100.1 (up0) -- router 198.51.100.2 -- far 203.0.113.10
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { weir_identity } from '@weir/bpf';
import { getSysctl, openNetlink, setSysctl, tcxSupported } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { cidrOfAddress, parseIp } from '@weir/net';
import { HostDatapath } from '../../src/apply/host.ts';
import { type Datapath, openDatapath } from '../../src/apply/kernel/datapath.ts';
import type { Desired } from '../../src/plan/desired.ts';
import { NO_ENCRYPTION } from '../../src/plan/encryption.ts';
import { Ipcache, prefixText } from '../../src/plan/ipcache.ts';
import type { Bandwidth, DesiredWorkload } from '../../src/plan/model.ts';
import { hostMac, linkName, workloadMac } from '../../src/plan/names.ts';
import { NO_OVERLAY } from '../../src/plan/overlay.ts';
import { limited } from '../../src/plan/sending.ts';
import type { DesiredUplinks } from '../../src/plan/uplinks.ts';
import { changeAcceleration } from '../support/acceleration.ts';
import { nat64Steps } from '../support/nat64-steps.ts';
import { createTestHost, leftovers, type Resident, type TestHost } from '../support/netns.ts';
import { policyOf } from '../support/policies.ts';

const HOST = { ip4: '198.51.100.1', ip6: '2001:db8:100::1' };
const ROUTER = { ip4: '198.51.100.2', ip6: '2001:db8:100::2' };
const FAR = { ip4: '203.0.113.10', ip6: '2001:db8:200::10' };
const PORT = 7000;
const RANGE = { low: 40_000, high: 49_999 };
const FAMILIES = ['ip4', 'ip6'] as const;
const WORKLOADS = 6;
const FAR_MTU = 1300;

const PEOPLE = Array.from({ length: WORKLOADS }, (_, i) => ({
  id: `prod.w${i}`,
  ip4: `10.87.0.${10 + i}`,
  ip6: `fd87::${10 + i}`,
}));

const MASQUERADE: DesiredUplinks = {
  interfaces: [],
  masquerade4: true,
  masquerade6: true,
  prefer: [],
  nat64: undefined,
  unmasqueraded: new Set(['10.87.0.0/24', 'fd87::/64']),
  vlans: undefined,
  prefilter: undefined,
};

describe('uplinks of the real kernel', { skip: needKernel(), timeout: 300_000 }, () => {
  let host: TestHost;
  let router: string;
  let far: Resident;
  let datapath: Datapath;
  let agent: HostDatapath;
  let netnsIds: Record<string, string> = {};
  let uplinks: DesiredUplinks | undefined;
  let limit: Bandwidth | undefined;
  const netns: Record<string, string> = {};
  const residents: Resident[] = [];
  const ipcache = new Ipcache();
  const client = (i = 0): Resident => residents[i] as Resident;

  const desired = (): Desired => ({
    workloads: new Map(
      PEOPLE.map(({ id, ip4, ip6 }, i): [string, DesiredWorkload] => {
        const wiring = {
          ...{ workloadId: id, ifname: linkName(id), netns: netns[id] as string, cgroup: '', ip4, ip6 },
          ...{ mac: workloadMac(id), hostMac: hostMac(id) },
        };
        const bandwidth = i === 0 ? limit : undefined;
        const policy = limited(policyOf([], false, false), bandwidth);
        return [id, { id, localId: i + 1, identity: 1001, policy, bandwidth, waiting: '', message: '', wiring }];
      }),
    ),
    cidrs: new Map(),
    routes: new Map(),
    uplinks,
    overlay: NO_OVERLAY,
    ...{ encryption: NO_ENCRYPTION, encryptedPools: [] },
    identities: new Set(),
    errors: [],
  });

  const start = async (): Promise<void> => {
    datapath = await openDatapath({
      ...{ bpffsDir: host.bpffsDir, hostNetns: host.netns, uplink: 'up0', natPorts: RANGE },
      ...{ maxConntrack: 16_384, maxNat: 16_384, ringBytes: 65_536 },
    });
    agent = new HostDatapath({ kernel: datapath, netnsIds, onTrouble: (what, cause) => console.error(what, cause) });
    await agent.load();
  };
  const apply = async (change?: Partial<DesiredUplinks> | null): Promise<void> => {
    if (change !== undefined) uplinks = change === null ? undefined : { ...MASQUERADE, ...change };
    await agent.adopt(desired());
    await agent.wire(desired());
    netnsIds = agent.takeNetnsIds() ?? netnsIds;
    const delta = ipcache.delta();
    const { failed, uplinkFailures } = await agent.apply(desired(), delta);
    ipcache.written(delta);
    assert.equal(failed.size, 0);
    assert.deepEqual(uplinkFailures, []);
  };
  /** Runs a program that may fail; what it wrote. */
  const output = (where: string, ...command: string[]): string => {
    try {
      return execFileSync('nsenter', [`--net=${where}`, '--', ...command], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    } catch (error) {
      const { stdout, stderr } = error as { stdout?: string; stderr?: string };
      return `${stdout}${stderr}`;
    }
  };
  /** As tc knows them: without links. */
  const filtersOn = (ifname: string): number =>
    ['ingress', 'egress'].filter((side) =>
      output(host.netns, 'tc', 'filter', 'show', 'dev', ifname, side).includes('direct-action'),
    ).length;
  const addressOf = (seen: string): string => seen.split(' ')[0] ?? '';

  const join2 = async (left: string, name: string, right: string, ips: readonly [string, string, string, string]) => {
    const [near, away] = [openNetlink(left), openNetlink(right)];
    const veth = await near.addVeth({ name, peer: 'eth0', peerNetns: right });
    const eth0 = await away.linkByName('eth0');
    if (!eth0) throw new Error('a veth has two ends');
    for (const ip of ips.slice(0, 2)) await near.addAddress(veth.ifindex, ip, { nodad: true });
    for (const ip of ips.slice(2)) await away.addAddress(eth0.ifindex, ip, { nodad: true });
    await near.setUp(veth.ifindex);
    await away.setUp(1);
    await away.setUp(eth0.ifindex);
    near.close();
    away.close();
  };

  before(async () => {
    host = await createTestHost({ ownBpffs: true });
    router = await host.makeNetns('router');
    const farNetns = await host.makeNetns('far');
    await join2(host.netns, 'up0', router, [
      `${HOST.ip4}/24`,
      `${HOST.ip6}/64`,
      `${ROUTER.ip4}/24`,
      `${ROUTER.ip6}/64`,
    ]);
    await join2(router, 'far0', farNetns, ['203.0.113.1/24', '2001:db8:200::1/64', `${FAR.ip4}/24`, `${FAR.ip6}/64`]);
    for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) await setSysctl(router, key, '1');
    const [hostLinks, farLinks] = [host.netns, farNetns].map((path) => openNetlink(path));
    await hostLinks?.replaceRoute({ dst: '0.0.0.0/0', via: ROUTER.ip4 });
    await hostLinks?.replaceRoute({ dst: '::/0', via: ROUTER.ip6 });
    await farLinks?.replaceRoute({ dst: '0.0.0.0/0', via: '203.0.113.1' });
    await farLinks?.replaceRoute({ dst: '::/0', via: '2001:db8:200::1' });
    for (const links of [hostLinks, farLinks]) links?.close();
    for (const ip of [FAR.ip4, FAR.ip6])
      host.run(router, 'ip', 'route', 'add', ip, 'dev', 'far0', 'mtu', 'lock', String(FAR_MTU));
    far = await host.resident(farNetns);
    await far.ask({ op: 'serve', port: PORT });
    for (const { id, ip4, ip6 } of PEOPLE) {
      netns[id] = await host.makeNetns(id);
      residents.push(await host.resident(netns[id] as string));
      for (const ip of [ip4, ip6]) {
        const { addr, bits128 } = cidrOfAddress(parseIp(ip));
        ipcache.put(prefixText(addr, bits128), id, 1, 1n, { identity: 1001, host4: 0 });
      }
    }
    for (const ip of [HOST.ip4, HOST.ip6]) {
      const { addr, bits128 } = cidrOfAddress(parseIp(ip));
      ipcache.put(prefixText(addr, bits128), 'own', 3, 1n, { identity: weir_identity.IDENTITY_HOST, host4: 0 });
    }
    await start();
    await apply();
  });

  after(async () => {
    datapath.close();
    await host.destroy();
    assert.deepEqual(leftovers(), []);
  });

  const seen = (family: (typeof FAMILIES)[number], kind: 'tcp' | 'udp', bytes = 1): Promise<string> =>
    client().ask({ op: 'seen', kind, host: FAR[family], port: PORT, bytes });

  it('are left alone until something is wanted of them', async () => {
    assert.equal(await seen('ip4', 'tcp'), 'timeout');
    assert.ok(!existsSync(join(host.bpffsDir, 'uplinks')));
    assert.deepEqual(datapath.uplinks.interfaces, []);
    assert.equal(datapath.uplinks.nat, undefined);
  });

  for (const family of FAMILIES) {
    it(`${family}: the world sees the host, by TCP, UDP and ping`, async () => {
      await apply({});
      for (const kind of ['tcp', 'udp'] as const) {
        const [address, port] = (await seen(family, kind)).split(' ');
        assert.equal(address, HOST[family], kind);
        assert.ok(Number(port) >= RANGE.low && Number(port) <= RANGE.high, `${kind}: port ${port}`);
      }
      assert.equal(await client().ask({ op: 'ping', host: FAR[family] }), 'ok');
      // and the host itself as before
      host.run(host.netns, 'ping', '-n', '-c', '1', '-W', '1', FAR[family]);
    });

    it(`${family}: fragments follow the first, there and back`, async () => {
      // The first time the way's size is learnt.
      await seen(family, 'udp', 5000);
      assert.equal(addressOf(await seen(family, 'udp', 5000)), HOST[family]);
    });

    it(`${family}: errors reach who caused them`, async () => {
      assert.equal(await client().ask({ op: 'udp', host: FAR[family], port: 9 }), 'ECONNREFUSED');
      assert.equal(await client().ask({ op: 'tcp', host: FAR[family], port: 9 }), 'refused');
      const inside = netns[PEOPLE[0]?.id ?? ''] as string;
      // the host is the first hop, the router the second
      const expired = output(inside, 'ping', '-n', '-c', '1', '-W', '2', '-t', '2', FAR[family]);
      assert.match(
        expired,
        new RegExp(`From ${family === 'ip4' ? ROUTER.ip4 : ROUTER.ip6}.*(Time to live exceeded|Hop limit)`),
      );
    });

    it(`${family}: a large transfer, over a way that carries less than the first link`, async () => {
      const bytes = 4 << 20;
      const answer = await client().ask({ op: 'transfer', host: FAR[family], port: PORT, bytes });
      assert.match(answer, new RegExp(`^${bytes} `));
      const inside = netns[PEOPLE[0]?.id ?? ''] as string;
      assert.match(
        output(inside, 'ping', '-n', '-c', '1', '-W', '1', '-M', 'do', '-s', '1400', FAR[family]),
        /[Mm]essage too long|Packet too big|Frag needed/,
      );
    });
  }

  it('thousands of connections of many workloads with the same source ports', async () => {
    const count = 350;
    const all = await Promise.all(
      residents.map((resident) => resident.ask({ op: 'burst', host: FAR.ip4, port: PORT, first: RANGE.low, count })),
    );
    const ports = all.flatMap((text) => JSON.parse(text) as string[]);
    const facts = await datapath.uplinks.nat?.read(10);
    assert.equal(ports.length, count * WORKLOADS);
    const unanswered = ports.filter((answer) => answer === 'timeout').length;
    assert.equal(unanswered, 0, `unanswered of ${ports.length}, by tries for a port ${facts?.retries.join(' ')}`);
    assert.deepEqual([...new Set(ports.map(addressOf))], [HOST.ip4]);
    assert.equal(new Set(ports).size, count * WORKLOADS, 'no two share a port');
    assert.ok((facts?.entries ?? 0) >= 0 && (facts?.retries.slice(1).reduce((sum, n) => sum + n, 0) ?? 0) > 100);
    assert.equal(facts?.mappings.length, 10);
  });

  it('a destination that is excepted sees the workload', async () => {
    await apply({ unmasqueraded: new Set([...MASQUERADE.unmasqueraded, '203.0.113.0/24']) });
    const routes = openNetlink(router);
    await routes.replaceRoute({ dst: '10.87.0.0/24', via: HOST.ip4 });
    assert.equal(addressOf(await seen('ip4', 'tcp')), PEOPLE[0]?.ip4);
    assert.equal(addressOf(await seen('ip6', 'tcp')), HOST.ip6);
    await routes.delRoute({ dst: '10.87.0.0/24', via: HOST.ip4 });
    routes.close();
    await apply({});
    assert.equal(addressOf(await seen('ip4', 'tcp')), HOST.ip4);
  });

  it('the agent goes and another comes: connections go on', async () => {
    assert.equal(await client().ask({ op: 'open', host: FAR.ip4, port: PORT }), 'ok');
    datapath.close();
    assert.equal(await client().ask({ op: 'say', timeoutMs: 2000 }), 'ok');
    assert.equal(addressOf(await seen('ip6', 'udp')), HOST.ip6);
    await start();
    assert.equal(await client().ask({ op: 'say', timeoutMs: 2000 }), 'ok');
    await apply();
    assert.equal(await client().ask({ op: 'say', timeoutMs: 2000 }), 'ok');
    assert.deepEqual(await agent.inspect(), []);
  });

  it('an uplink that is none any more while no agent is there is given back by the next', async () => {
    const restart = async (change: Partial<DesiredUplinks> | null): Promise<void> => {
      datapath.close();
      await start();
      await apply(change);
    };
    const guarded = (await tcxSupported()) ? 0 : 2;
    assert.equal(filtersOn('up0'), guarded);
    await restart({ interfaces: ['uplink0'] });
    assert.deepEqual([filtersOn('up0'), filtersOn('uplink0')], [0, guarded]);
    assert.equal(await seen('ip4', 'tcp'), 'timeout');
    await restart(null);
    assert.deepEqual([filtersOn('up0'), filtersOn('uplink0')], [0, 0]);
    await restart({});
    assert.equal(addressOf(await seen('ip4', 'tcp')), HOST.ip4);
  });

  it('what somebody takes away is put back', async () => {
    rmSync(join(host.bpffsDir, 'uplink-links'), { recursive: true });
    rmSync(join(host.bpffsDir, 'nat_in'));
    const problems = await agent.inspect();
    // two links and a map; filters have no pins
    assert.equal(problems.length, (await tcxSupported()) ? 3 : 1, problems.join('; '));
    assert.deepEqual(await agent.inspect(), []);
    assert.equal(addressOf(await seen('ip4', 'tcp')), HOST.ip4);
    assert.match(await getSysctl(host.netns, 'net/ipv4/ip_local_reserved_ports'), /40000-49999/);
  });

  it('a workload that asks who its gateway is gets an answer, in both families', async () => {
    const inside = netns[PEOPLE[0]?.id ?? ''] as string;
    for (const [gateway, away] of [
      ['169.254.1.1', FAR.ip4],
      ['fe80::1', FAR.ip6],
    ] as const) {
      host.run(inside, 'ip', 'neigh', 'del', gateway, 'dev', 'eth0');
      assert.equal(await client().ask({ op: 'ping', host: away }), 'ok');
      const known = host.run(inside, 'ip', 'neigh', 'show', gateway, 'dev', 'eth0');
      assert.match(known, new RegExp(`lladdr ${hostMac(PEOPLE[0]?.id ?? '')}.* (REACHABLE|DELAY|STALE)`));
    }
  });

  it('the prefilter drops sources at XDP, and is changed live', async () => {
    await apply({ prefilter: new Set(['203.0.113.0/24']) });
    const first = await datapath.uplinks.prefilter();
    assert.deepEqual(first?.cidrs, ['203.0.113.0/24']);
    assert.equal(first?.interfaces[0]?.mode, 'native');
    assert.equal(await seen('ip4', 'udp'), 'timeout');
    assert.equal(addressOf(await seen('ip6', 'udp')), HOST.ip6);
    await apply({ prefilter: new Set([`${FAR.ip6}/128`]) });
    assert.equal(addressOf(await seen('ip4', 'udp')), HOST.ip4);
    assert.equal(await seen('ip6', 'udp'), 'timeout');
    assert.equal((await datapath.uplinks.prefilter())?.revision, (first?.revision ?? 0n) + 1n);
    await apply({});
    assert.equal(addressOf(await seen('ip6', 'udp')), HOST.ip6);
    assert.equal(await datapath.uplinks.prefilter(), undefined);
  });

  it('LB-05 acceleration: in the driver or in the generic way, with the prefilter or without, changed in place', () =>
    changeAcceleration(datapath, apply, () => seen('ip4', 'udp').then(addressOf)));

  it('a limited workload sends no faster than it may, and all of it arrives', async () => {
    const bytesPerSecond = 1_000_000;
    const bytes = 1 << 20;
    limit = { egress: bytesPerSecond, ingress: 0 };
    await apply();
    const [came, ms] = (await client().ask({ op: 'transfer', host: FAR.ip4, port: PORT, bytes }))
      .split(' ')
      .map(Number);
    assert.equal(came, bytes);
    // Beyond the rate: what may go at once, 50 ms, and one GSO packet.
    const possible = (bytesPerSecond * ((ms ?? 0) + 50)) / 1000 + 65_536;
    assert.ok(bytes <= possible, `${bytes} bytes in ${ms} ms`);
    limit = undefined;
    await apply();
    assert.equal((await datapath.object.map('bandwidths').lookupAll()).count, 0);
  });

  it('an interface that is not there is said, and nothing else breaks', async () => {
    uplinks = { ...MASQUERADE, interfaces: ['none+'] };
    const { uplinkFailures } = await agent.apply(desired(), { puts: [], deletes: [], rejudge: false });
    assert.match(uplinkFailures.join(), /no interface of none\+/);
    assert.equal(await seen('ip4', 'tcp'), 'timeout');
    await apply({ interfaces: ['up+'] });
    assert.equal(addressOf(await seen('ip4', 'tcp')), HOST.ip4);
  });

  describe('NAT64', () =>
    nat64Steps(() => {
      const [first, second] = residents as [Resident, Resident];
      const restart = async (): Promise<void> => {
        datapath.close();
        await start();
        await apply();
      };
      const inside = netns[PEOPLE[0]?.id ?? ''] as string;
      const ping = (...words: string[]): string => output(inside, 'ping', '-n', '-c', '1', '-W', '2', ...words);
      const run = (...words: string[]): string => host.run(host.netns, ...words);
      return { first, second, port: PORT, range: RANGE, address: HOST.ip4, apply, restart, ping, run, agent };
    }));

  it('nothing is left when nothing is wanted any more', async () => {
    await apply(null);
    assert.equal(await seen('ip4', 'tcp'), 'timeout');
    for (const name of ['uplinks', 'nat_in', 'uplink-links', 'xdp-links', 'prefilter'])
      assert.ok(!existsSync(join(host.bpffsDir, name)), name);
    assert.equal((await getSysctl(host.netns, 'net/ipv4/ip_local_reserved_ports')).trim(), '');
  });
});
