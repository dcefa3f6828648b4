// SPDX-License-Identifier: Apache-2.0
/** Services over three hosts joined by tunnel: workloads ask for them, policy and conntrack see the backends. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { FrontendType, Routing } from '@weir/proto/weir/bus/v1/config_pb.js';
import { identityEntry, knp, networkEntry, policyEntry, removal, serviceEntry } from '../support/entries.ts';
import { type Joined, type JoinedHost, joinHosts, netnsPath, STEP_MS } from '../support/joined-hosts.ts';
import { leftovers, makeCgroup, Resident } from '../support/netns.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const IDENTITY = { web: 1001, db: 1002, evil: 1003 } as const;
const place = (app: keyof typeof IDENTITY, host: number, n: number) => ({
  id: `prod.${app}${host}`,
  ip4: `10.9${host}.0.${n}`,
  ip6: `fd9${host}::${n}`,
  identity: IDENTITY[app],
});
const WEB = place('web', 1, 2);
const EVIL = place('evil', 1, 3);
const DBS = [place('db', 2, 2), place('db', 3, 2)] as const;
const VIP = { ip4: '198.51.100.7', ip6: '2001:db8:7::7' } as const;
const FAMILIES = ['ip4', 'ip6'] as const;
const [TCP, UDP] = [6, 17];
/** Of one datagram's answer. */
const PATIENT_MS = 60_000;
const [ASKED, SERVED, NODE_PORT] = [8000, 80, 30_080];
const ONLY_WEB = policyEntry(
  knp('db', 'db', {
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
  }),
);

/** Judged where it is sent, by the program that is changed. */
const NOTHING_OUT = policyEntry(knp('evil', 'evil', { policyTypes: ['Egress'], egress: [] }));

/** `backends`: of DBS. */
const database = (...backends: (typeof DBS)[number][]) =>
  serviceEntry({
    ...{ id: 'prod.database', number: 1 },
    frontends: [
      ...FAMILIES.flatMap((family, f) =>
        [TCP, UDP].map((protocol, p) => ({
          ...{ number: 1 + 2 * f + p, type: FrontendType.CLUSTER_IP, address: VIP[family], port: ASKED },
          protocol,
        })),
      ),
      { number: 9, type: FrontendType.NODE_PORT, port: NODE_PORT, protocol: TCP },
    ],
    backends: backends.flatMap((db) =>
      FAMILIES.flatMap((family, f) =>
        [TCP, UDP].map((protocol, p) => ({
          ...{ number: 1 + DBS.indexOf(db) * 4 + 2 * f + p, address: db[family], port: SERVED, protocol },
          hostId: `h${DBS.indexOf(db) + 2}`,
        })),
      ),
    ),
  });

describe('services over hosts', { skip: needKernel(), timeout: 120_000 }, () => {
  let net: Joined;
  let h1: JoinedHost;
  const residentOf = (id: string) => {
    const found = net.hosts.flatMap(({ workloads }) => workloads).find((workload) => workload.id === id);
    if (!found) throw new Error(`no workload ${id}`);
    return found.resident;
  };
  const everything = (service = database(...DBS)) => [
    ...Object.entries(IDENTITY).map(([app, identity]) => identityEntry(identity, `k8s:app=${app}`, PROD)),
    ...net.hosts.map(({ document }) => document),
    ...net.hosts.flatMap(({ workloads }) => workloads.map(({ document }) => document)),
    ...[ONLY_WEB, NOTHING_OUT, networkEntry({ routing: Routing.TUNNEL }), service],
  ];
  const tellAll = async (...backends: (typeof DBS)[number][]): Promise<void> => {
    for (const host of net.hosts) await host.tell(database(...backends));
  };
  /** As whom the backend sees the workload, or why not. */
  const seen = async (id: string, host: string, port = ASKED, kind: 'tcp' | 'udp' = 'tcp', timeoutMs = 3_000) =>
    (await residentOf(id).ask({ op: 'seen', kind, host, port, timeoutMs })).split(' ')[0];
  const used = async (family: (typeof FAMILIES)[number]): Promise<boolean[]> =>
    Promise.all(DBS.map(async (db) => (await h1.judged(WEB[family], db[family])).length > 0));

  before(async () => {
    net = await joinHosts([[WEB, EVIL], [DBS[0]], [DBS[1]]]);
    [h1] = net.hosts;
    for (const host of net.hosts) await host.start(everything());
    // The tunnels' steps of changing over.
    for (let step = 0; step < 3; step++) {
      for (const host of net.hosts) {
        host.nowMs += STEP_MS;
        await host.pass();
      }
    }
    for (const { id } of DBS) await residentOf(id).ask({ op: 'serve', port: SERVED });
  });
  after(async () => {
    for (const host of net?.hosts ?? []) await host.stop();
    await net?.destroy();
    assert.deepEqual(leftovers(), []);
  });

  for (const family of FAMILIES) {
    it(`LB-03 ${family}: TCP and UDP to backends of other hosts, with the workload's own address`, async () => {
      for (const kind of ['tcp', 'udp'] as const) {
        for (let i = 0; i < 12; i++) assert.equal(await seen(WEB.id, VIP[family], ASKED, kind), WEB[family]);
      }
      assert.deepEqual(await used(family), [true, true]);
      assert.deepEqual(await h1.judged(WEB[family], VIP[family]), [], 'no packet had the address of the service');
    });

    it(`${family}: policy is that of the backend, whoever asks for the service`, async () => {
      const refused = async (): Promise<number> => {
        const ways = net.hosts.flatMap((host) =>
          (['ingress', 'egress'] as const).map((way) => host.dropped('DROP_POLICY_DENIED', way)),
        );
        return (await Promise.all(ways)).reduce((sum, count) => sum + count);
      };
      const before = await refused();
      assert.equal(await seen(EVIL.id, VIP[family], ASKED, 'tcp', 500), 'timeout');
      assert.ok((await refused()) > before);
    });

    it(`LB-05 ${family}: NodePort at another host's address and at the own one, from a workload`, async () => {
      for (const host of net.hosts) {
        const address = family === 'ip4' ? host.underlay4 : host.underlay6;
        assert.equal(await seen(WEB.id, address, NODE_PORT), WEB[family]);
      }
    });
  }

  it('IPv4 asked for by an IPv6 socket', async () => {
    assert.equal(await seen(WEB.id, `::ffff:${VIP.ip4}`), WEB.ip4);
  });

  it('LB-12 one backend leaves, then the other: refused at once; the host itself was never in between', async () => {
    await tellAll(DBS[1]);
    for (let i = 0; i < 8; i++) assert.equal(await seen(WEB.id, VIP.ip4), WEB.ip4);
    await tellAll();
    for (const family of FAMILIES) {
      assert.equal(await seen(WEB.id, VIP[family]), 'refused');
      assert.equal(await seen(WEB.id, VIP[family], ASKED, 'udp'), 'ECONNREFUSED');
    }
    assert.ok((await h1.counter('service_refused')) >= 4);
    await tellAll(...DBS);
  });

  it('without an agent services go on; a new one finds them as they are', async () => {
    await h1.stop();
    for (const family of FAMILIES) assert.equal(await seen(WEB.id, VIP[family]), WEB[family]);
    await h1.start(everything());
    for (const family of FAMILIES) assert.equal(await seen(WEB.id, VIP[family]), WEB[family]);
    await h1.tell(database(DBS[0]));
    for (let i = 0; i < 8; i++) assert.equal(await seen(WEB.id, VIP.ip6), WEB.ip6);
  });

  it("LB-04 the program that looks for services comes, goes and is another agent's under packets: none is lost, none gets out", async () => {
    // No hook of the host's cgroup sees these sockets.
    const beside = await makeCgroup('beside');
    const unseen = new Resident(netnsPath(WEB.id), beside.path);
    const kept = new Resident(netnsPath(EVIL.id), beside.path);
    let first = 20_000;
    const count = 40;
    const burst = async (who: Resident, host: string, port: number, timeoutMs?: number): Promise<Set<string>> => {
      first += count;
      const text = await who.ask({
        op: 'burst',
        host,
        port,
        first,
        count,
        timeoutMs: timeoutMs ?? PATIENT_MS,
      });
      return new Set((JSON.parse(text) as string[]).map((one) => one.split(' ')[0] ?? ''));
    };
    /** What was answered while something went on, and once more after it. */
    const during = async (host: string, port: number, doing: () => Promise<void>): Promise<void> => {
      let isOver = false;
      const done = doing().finally(() => {
        isOver = true;
      });
      const answered = async (): Promise<void> => {
        const family = host.includes(':') ? 'ip6' : 'ip4';
        for (let more = 1; more >= 0; more -= isOver ? 1 : 0)
          assert.deepEqual([...(await burst(unseen, host, port))], [WEB[family]]);
      };
      const refused = async (): Promise<void> => {
        for (let more = 1; more >= 0; more -= isOver ? 1 : 0)
          assert.deepEqual([...(await burst(kept, DBS[0].ip4, SERVED, 200))], ['timeout']);
      };
      await Promise.all([done, answered(), refused()]);
    };
    try {
      // Whose packets ask for no service, while the host has some and has none.
      await during(DBS[0].ip4, SERVED, async () => {
        for (let i = 0; i < 2; i++) {
          await h1.tell(removal('service', 'prod.database'));
          await h1.tell(database(...DBS));
        }
      });
      const turned = await h1.counter('service_turned');
      await during(VIP.ip6, ASKED, async () => {
        await h1.stop();
        await h1.start(everything());
      });
      assert.ok((await h1.counter('service_turned')) > turned, 'they asked by packets');
    } finally {
      await unseen.stop();
      await kept.stop();
      await beside.remove();
    }
  });
});
