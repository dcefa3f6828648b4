// SPDX-License-Identifier: Apache-2.0
/** Two workloads on one host, real programs, real sockets. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { weir_identity } from '@weir/bpf';
import { needKernel } from '@weir/loader/testing';
import { cidrOfAddress, parseIp } from '@weir/net';
import { HostDatapath } from '../../src/apply/host.ts';
import { type Datapath, openDatapath } from '../../src/apply/kernel/datapath.ts';
import type { Desired } from '../../src/plan/desired.ts';
import { NO_ENCRYPTION } from '../../src/plan/encryption.ts';
import { Ipcache, prefixText } from '../../src/plan/ipcache.ts';
import type { DesiredWorkload, Route, WorkloadPolicy } from '../../src/plan/model.ts';
import { hostMac, linkName, workloadMac } from '../../src/plan/names.ts';
import { NO_OVERLAY } from '../../src/plan/overlay.ts';
import { createTestHost, leftovers, type Resident, type TestHost } from '../support/netns.ts';
import { policyOf } from '../support/policies.ts';

const OPEN = policyOf([], false, false);
const CLIENT = { id: 'prod.client', identity: 1001, ip4: '10.88.0.2', ip6: 'fd88::2' };
const SERVER = { id: 'prod.server', identity: 1002, ip4: '10.88.0.3', ip6: 'fd88::3' };
const PEOPLE = [
  CLIENT,
  SERVER,
  ...['one', 'two', 'three', 'four', 'five'].map((id, i) => ({
    id,
    identity: 1003,
    ip4: `10.88.0.${10 + i}`,
    ip6: `fd88::${10 + i}`,
  })),
];
const allow = (identity: number, protocol = 0, port = 0, egress = false) => ({
  egress,
  tier: 'Normal' as const,
  identity,
  protocol,
  port,
  portPrefixBits: port ? 16 : 0,
  verdict: 'allow' as const,
  rank: 0,
  ruleId: 7,
});

describe('the real kernel', { skip: needKernel() }, () => {
  let host: TestHost;
  let datapath: Datapath;
  let agent: HostDatapath;
  let netnsIds: Record<string, string> = {};
  const netns: Record<string, string> = {};
  const inside: Record<string, Resident> = {};
  let client: Resident;
  const policies: Record<string, WorkloadPolicy> = { [CLIENT.id]: OPEN, [SERVER.id]: OPEN };
  const ipcache = new Ipcache();
  const routes = new Map<string, Route>();

  const desired = (): Desired => ({
    workloads: new Map(
      PEOPLE.filter(({ id }) => netns[id]).map(({ id, identity, ip4, ip6 }, i): [string, DesiredWorkload] => [
        id,
        {
          id,
          localId: i + 1,
          identity,
          policy: policies[id],
          waiting: '',
          message: '',
          wiring: {
            workloadId: id,
            ifname: linkName(id),
            netns: netns[id] as string,
            cgroup: '',
            ip4,
            ip6,
            mac: workloadMac(id),
            hostMac: hostMac(id),
          },
        },
      ]),
    ),
    cidrs: new Map(),
    routes,
    overlay: NO_OVERLAY,
    ...{ encryption: NO_ENCRYPTION, encryptedPools: [] },
    identities: new Set(),
    errors: [],
  });

  const start = async (): Promise<void> => {
    datapath = await openDatapath({
      bpffsDir: host.bpffsDir,
      hostNetns: host.netns,
      uplink: 'uplink0',
      maxConntrack: 4096,
      ringBytes: 65536,
    });
    agent = new HostDatapath({ kernel: datapath, netnsIds, onTrouble: (what, cause) => console.error(what, cause) });
    await agent.load();
  };
  const apply = async (): Promise<void> => {
    await agent.adopt(desired());
    await agent.wire(desired());
    netnsIds = agent.takeNetnsIds() ?? netnsIds;
    const delta = ipcache.delta();
    const { failed, routeFailures } = await agent.apply(desired(), delta);
    ipcache.written(delta);
    assert.equal(failed.size, 0);
    assert.deepEqual(routeFailures, []);
  };
  const stop = (): void => datapath.close();

  before(async () => {
    host = await createTestHost({ ownBpffs: true });
    for (const { id, identity, ip4, ip6 } of [CLIENT, SERVER]) {
      netns[id] = await host.makeNetns(id);
      inside[id] = await host.resident(netns[id] as string);
      for (const ip of [ip4, ip6]) {
        const { addr, bits128 } = cidrOfAddress(parseIp(ip));
        ipcache.put(prefixText(addr, bits128), id, 1, 1n, { identity, host4: 0 });
      }
    }
    for (const ip of ['198.18.250.1', 'fd18:250::1', '169.254.1.1', 'fe80::1']) {
      const { addr, bits128 } = cidrOfAddress(parseIp(ip));
      ipcache.put(prefixText(addr, bits128), 'own', 3, 1n, { identity: weir_identity.IDENTITY_HOST, host4: 0 });
    }
    client = inside[CLIENT.id] as Resident;
    await (inside[SERVER.id] as Resident).ask({ op: 'listen', port: 80 });
    await start();
    await apply();
  });

  after(async () => {
    stop();
    await host.destroy();
    assert.deepEqual(leftovers(), []);
  });

  const reach = async (): Promise<Record<string, string>> => ({
    tcp4: await client.ask({ op: 'tcp', host: SERVER.ip4, port: 80 }),
    tcp6: await client.ask({ op: 'tcp', host: SERVER.ip6, port: 80 }),
    udp4: await client.ask({ op: 'udp', host: SERVER.ip4, port: 80 }),
    udp6: await client.ask({ op: 'udp', host: SERVER.ip6, port: 80 }),
    ping4: await client.ask({ op: 'ping', host: SERVER.ip4 }),
    ping6: await client.ask({ op: 'ping', host: SERVER.ip6 }),
  });
  const all = (tcp: string, udp = tcp, ping = tcp): Record<string, string> => ({
    tcp4: tcp,
    tcp6: tcp,
    udp4: udp,
    udp6: udp,
    ping4: ping,
    ping6: ping,
  });

  it('connects two workloads, IPv4 and IPv6, TCP, UDP and ping', async () => {
    assert.deepEqual(await reach(), all('ok'));
  });

  it('lets workloads reach the host and the host its workloads', async () => {
    for (const ip of ['198.18.250.1', 'fd18:250::1', '169.254.1.1']) {
      assert.equal(await client.ask({ op: 'ping', host: ip }), 'ok', ip);
    }
    policies[SERVER.id] = policyOf([], true, true);
    await apply();
    for (const ip of [SERVER.ip4, SERVER.ip6]) host.run(host.netns, 'ping', '-n', '-c', '1', '-W', '1', ip);
    policies[SERVER.id] = OPEN;
    await apply();
  });

  it('enforces a policy, and takes it back', async () => {
    policies[SERVER.id] = policyOf([allow(CLIENT.identity, 6, 80)], true, false);
    await apply();
    assert.deepEqual(await reach(), all('ok', 'timeout', 'timeout'));
    policies[SERVER.id] = policyOf([allow(999, 6, 80)], true, false);
    await apply();
    assert.deepEqual(await reach(), all('timeout'));
    policies[SERVER.id] = OPEN;
    await apply();
    assert.deepEqual(await reach(), all('ok'));
  });

  it('cuts an established connection that a new policy denies, and keeps the others', async () => {
    assert.equal(await client.ask({ op: 'open', host: SERVER.ip4, port: 80 }), 'ok');
    policies[SERVER.id] = policyOf([allow(CLIENT.identity, 6)], true, false);
    await apply();
    assert.equal(await client.ask({ op: 'say' }), 'ok');
    policies[SERVER.id] = policyOf([], true, false);
    await apply();
    assert.equal(await client.ask({ op: 'say' }), 'timeout');
    policies[SERVER.id] = OPEN;
    await apply();
  });

  it('is taken over by the next agent without a packet lost', async () => {
    policies[SERVER.id] = policyOf([allow(CLIENT.identity, 6, 80)], true, false);
    await apply();
    assert.equal(await client.ask({ op: 'open', host: SERVER.ip6, port: 80 }), 'ok');
    const before = await datapath.maps.readWorkloads();
    stop();
    assert.equal(await client.ask({ op: 'say' }), 'ok', 'without an agent');
    await start();
    assert.equal(await client.ask({ op: 'say' }), 'ok', 'with new programs and no configuration');
    await ipcache.compareWith(await datapath.maps.readIpcache());
    assert.deepEqual(ipcache.delta(), { puts: [], deletes: [], rejudge: false });
    await apply();
    assert.deepEqual(await datapath.maps.readWorkloads(), before, 'nothing was written');
    assert.equal(await client.ask({ op: 'say' }), 'ok');
    assert.equal(await client.ask({ op: 'udp', host: SERVER.ip4, port: 80 }), 'timeout', 'still enforced');
    policies[SERVER.id] = OPEN;
    await apply();
  });

  it('swaps tables under probes: what both allow always passes, what both deny never', async () => {
    const one = policyOf([allow(CLIENT.identity, 6, 80)], true, false);
    const other = policyOf([allow(CLIENT.identity, 6), allow(5, 17)], true, true);
    policies[SERVER.id] = one;
    await apply();
    let stopping = false;
    const swapping = (async () => {
      let swaps = 0;
      for (; !stopping; swaps++) {
        policies[SERVER.id] = swaps % 2 ? one : other;
        await apply();
      }
      return swaps;
    })();
    const answers = { tcp: [] as string[], udp: [] as string[] };
    for (let i = 0; i < 60; i++) {
      const [tcp, udp] = await Promise.all([
        client.ask({ op: 'tcp', host: i % 2 ? SERVER.ip4 : SERVER.ip6, port: 80, timeoutMs: 900 }),
        client.ask({ op: 'udp', host: i % 2 ? SERVER.ip4 : SERVER.ip6, port: 80, timeoutMs: 30 }),
      ]);
      answers.tcp.push(tcp);
      answers.udp.push(udp);
    }
    stopping = true;
    assert.ok((await swapping) > 20);
    assert.deepEqual([...new Set(answers.tcp)], ['ok']);
    assert.deepEqual([...new Set(answers.udp)], ['timeout']);
    policies[SERVER.id] = OPEN;
    await apply();
  });

  it('guards many new interfaces at once, and by pinned links too as soon as there is time', async () => {
    const links = (): number => host.run(host.netns, 'ls', `${host.bpffsDir}/links`).trim().split('\n').length;
    const before = links();
    const filters = (): string[] =>
      crowd.map((id) => host.run(host.netns, 'tc', 'filter', 'show', 'dev', linkName(id), 'ingress').trim());
    const crowd = ['one', 'two', 'three', 'four', 'five'];
    for (const id of crowd) netns[id] = await host.makeNetns(id);
    await apply();
    assert.equal(agent.unsettled, crowd.length);
    assert.ok(filters().every((text) => text.includes('direct-action')));
    assert.deepEqual(await agent.inspect(), []);
    while (await agent.settle());
    assert.equal(agent.unsettled, 0);
    assert.equal(links(), before + 2 * crowd.length);
    assert.ok(filters().every((text) => text.includes('direct-action')));
    assert.deepEqual(await agent.inspect(), []);
    for (const id of crowd) delete netns[id];
    await apply();
  });

  it('puts back programs and pins that somebody took away', async () => {
    const pins = host.run(host.netns, 'ls', `${host.bpffsDir}/links`).trim().split('\n');
    assert.equal(pins.length, 4);
    host.run(host.netns, 'rm', `${host.bpffsDir}/links/${pins[0]}`, `${host.bpffsDir}/conntrack`);
    assert.equal((await agent.inspect()).length, 1);
    assert.deepEqual(await datapath.repairPins(), ['conntrack']);
    assert.deepEqual(await agent.inspect(), []);
    host.run(host.netns, 'bpftool', 'link', 'detach', 'pinned', `${host.bpffsDir}/links/${pins[1]}`);
    assert.equal((await agent.inspect()).length, 1);
    assert.deepEqual(await agent.inspect(), []);
    assert.equal((await reach()).tcp4, 'ok');
  });

  it('enforces with its links detached, and with its filters removed, before anybody has noticed', async () => {
    policies[SERVER.id] = policyOf([allow(CLIENT.identity, 6, 80)], true, false);
    await apply();
    const name = linkName(SERVER.id);
    for (const side of ['ingress', 'egress']) {
      host.run(host.netns, 'bpftool', 'link', 'detach', 'pinned', `${host.bpffsDir}/links/${name}-${side}`);
    }
    assert.deepEqual(await reach(), all('ok', 'timeout', 'timeout'));
    assert.equal((await agent.inspect()).length, 2);
    host.run(host.netns, 'tc', 'qdisc', 'del', 'dev', name, 'clsact');
    assert.deepEqual(await reach(), all('ok', 'timeout', 'timeout'));
    assert.deepEqual(
      (await agent.inspect()).map((problem) => problem.replace(/^.*: /, '')),
      ['the filter on ingress was removed', 'the filter on egress was removed'],
    );
    assert.deepEqual(await agent.inspect(), []);
    policies[SERVER.id] = OPEN;
    await apply();
  });

  it('connects a workload anew whose namespace was deleted and made again under the same path', async () => {
    const path = netns[SERVER.id] as string;
    await inside[SERVER.id]?.stop();
    await host.removeNetns(path);
    assert.equal((await agent.inspect()).length, 1);
    await apply();
    assert.equal((await datapath.maps.readWorkloads()).length, 1);
    assert.match(agent.failure(SERVER.id) ?? '', /waiting for network namespace/);
    assert.equal(await host.makeNetns(SERVER.id), path);
    const server = await host.resident(path);
    await server.ask({ op: 'listen', port: 80 });
    await new Promise((resolve) => setTimeout(resolve, 600));
    await apply();
    assert.deepEqual(await reach(), all('ok'));
  });

  it('puts everything back into a bpffs that was unmounted', async () => {
    execFileSync('umount', ['-l', host.bpffsDir]);
    assert.ok((await datapath.repairPins()).length >= 8);
    assert.equal((await agent.inspect()).length, 4, 'a pin for each side of two workloads');
    assert.deepEqual(await agent.inspect(), []);
    assert.deepEqual(await datapath.repairPins(), []);
    assert.equal((await reach()).tcp6, 'ok');
    stop();
    await start();
    await apply();
    assert.equal((await reach()).tcp4, 'ok', 'and the next agent finds it');
  });

  it('routes pools without touching the routes of others, and takes its own back', async () => {
    const show = (): string => host.run(host.netns, 'ip', '-o', 'route', 'show', 'table', 'main');
    host.run(host.netns, 'ip', 'route', 'add', '10.77.0.0/24', 'via', '198.18.250.9');
    routes.set('10.77.0.0/24', { dst: '10.77.0.0/24', via: '198.18.250.8' });
    routes.set('10.78.0.0/24', { dst: '10.78.0.0/24', via: 'unreachable' });
    routes.set('fd77::/64', { dst: 'fd77::/64', via: 'fd18:250::8' });
    await apply();
    assert.match(show(), /^10\.77\.0\.0\/24 via 198\.18\.250\.9 /m);
    assert.match(show(), /^10\.77\.0\.0\/24 via 198\.18\.250\.8 .*proto 87 metric 87/m);
    assert.match(show(), /^unreachable 10\.78\.0\.0\/24/m);
    assert.deepEqual(new Map(await datapath.network.routes()), routes);
    routes.set('10.77.0.0/24', { dst: '10.77.0.0/24', via: '198.18.250.7' });
    routes.delete('10.78.0.0/24');
    await apply();
    assert.deepEqual(new Map(await datapath.network.routes()), routes);
    routes.clear();
    await apply();
    assert.equal((await datapath.network.routes()).size, 0);
    assert.match(show(), /^10\.77\.0\.0\/24 via 198\.18\.250\.9 /m);
    for (const id of [CLIENT.id]) assert.match(show(), new RegExp(`dev ${linkName(id)} `));
  });

  it('leaves nothing of a workload that is removed', async () => {
    delete netns[SERVER.id];
    await apply();
    assert.deepEqual(
      (await datapath.maps.readWorkloads()).map(({ ip4 }) => ip4),
      [CLIENT.ip4],
    );
    assert.deepEqual([...(await datapath.maps.readAddresses()).keys()].sort(), [CLIENT.ip4, CLIENT.ip6].sort());
    assert.equal((await datapath.network.links()).length, 1);
    assert.equal(host.run(host.netns, 'ls', `${host.bpffsDir}/links`).trim().split('\n').length, 2);
    const { count, values } = await datapath.object.map('conntrack').lookupAll();
    assert.ok(count > 0 && values.length > 0, "the client's side stays");
  });
});
