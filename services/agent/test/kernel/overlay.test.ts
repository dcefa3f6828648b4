// SPDX-License-Identifier: Apache-2.0
/**
 * Three hosts in two subnets, in each way of routing and over each underlay: who may talk to whom and under which
 * identities, what changing over does to what is open, sizes, and what others may not pretend.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { deleteNetns } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { Routing, Underlay } from '@weir/proto/weir/bus/v1/config_pb.js';
import { identityEntry, knp, networkEntry, policyEntry, removal } from '../support/entries.ts';
import { inside, type Joined, type JoinedHost, joinHosts, STEP_MS } from '../support/joined-hosts.ts';
import { leftovers } from '../support/netns.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const IDENTITY = { web: 1001, db: 1002, evil: 1003 } as const;
const place = (app: keyof typeof IDENTITY, host: number, n: number) => ({
  id: `prod.${app}${host}`,
  ip4: `10.9${host}.0.${n}`,
  ip6: `fd9${host}::${n}`,
  identity: IDENTITY[app],
});
const WEB = place('web', 1, 2);
const DB = place('db', 2, 2);
const EVIL = place('evil', 3, 2);
const FAR_WEB = place('web', 3, 3);
/** Only the app `web` reaches the app `db`: TCP and UDP 80, and echo. */
const ONLY_WEB = policyEntry(
  knp('db', 'db', {
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
  }),
);
const PATIENT_MS = 5_000;
const SHORT_MS = 700;

describe('hosts joined by tunnel', { skip: needKernel(), timeout: 280_000 }, () => {
  let net: Joined;
  let h1: JoinedHost;
  let h2: JoinedHost;
  let h3: JoinedHost;
  const residentOf = (id: string) => {
    const found = net.hosts.flatMap(({ workloads }) => workloads).find((workload) => workload.id === id);
    if (!found) throw new Error(`no workload ${id}`);
    return found.resident;
  };
  const everything = () => [
    ...Object.entries(IDENTITY).map(([app, identity]) => identityEntry(identity, `k8s:app=${app}`, PROD)),
    ...net.hosts.map(({ document }) => document),
    ...net.hosts.flatMap(({ workloads }) => workloads.map(({ document }) => document)),
    ONLY_WEB,
  ];
  const tellAll = async (routing: Routing, underlay = Underlay.UNSPECIFIED): Promise<void> => {
    const document = networkEntry({ routing, underlay });
    for (const host of net.hosts) await host.tell(document);
  };
  /** All hosts at once, so much later. */
  const later = async (ms: number): Promise<void> => {
    for (const host of net.hosts) {
      host.nowMs += ms;
      await host.pass();
    }
  };
  const changeTo = async (routing: Routing, underlay?: Underlay): Promise<void> => {
    await tellAll(routing, underlay);
    await later(STEP_MS);
    await later(STEP_MS);
  };
  const tcp = (from: string, host: string, timeoutMs = PATIENT_MS) =>
    residentOf(from).ask({ op: 'tcp', host, port: 80, timeoutMs });

  /** TCP, UDP and echo, fragments too, of both families; who may and who may not; both ends know who the other is. */
  const allIsRight = async (): Promise<void> => {
    for (const family of ['ip4', 'ip6'] as const) {
      for (const from of [WEB.id, FAR_WEB.id]) {
        assert.equal(await tcp(from, DB[family]), 'ok', `TCP ${from} ${family}`);
        const udp = await residentOf(from).ask({ op: 'udp', host: DB[family], port: 80, timeoutMs: PATIENT_MS });
        assert.equal(udp, 'ok', `UDP ${from} ${family}`);
        inside(from, 'ping', '-n', '-c', '1', '-W', '5', '-s', '4000', DB[family]);
      }
      assert.equal(await tcp(EVIL.id, DB[family], SHORT_MS), 'timeout');
      assert.equal(await tcp(DB.id, EVIL[family]), 'ok');
      assert.deepEqual(await h2.judged(DB[family], WEB[family]), [`${DB.identity} ${WEB.identity}`]);
      assert.deepEqual(await h1.judged(WEB[family], DB[family]), [`${WEB.identity} ${DB.identity}`]);
      assert.deepEqual(await h3.judged(FAR_WEB[family], DB[family]), [`${WEB.identity} ${DB.identity}`]);
    }
  };
  const mtuOf = (id: string): number => Number(/mtu (\d+)/.exec(inside(id, 'ip', 'link', 'show', 'eth0'))?.[1]);
  const hasDevice = (host: JoinedHost): boolean => inside(host.name, 'ip', '-o', 'link').includes('weir_vxlan');

  /** A hundred a second, until `count` or the end. */
  const pinging = (from: string, to: string, count?: number) => {
    const ping = spawn('nsenter', [
      ...[`--net=/run/netns/weir-agent-${process.pid}-${from}`, '--', 'ping', '-n', '-i', '0.01', '-W', '5'],
      ...(count === undefined ? [] : ['-c', String(count)]),
      to,
    ]);
    let output = '';
    ping.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const closed = new Promise((resolve) => ping.once('close', resolve));
    return {
      isOver: () => ping.exitCode !== null,
      /** Its closing lines. */
      end: async (): Promise<string> => {
        if (count === undefined) ping.kill('SIGINT');
        await closed;
        return output;
      },
    };
  };

  const deviceOf = (host: JoinedHost): string =>
    inside(host.name, 'ip', '-o', 'link', 'show', 'weir_vxlan').split(':')[0] as string;

  before(async () => {
    net = await joinHosts([[WEB], [DB], [EVIL, FAR_WEB]]);
    [h1, h2, h3] = net.hosts;
    for (const host of net.hosts)
      for (const { resident } of host.workloads) await resident.ask({ op: 'listen', port: 80 });
    for (const host of net.hosts) await host.start(everything());
  });
  after(async () => {
    for (const host of net?.hosts ?? []) await host.stop();
    await net?.destroy();
    assert.deepEqual(leftovers(), []);
  });

  it('natively nothing is there of a tunnel, and h3 is out of reach behind its router', async () => {
    assert.equal(await tcp(WEB.id, DB.ip4), 'ok');
    assert.equal(hasDevice(h1), false);
    assert.equal(mtuOf(WEB.id), 1500);
  });

  it('a connection that is open stays open when the way changes, there and back', async () => {
    assert.equal(await residentOf(WEB.id).ask({ op: 'open', host: DB.ip4, port: 80 }), 'ok');
    const stillOpen = async (when: string): Promise<void> =>
      assert.equal(await residentOf(WEB.id).ask({ op: 'say', timeoutMs: PATIENT_MS }), 'ok', when);
    for (const routing of [Routing.TUNNEL, Routing.NATIVE, Routing.TUNNEL]) {
      // one host after the other hears of it
      for (const host of net.hosts) {
        await host.tell(networkEntry({ routing }));
        await stillOpen(`${Routing[routing]}: ${host.name} was told`);
      }
      for (const step of [1, 2]) {
        for (const host of net.hosts) {
          host.nowMs += STEP_MS;
          await host.pass();
          await stillOpen(`${Routing[routing]}: step ${step} of ${host.name}`);
        }
      }
      assert.equal(hasDevice(h1), routing === Routing.TUNNEL);
    }
  });

  for (const [underlay, mtu] of [
    [Underlay.IPV4, 1450],
    [Underlay.IPV6, 1430],
  ] as const) {
    it(`tunnel over ${Underlay[underlay]}: policy and identities are right, packets fit`, async () => {
      await changeTo(Routing.TUNNEL, underlay);
      assert.equal(mtuOf(WEB.id), mtu);
      await allIsRight();
    });
  }

  it('hybrid: direct on one subnet, by tunnel through the router', async () => {
    await changeTo(Routing.HYBRID, Underlay.IPV4);
    await allIsRight();
    const routes = inside('h1', 'ip', '-4', 'route', 'show', 'proto', '87');
    assert.match(routes, new RegExp(`10\\.92\\.0\\.0/24 via ${h2.underlay4.replaceAll('.', '\\.')}`));
    assert.match(routes, /10\.93\.0\.0\/24 dev weir_vxlan/);
  });

  it('a host reaches workloads elsewhere as remote-node, and they reach it', async () => {
    await changeTo(Routing.TUNNEL, Underlay.IPV4);
    inside('h1', 'ping', '-n', '-c', '1', '-W', '5', EVIL.ip4);
    inside('h1', 'ping', '-n', '-c', '1', '-W', '5', EVIL.ip6);
    assert.deepEqual(await h3.judged(EVIL.ip4, h1.underlay4), [`${EVIL.identity} 6`]);
    inside(EVIL.id, 'ping', '-n', '-c', '1', '-W', '5', h1.underlay4);
    assert.throws(() => inside('h1', 'ping', '-n', '-c', '1', '-W', '1', DB.ip4), 'policy names no host');
  });

  it('too long with "do not fragment": an error that quotes the packet, with the size that fits', async () => {
    inside(WEB.id, 'ip', 'link', 'set', 'eth0', 'mtu', '1500');
    const sized = (to: string, bytes: number): string => {
      try {
        return inside(WEB.id, 'ping', '-n', '-c', '1', '-W', '3', '-M', 'do', '-s', String(bytes), to);
      } catch (error) {
        return String((error as { stdout?: string }).stdout);
      }
    };
    // what fits passes to the byte: 28 bytes of IPv4 and ICMP headers, 48 of IPv6's
    assert.match(sized(DB.ip4, 1450 - 28), /1 received/);
    assert.match(sized(DB.ip4, 1450 - 27), /Frag needed and DF set \(mtu = 1450\)/);
    assert.match(sized(DB.ip6, 1450 - 48), /1 received/);
    assert.match(sized(DB.ip6, 1450 - 47), /Packet too big: mtu[= ]+1450/);
    // the socket has learned it: a connection is cut to fit
    assert.equal(await tcp(WEB.id, DB.ip4), 'ok');
    inside(WEB.id, 'ip', 'route', 'flush', 'cache');
    inside(WEB.id, 'ip', 'link', 'set', 'eth0', 'mtu', '1450');
  });

  it('from the underlay with the address of a workload that comes by tunnel', async () => {
    const before = await h2.dropped('DROP_INVALID_SOURCE_IP');
    inside('router', 'ip', 'addr', 'add', `${WEB.ip4}/32`, 'dev', 'lo');
    inside('router', 'ip', 'route', 'add', `${DB.ip4}/32`, 'via', h2.underlay4);
    try {
      assert.throws(() => inside('router', 'ping', '-n', '-c', '2', '-W', '1', '-I', WEB.ip4, DB.ip4));
    } finally {
      inside('router', 'ip', 'route', 'del', `${DB.ip4}/32`);
      inside('router', 'ip', 'addr', 'del', `${WEB.ip4}/32`, 'dev', 'lo');
    }
    assert.ok((await h2.dropped('DROP_INVALID_SOURCE_IP')) > before, 'refused with 132');
  });

  it('no packet is lost while a third host leaves and joins', async (t) => {
    const packets = 400;
    const ping = pinging(WEB.id, DB.ip4, packets);
    let rounds = 0;
    while (!ping.isOver()) {
      for (const host of [h1, h2]) {
        await host.tell(removal('host', 'h3'), ...h3.workloads.map(({ id }) => removal('workload', id)));
      }
      for (const host of [h1, h2]) await host.tell(h3.document, ...h3.workloads.map(({ document }) => document));
      rounds++;
    }
    const output = await ping.end();
    assert.match(output, new RegExp(`${packets} packets transmitted, ${packets} received, 0% packet loss`));
    assert.ok(rounds > 1);
    t.diagnostic(`${packets} packets, none lost while a host left and joined ${rounds} times`);
  });

  it('a device that somebody removed is seen and put back; a restart changes nothing', async () => {
    inside('h1', 'ip', 'link', 'del', 'weir_vxlan');
    assert.deepEqual(await h1.host.inspect(), ['the tunnel device weir_vxlan was removed']);
    await h1.pass();
    assert.equal(await tcp(WEB.id, DB.ip6), 'ok');
    assert.deepEqual(await h1.host.inspect(), []);
    const device = deviceOf(h1);
    await h1.stop();
    assert.equal(await tcp(WEB.id, DB.ip4), 'ok', 'without an agent');
    await h1.start([...everything(), networkEntry({ routing: Routing.TUNNEL, underlay: Underlay.IPV4 })]);
    assert.equal(deviceOf(h1), device);
    assert.equal(await tcp(WEB.id, DB.ip4), 'ok');
  });

  it('a version whose maps have another shape takes over when they are filled: nothing is closed meanwhile', async () => {
    const steps: string[] = [];
    const [allowed, forbidden] = [pinging(WEB.id, DB.ip4), pinging(EVIL.id, DB.ip4)];
    await h2.stop();
    const document = networkEntry({ routing: Routing.TUNNEL, underlay: Underlay.IPV4 });
    await h2.start([...everything(), document], {
      maxIpcache: 2_048,
      reach: async (step) => {
        steps.push(step);
        assert.equal(await tcp(WEB.id, DB.ip4), 'ok', `into it: ${step}`);
        assert.equal(await tcp(DB.id, EVIL.ip6), 'ok', `out of it: ${step}`);
      },
    });
    assert.match(await forbidden.end(), / 0 received/);
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(await allowed.end()) ?? [];
    // The last one may be on its way.
    assert.ok(Number(received) > 0 && Number(sent) - Number(received) <= 1, `${received} of ${sent} answered`);
    assert.ok(steps.includes('apply.begun') && steps.includes('apply.routes-written'), steps.join());
    assert.deepEqual(await h2.host.inspect(), [], 'the programs are those of the new version');
    await allIsRight();
  });

  it('back to native: no device, no route through it, the whole MTU', async () => {
    await changeTo(Routing.NATIVE);
    assert.equal(hasDevice(h1), false);
    assert.equal(mtuOf(WEB.id), 1500);
    assert.equal(await tcp(WEB.id, DB.ip4), 'ok');
  });

  it('a workload whose namespace has lost its path holds up nobody else when sizes change', async () => {
    await deleteNetns(`/run/netns/weir-agent-${process.pid}-${FAR_WEB.id}`);
    await changeTo(Routing.TUNNEL, Underlay.IPV4);
    assert.equal(mtuOf(EVIL.id), 1450);
    assert.equal(await tcp(DB.id, EVIL.ip4), 'ok');
  });
});
