// SPDX-License-Identifier: Apache-2.0
/**
 * A host's BGP speaker and a router, a second daemon in a namespace of its own: what comes to the router and what is withdrawn, and
 * what does not end sessions.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConfigEntry } from '@weir/bus';
import { needKernel } from '@weir/loader/testing';
import { FrontendType, TrafficPolicy } from '@weir/proto/weir/bus/v1/config_pb.js';
import { controlCommand } from '../../src/bgp/control.ts';
import { readPrefixes, readSessions } from '../../src/bgp/sessions.ts';
import { BgpSpeaker, type PeerState } from '../../src/bgp/speaker.ts';
import { bgpInstanceEntry, fullHostEntry, removal, type ServiceBody, serviceEntry } from '../support/entries.ts';
import { createTestHost, type TestHost } from '../support/netns.ts';

const BIRD = '/usr/sbin/bird';
const HOST = { ip4: '198.51.100.1', ip6: '2001:db8:51::1', asn: 65_001 };
const ROUTER = { ip4: '198.51.100.2', ip6: '2001:db8:51::2', asn: 65_000 };
const VIP4 = '203.0.113.7';
const VIP6 = '2001:db8:7::7';
const POOLS = ['10.77.3.0/24', 'fd77:0:0:3::/64'];
const SECRET = 'as they agreed';
const PATIENT_MS = 40_000;

const eventually = async <T>(what: string, look: () => T | undefined | Promise<T | undefined>): Promise<T> => {
  const endMs = Date.now() + PATIENT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > endMs) throw new Error(`${what} did not come in ${PATIENT_MS} ms`);
    await sleep(50);
  }
};

const service = (id: string, addresses: readonly string[], more: Partial<ServiceBody> = {}): ConfigEntry =>
  serviceEntry({
    id,
    number: 7,
    frontends: addresses.map((address, i) => ({
      ...{ number: 70 + i, type: FrontendType.LOAD_BALANCER, address, port: 80, protocol: 6 },
    })),
    ...more,
  });

const PEER = {
  ...{ name: 'tor', address: ROUTER.ip4, asn: ROUTER.asn, families: ['ipv4', 'ipv6'] },
  ...{ holdTimeS: 9, keepaliveTimeS: 3, connectRetryS: 1, gracefulRestartS: 60 },
};

describe('BGP', {
  skip: needKernel() || (!existsSync(BIRD) && `${BIRD} is not there: apt-get install bird2`),
  timeout: 180_000,
}, () => {
  let host: TestHost;
  let dir: string;
  let routerCtl: string;
  let binary: string;
  let speaker: BgpSpeaker | undefined;
  const daemonDir = (): string => join(dir, 'h');
  const troubles: string[] = [];

  const instance = (peer: object = {}, more: object = {}): ConfigEntry =>
    bgpInstanceEntry('rack', {
      localAsn: HOST.asn,
      peers: [{ ...PEER, passwordFile: join(dir, 'password'), ...peer }],
      advertisements: [
        { type: 'pod-cidr', communities: ['65001:1'] },
        { type: 'service', addresses: ['load-balancer'], communities: ['65001:2', '65001:2:3', 'no-export'] },
      ],
      ...more,
    });
  let entries: ConfigEntry[] = [];
  const start = (): BgpSpeaker => {
    const one = new BgpSpeaker({
      ...{ host: 'h1', binary, dir: daemonDir(), isComplete: () => true, hostNetns: host.netns },
      onTrouble: (what, cause) => troubles.push(`${what}: ${(cause as Error)?.message}`),
    });
    one.reset(entries);
    one.start();
    speaker = one;
    return one;
  };
  const tell = (...news: ConfigEntry[]): void => {
    for (const entry of news) {
      entries = [...entries.filter(({ subject }) => subject !== entry.subject), entry];
      speaker?.change(entry);
    }
  };
  const peer = (): PeerState | undefined => speaker?.peers[0];
  const established = (): Promise<PeerState> =>
    eventually('the session', () => (peer()?.state === 'established' ? peer() : undefined));
  const atRouter = async (): Promise<string[]> => {
    const { lines } = await controlCommand(routerCtl, 'show route protocol weir table all');
    return readPrefixes(lines).sort();
  };
  const comes = (...prefixes: string[]): Promise<true> =>
    eventually(`${prefixes}`, async () =>
      JSON.stringify(await atRouter()) === JSON.stringify([...prefixes].sort()) ? true : undefined,
    );

  before(async () => {
    host = await createTestHost();
    const router = await host.makeNetns('bgp-router');
    host.run(router, 'ip', 'link', 'set', 'lo', 'up');
    host.run(router, 'sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=0');
    host.run(host.netns, 'sysctl', '-q', '-w', 'net.ipv6.conf.default.accept_dad=0');
    host.run(host.netns, 'ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', router);
    for (const [where, dev, { ip4, ip6 }] of [
      [host.netns, 'up0', HOST],
      [router, 'eth0', ROUTER],
    ] as const) {
      host.run(where, 'ip', 'address', 'add', `${ip4}/24`, 'dev', dev);
      host.run(where, 'ip', 'address', 'add', `${ip6}/64`, 'dev', dev, 'nodad');
      host.run(where, 'ip', 'link', 'set', dev, 'up');
    }
    dir = mkdtempSync(join(tmpdir(), `weir-bgp-${process.pid}-`));
    writeFileSync(join(dir, 'password'), `${SECRET}\n`, { mode: 0o600 });
    binary = join(dir, 'bird');
    writeFileSync(binary, `#!/bin/sh\nexec nsenter --net=${host.netns} -- ${BIRD} "$@"\n`, { mode: 0o755 });
    routerCtl = join(dir, 'router.ctl');
    writeFileSync(
      join(dir, 'router.conf'),
      `log "${join(dir, 'router.log')}" all;
router id 198.51.100.2;
timeformat protocol iso long ms;
protocol device { }
protocol static { ipv4; route 192.0.2.0/24 blackhole; }
protocol bgp weir {
  local ${ROUTER.ip4} as ${ROUTER.asn};
  neighbor ${HOST.ip4} as ${HOST.asn};
  hold time 9; connect retry time 1; connect delay time 1; error wait time 1, 2;
  graceful restart on;
  password "${SECRET}";
  ipv4 { import all; export where source = RTS_STATIC; };
  ipv6 { import all; export none; };
}
`,
    );
    host.run(router, BIRD, '-c', join(dir, 'router.conf'), '-s', routerCtl, '-P', join(dir, 'router.pid'));
    const self = fullHostEntry({ id: 'h1', underlayIp4: HOST.ip4, underlayIp6: HOST.ip6, pools: POOLS });
    entries = [self, instance(), service('shop.web', [VIP4, VIP6]), service('shop.idle', [])];
  });
  after(async () => {
    await speaker?.stop();
    for (const ctl of [routerCtl, join(daemonDir(), 'bird.ctl')]) await controlCommand(ctl, 'down').catch(() => {});
    await host?.destroy();
    rmSync(dir, { recursive: true, force: true });
  });

  it('a router hears of blocks of pools and of addresses, of both families, with communities', async () => {
    start();
    const state = await established();
    assert.deepEqual(
      [state.instance, state.peer, state.address, state.asn, state.localAsn, state.error],
      ['rack', 'tor', ROUTER.ip4, ROUTER.asn, HOST.asn, ''],
    );
    await comes(...POOLS, `${VIP4}/32`, `${VIP6}/128`);
    const { lines } = await controlCommand(routerCtl, 'show route all protocol weir table all');
    const text = lines.join('\n');
    const about = (prefix: string): string =>
      text
        .slice(text.indexOf(prefix))
        .split(/\n(?=\S)/)
        .slice(0, 2)
        .join('\n');
    assert.match(about(POOLS[0] as string), /next_hop: 198\.51\.100\.1\n[\s\S]*community: \(65001,1\)/);
    assert.match(about(`${VIP6}/128`), /next_hop: 2001:db8:51::1/);
    assert.match(about(`${VIP4}/32`), /community: \(65001,2\) \(65535,65281\)[\s\S]*large_community: \(65001, 2, 3\)/);
    // What the router tells stays in the daemon: nobody's route.
    const counts = await eventually('the counts', () => {
      const families = peer()?.families ?? [];
      return families.some(({ received }) => received > 0) ? families : undefined;
    });
    assert.deepEqual(
      counts.map(({ family, received, advertised, prefixes }) => [family, received, advertised, prefixes.length]),
      [
        ['ipv4', 1, 2, 2],
        ['ipv6', 0, 2, 2],
      ],
    );
    assert.ok(!host.run(host.netns, 'ip', 'route').includes('192.0.2.0'));
  });

  it('a service that goes is withdrawn, and so is one served locally whose last backend here goes; the session stays', async () => {
    const { sinceMs } = await established();
    const local = (hostId: string) =>
      service('shop.local', ['203.0.113.9'], {
        externalTrafficPolicy: TrafficPolicy.LOCAL,
        backends: [{ number: 1, address: '10.77.3.5', port: 80, protocol: 6, hostId }],
      });
    const all = [...POOLS, `${VIP4}/32`, `${VIP6}/128`];
    tell(local('h1'));
    await comes(...all, '203.0.113.9/32');
    tell(local('h2'));
    await comes(...all);
    tell(local('h1'));
    await comes(...all, '203.0.113.9/32');
    tell(removal('service', 'shop.local'), removal('service', 'shop.web'));
    await comes(...POOLS);
    tell(service('shop.web', [VIP4, VIP6]));
    await comes(...all);
    assert.equal((await established()).sinceMs, sinceMs);
  });

  it('NET-20 each peer hears what is for it, as the first advertisement says that is for it', async () => {
    const { sinceMs } = await established();
    const other = { ...PEER, name: 'other', address: '198.51.100.77', passwordFile: join(dir, 'password') };
    const services = { type: 'service', addresses: ['load-balancer'] };
    tell(
      instance(
        {},
        {
          peers: [{ ...PEER, passwordFile: join(dir, 'password') }, other],
          advertisements: [
            { type: 'pod-cidr', peers: ['other'] },
            { ...services, communities: ['65001:8'], peers: ['other'] },
            { ...services, communities: ['65001:7'], peers: [PEER.name] },
          ],
        },
      ),
    );
    await comes(`${VIP4}/32`, `${VIP6}/128`);
    await eventually('the communities', async () => {
      const { lines } = await controlCommand(routerCtl, 'show route all protocol weir table all');
      const told = new Set([...lines.join('\n').matchAll(/\(65001,\d\)/g)].map(([one]) => one));
      return [...told].join() === '(65001,7)' ? true : undefined;
    });
    tell(instance());
    await comes(...POOLS, `${VIP4}/32`, `${VIP6}/128`);
    assert.equal((await established()).sinceMs, sinceMs, 'the session has stayed');
  });

  it('NET-20 addresses of an interface come and go with it', async () => {
    const { sinceMs } = await established();
    const lo = (act: 'add' | 'del', ...addresses: string[]): void => {
      for (const address of addresses) host.run(host.netns, 'ip', 'address', act, address, 'dev', 'lo');
    };
    const told = ['192.0.2.61', '2001:db8:61::61'];
    lo('add', ...told.map((address) => `${address}/${address.includes(':') ? 128 : 32}`));
    tell(
      instance(
        {},
        {
          advertisements: [
            { type: 'interface', interface: 'lo' },
            { type: 'interface', interface: 'no' },
          ],
        },
      ),
    );
    await comes('192.0.2.61/32', '2001:db8:61::61/128');
    lo('add', '198.18.61.1/24');
    await comes('192.0.2.61/32', '198.18.61.1/32', '2001:db8:61::61/128');
    lo('del', '192.0.2.61/32', '198.18.61.1/24', '2001:db8:61::61/128');
    await comes();
    tell(instance());
    await comes(...POOLS, `${VIP4}/32`, `${VIP6}/128`);
    assert.equal((await established()).sinceMs, sinceMs, 'the session has stayed');
  });

  it('an agent that ends and starts again withdraws nothing', async () => {
    const { sinceMs } = await established();
    await speaker?.stop();
    const before = await atRouter();
    start();
    await established();
    assert.deepEqual(await atRouter(), before);
    assert.equal(peer()?.sinceMs, sinceMs);
    assert.equal(before.length, 4);
  });

  it('a daemon that dies is started again, and the router keeps its routes meanwhile', async () => {
    const { sinceMs } = await established();
    const pid = Number(readFileSync(join(daemonDir(), 'bird.pid'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    const seen = new Set<number>();
    await eventually('a later session', async () => {
      seen.add((await atRouter()).length);
      return (peer()?.sinceMs ?? 0) > sinceMs && peer()?.state === 'established' ? true : undefined;
    });
    await comes(...POOLS, `${VIP4}/32`, `${VIP6}/128`);
    assert.deepEqual([...seen], [4]);
  });

  it('a password that cannot be read is told; what was before goes on', async () => {
    const { sinceMs } = await established();
    tell(instance({ passwordFile: '/nowhere/password' }));
    await eventually('the reason', () => (speaker?.failure.includes('/nowhere/password') ? true : undefined));
    assert.equal((await established()).sinceMs, sinceMs);
    assert.match(troubles.at(-1) ?? '', /nowhere/);
    tell(instance());
    await eventually('its end', () => (speaker?.failure === '' ? true : undefined));
    assert.equal((await established()).sinceMs, sinceMs);
  });

  it('without an instance for this host the sessions end and the daemon goes', async () => {
    tell(instance({}, { hosts: { matchLabels: { rack: 'r9' } } }));
    await comes();
    await eventually('its end', () => (existsSync(daemonDir()) ? undefined : true));
    assert.deepEqual(speaker?.peers, []);
    const router = readSessions((await controlCommand(routerCtl, 'show protocols all')).lines).get('weir');
    assert.notEqual(router?.state, 'established');
  });
});
