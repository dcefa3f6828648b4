// SPDX-License-Identifier: Apache-2.0
/**
 * Egress gateways with real packets: workloads of h1 leave by h2 (its neighbour) or h3 (behind a router, where natively
 * no workload is reached), and a server in the world says whom it saw. Everybody else is masqueraded by his own host, so
 * what slips past a gateway is seen as h1.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { ConfigEntry } from '@weir/bus';
import { needKernel } from '@weir/loader/testing';
import { Routing, Underlay } from '@weir/proto/weir/bus/v1/config_pb.js';
import { cnp, egressGatewayEntry, identityEntry, networkEntry, policyEntry, removal } from '../support/entries.ts';
import { inside, type Joined, type JoinedHost, joinHosts, STEP_MS } from '../support/joined-hosts.ts';
import { leftovers, type Resident } from '../support/netns.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
const IDENTITY = { web: 1001, db: 1002 } as const;
const WORLD_IDENTITY = { ip4: 9, ip6: 10 } as const;
const WEB = { id: 'prod.web1', ip4: '10.91.0.2', ip6: 'fd91::2', identity: IDENTITY.web };
const DB = { id: 'prod.db1', ip4: '10.91.0.3', ip6: 'fd91::3', identity: IDENTITY.db };
const SERVER = { ip4: '203.0.113.10', ip6: '2001:db8:200::10' };
/** Another of its addresses, that the document excludes. */
const EXCLUDED = { ip4: '203.0.113.20', ip6: '2001:db8:200::20' };
const PORT = 7000;
const FORBIDDEN_PORT = 7001;
const FAMILIES = ['ip4', 'ip6'] as const;
type Family = (typeof FAMILIES)[number];
const PATIENT_MS = 5_000;
/** For what is dropped: no answer comes however long one waits. */
const SILENT_MS = 250;
/** An address of h1 and of h2 besides their first. */
const EXTRA = { h1: '198.18.251.201', h2: '198.18.251.202' };

const named = (...hosts: string[]) => ({
  matchExpressions: [{ key: 'name', operator: 'In', values: hosts }],
});
interface Shape {
  readonly hosts?: readonly string[];
  readonly egressIp?: string;
}
const gateway = ({ hosts = ['h2', 'h3'], egressIp }: Shape = {}): ConfigEntry =>
  egressGatewayEntry('out', {
    workloads: [{ matchLabels: { 'k8s:app': 'web' } }],
    destinationCidrs: ['0.0.0.0/0', '::/0'],
    excludedCidrs: [`${EXCLUDED.ip4}/32`, `${EXCLUDED.ip6}/128`],
    gateways: [{ hosts: named(...hosts), ...(egressIp ? { egressIp } : { interface: 'uplink0' }) }],
  });
const NOT_THERE = policyEntry(
  cnp('not-there', 'web', {
    egress: [{ toEntities: ['world'] }],
    egressDeny: [{ toEntities: ['world'], toPorts: [{ ports: [{ port: String(FORBIDDEN_PORT), protocol: 'TCP' }] }] }],
  }),
);

describe('egress gateways', { skip: needKernel(), timeout: 180_000 }, () => {
  let net: Joined;
  let [h1, h2, h3] = [] as unknown as [JoinedHost, JoinedHost, JoinedHost];
  let network = networkEntry({});
  let document = gateway();
  const residentOf = (id: string): Resident =>
    h1.workloads.find((workload) => workload.id === id)?.resident as Resident;
  const underlay = (host: JoinedHost, family: Family): string => (family === 'ip4' ? host.underlay4 : host.underlay6);
  const everything = () => [
    ...Object.entries(IDENTITY).map(([app, identity]) => identityEntry(identity, `k8s:app=${app}`, PROD)),
    ...net.hosts.map(({ document: host }) => host),
    ...net.hosts.flatMap(({ workloads }) => workloads.map((workload) => workload.document)),
    ...[NOT_THERE, network, document],
  ];
  const seen = async (id: string, kind: 'tcp' | 'udp', host: string, bytes = 1): Promise<string> =>
    (await residentOf(id).ask({ op: 'seen', kind, host, port: PORT, bytes })).split(' ')[0] as string;
  /** Nothing of it comes back. */
  const silent = async (id: string, kind: 'tcp' | 'udp', host: string, why?: string): Promise<void> => {
    const answer = await residentOf(id).ask({ op: 'seen', kind, host, port: PORT, timeoutMs: SILENT_MS });
    assert.equal(answer, 'timeout', why);
  };
  const tellAll = async (...entries: ConfigEntry[]): Promise<void> => {
    for (const host of net.hosts) await host.tell(...entries);
  };
  const changeTo = async (shape: Shape): Promise<void> => {
    document = gateway(shape);
    await tellAll(document);
  };
  const route = async (routing: Routing, by = Underlay.UNSPECIFIED): Promise<void> => {
    network = networkEntry({ routing, underlay: by, masquerade: { ipv4: true, ipv6: true } });
    await tellAll(network);
    for (const host of net.hosts) {
      for (const _ of [1, 2]) {
        host.nowMs += STEP_MS;
        await host.pass();
      }
    }
  };
  const unreachable = async (...hosts: string[]): Promise<void> => {
    h1.unreachable = new Set(hosts);
    await h1.pass();
  };
  const say = (): Promise<string> => residentOf(WEB.id).ask({ op: 'say', timeoutMs: PATIENT_MS });
  const open = (host: string): Promise<string> => residentOf(WEB.id).ask({ op: 'open', host, port: PORT });

  before(async () => {
    // Its UDP server answers with the first address of IPv4 and with the last of IPv6, whichever it was asked at.
    const world = [SERVER.ip4, EXCLUDED.ip4, EXCLUDED.ip6, SERVER.ip6];
    net = await joinHosts([[WEB, DB], [], []], {
      world: world.map((address) => `${address}/${address.includes(':') ? 64 : 24}`),
    });
    [h1, h2, h3] = net.hosts;
    await net.world?.ask({ op: 'serve', port: PORT });
    await net.world?.ask({ op: 'listen', port: FORBIDDEN_PORT });
    for (const host of net.hosts) await host.start(everything());
  });
  afterEach(() => unreachable());
  after(async () => {
    for (const host of net?.hosts ?? []) await host.stop();
    await net?.destroy();
    assert.deepEqual(leftovers(), []);
  });

  /** Everything that a workload does with the world goes by that host, and nothing else does. */
  const leavesBy = async (host: JoinedHost): Promise<void> => {
    for (const family of FAMILIES) {
      const to = SERVER[family];
      const by = underlay(host, family);
      assert.equal(await seen(WEB.id, 'tcp', to), by, `TCP ${family}`);
      assert.equal(await seen(WEB.id, 'udp', to), by, `UDP ${family}`);
      assert.equal(await residentOf(WEB.id).ask({ op: 'ping', host: to }), 'ok', `ping ${family}`);
      assert.equal(await seen(DB.id, 'tcp', to), underlay(h1, family), `who is not selected ${family}`);
      assert.equal(await seen(WEB.id, 'tcp', EXCLUDED[family]), underlay(h1, family), `what is excluded ${family}`);
    }
  };

  for (const [routing, by] of [
    [Routing.NATIVE, Underlay.IPV4],
    [Routing.TUNNEL, Underlay.IPV6],
  ] as const) {
    it(`${Routing[routing]}: what is selected leaves by the first gateway, by TCP, UDP and ping`, async () => {
      await route(routing, by);
      await leavesBy(h2);
    });

    it(`${Routing[routing]}: fragments, errors, policy and large transfers`, async () => {
      for (const family of FAMILIES) {
        const to = SERVER[family];
        const client = residentOf(WEB.id);
        let answer = await seen(WEB.id, 'udp', to, 4000);
        // Over IPv6 the first answer is the one by which its sender learns how narrow the way is.
        if (answer === 'timeout' && family === 'ip6') answer = await seen(WEB.id, 'udp', to, 4000);
        assert.equal(answer, underlay(h2, family), `fragments ${family}`);
        assert.equal(await client.ask({ op: 'udp', host: to, port: 9, timeoutMs: PATIENT_MS }), 'ECONNREFUSED');
        assert.equal(await client.ask({ op: 'tcp', host: to, port: 9, timeoutMs: PATIENT_MS }), 'refused');
        const bytes = 1 << 20;
        assert.match(await client.ask({ op: 'transfer', host: to, port: PORT, bytes }), new RegExp(`^${bytes} `));
        assert.deepEqual(await h1.judged(WEB[family], to), [`${WEB.identity} ${WORLD_IDENTITY[family]}`]);
      }
      const denied = await h1.dropped('DROP_POLICY_DENY', 'egress');
      const asked = { op: 'tcp', host: SERVER.ip4, port: FORBIDDEN_PORT, timeoutMs: SILENT_MS } as const;
      assert.equal(await residentOf(WEB.id).ask(asked), 'timeout');
      assert.ok((await h1.dropped('DROP_POLICY_DENY', 'egress')) > denied, 'refused where it was sent');
    });

    it(`${Routing[routing]}: another takes over when one is dead, and connections stay with one that lives`, async () => {
      await unreachable('h2');
      await leavesBy(h3);
      assert.equal(await open(SERVER.ip4), 'ok');
      await unreachable();
      assert.equal(await seen(WEB.id, 'tcp', SERVER.ip4), h2.underlay4);
      assert.equal(await say(), 'ok', 'the connection by h3');
      const sent = await h3.counter('nat_out');
      assert.equal(await say(), 'ok');
      assert.ok((await h3.counter('nat_out')) > sent, 'still by h3');
    });
  }

  it('a gateway that is cut off: new connections leave by the next', async () => {
    inside('h2', 'ip', 'link', 'set', 'uplink0', 'down');
    try {
      await silent(WEB.id, 'udp', SERVER.ip4);
      await unreachable('h2');
      assert.equal(await seen(WEB.id, 'udp', SERVER.ip4), h3.underlay4);
    } finally {
      inside('h2', 'ip', 'link', 'set', 'uplink0', 'up');
      inside('h2', 'ip', 'route', 'replace', 'default', 'via', '198.18.251.1', 'dev', 'uplink0');
      inside('h2', 'ip', '-6', 'addr', 'replace', `${h2.underlay6}/64`, 'dev', 'uplink0', 'nodad');
      inside('h2', 'ip', '-6', 'route', 'replace', 'default', 'via', 'fd18:251::1', 'dev', 'uplink0');
    }
    await unreachable();
    await h2.pass();
  });

  it('no gateway is alive: dropped with 194 and counted, what is excluded passes', async () => {
    const before = await h1.dropped('DROP_NO_EGRESS_GATEWAY', 'egress');
    await unreachable('h2', 'h3');
    for (const family of FAMILIES) {
      await silent(WEB.id, 'udp', SERVER[family]);
      assert.equal(await seen(WEB.id, 'tcp', EXCLUDED[family]), underlay(h1, family));
    }
    assert.ok((await h1.dropped('DROP_NO_EGRESS_GATEWAY', 'egress')) >= before + 2);
    await unreachable();
    await leavesBy(h2);
  });

  it('an address that the gateway does not have: 204, and it is said; with the address it is the source', async () => {
    const before = await h2.dropped('DROP_NO_EGRESS_IP');
    await changeTo({ hosts: ['h2'], egressIp: EXTRA.h2 });
    assert.match(h2.uplinkFailures.join(), new RegExp(`no address ${EXTRA.h2}.*204`));
    await silent(WEB.id, 'udp', SERVER.ip4);
    assert.ok((await h2.dropped('DROP_NO_EGRESS_IP')) > before);
    inside('h2', 'ip', 'addr', 'add', `${EXTRA.h2}/24`, 'dev', 'uplink0');
    await h2.pass();
    assert.deepEqual(h2.uplinkFailures, []);
    assert.equal(await seen(WEB.id, 'udp', SERVER.ip4), EXTRA.h2);
    assert.equal(await seen(WEB.id, 'tcp', SERVER.ip4), EXTRA.h2);
    await silent(WEB.id, 'tcp', SERVER.ip6, 'it has no IPv6 address');
  });

  it('this host itself as the gateway of its workloads', async () => {
    inside('h1', 'ip', 'addr', 'add', `${EXTRA.h1}/24`, 'dev', 'uplink0');
    await changeTo({ hosts: ['h1'], egressIp: EXTRA.h1 });
    for (const kind of ['tcp', 'udp'] as const) assert.equal(await seen(WEB.id, kind, SERVER.ip4), EXTRA.h1);
    assert.equal(await residentOf(WEB.id).ask({ op: 'ping', host: SERVER.ip4 }), 'ok');
    assert.equal(await seen(DB.id, 'tcp', SERVER.ip4), h1.underlay4);
    const before = await h1.dropped('DROP_NO_EGRESS_IP', 'egress');
    await silent(WEB.id, 'tcp', SERVER.ip6);
    assert.ok((await h1.dropped('DROP_NO_EGRESS_IP', 'egress')) > before);
  });

  it('while documents change nothing is seen with an address that none of them names', async (t) => {
    await changeTo({ hosts: ['h2'] });
    const right = new Set([h2.underlay4, h3.underlay4, EXTRA.h2, 'timeout']);
    const shapes: Shape[] = [{ hosts: ['h3'] }, { hosts: ['h2'], egressIp: EXTRA.h2 }, { hosts: ['h2'] }];
    const seenBy = new Map<string, number>();
    let changes = 0;
    let bursts = 0;
    let isDone = false;
    const asking = (async () => {
      for (let first = 20_000; !isDone; first += 20) {
        const answers = await residentOf(WEB.id).ask({
          ...{ op: 'burst', host: SERVER.ip4, port: PORT, first, count: 20, timeoutMs: 300 },
        });
        for (const answer of JSON.parse(answers) as string[]) {
          const address = answer.split(' ')[0] as string;
          seenBy.set(address, (seenBy.get(address) ?? 0) + 1);
        }
        bursts++;
      }
    })();
    for (let round = 0; round < 2; round++) {
      for (const shape of shapes) {
        document = gateway(shape);
        // one host after the other hears of it, the gateways first or last
        for (const host of round % 2 ? net.hosts : [...net.hosts].reverse()) await host.tell(document);
        changes++;
        // one that began when all had heard of it
        for (const enough = bursts + 2; bursts < enough; ) await setTimeout(10);
      }
    }
    // a gateway that has not heard of it any more, and then h1 not either
    await h2.tell(removal('egressGateway', 'out'));
    await silent(WEB.id, 'tcp', SERVER.ip4, 'h2 lets nobody out unmasqueraded');
    isDone = true;
    await asking;
    const wrong = [...seenBy.keys()].filter((address) => !right.has(address));
    assert.deepEqual(wrong, []);
    for (const address of [h2.underlay4, h3.underlay4, EXTRA.h2])
      assert.ok(seenBy.has(address), `${address} in ${JSON.stringify([...seenBy])}`);
    t.diagnostic(`${changes} changes: ${JSON.stringify(Object.fromEntries(seenBy))}`);
    await h2.tell(document);
  });

  it('agents go and come: connections go on', async () => {
    await changeTo({});
    assert.equal(await open(SERVER.ip6), 'ok');
    for (const host of [h1, h2]) {
      await host.stop();
      assert.equal(await say(), 'ok', `without the agent of ${host.name}`);
      await host.start(everything());
      assert.equal(await say(), 'ok', `with another agent of ${host.name}`);
    }
    await leavesBy(h2);
    assert.deepEqual(await h2.host.inspect(), []);
  });

  it('nothing is left when no document is there any more', async () => {
    await route(Routing.NATIVE);
    await tellAll(removal('egressGateway', 'out'));
    for (const host of net.hosts) assert.ok(!inside(host.name, 'ip', '-o', 'link').includes('weir_vxlan'), host.name);
    for (const family of FAMILIES) assert.equal(await seen(WEB.id, 'tcp', SERVER[family]), underlay(h1, family));
    assert.deepEqual(await h1.egressMaps(), { sources: 0, routes: 0 });
  });
});
