// SPDX-License-Identifier: Apache-2.0
/** Flows of connections that asked for a service say which frontend that was, at both ends and in both directions. */
import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { attachCgroup, type CgroupHook, cgroup2Mount, createInner, type Link, netnsCookie } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import { nat_key, nat_out_value } from '../gen/index.ts';
import { mapped } from './lib/bytes.ts';
import { FlowReader, type SeenFlow } from './lib/flows.ts';
import { Namespaces, netnsOf, type Talk } from './lib/namespaces.ts';
import { ethernet, ip4, ip6 } from './lib/packet.ts';
import { ServiceTables, TCP, UDP, u32 } from './lib/service-tables.ts';
import { ping, tcp, udp } from './lib/transport.ts';
import { CLOSED, OPEN, UPLINK, WEB, WORLD, World } from './lib/world.ts';

const VIP = { ip4: '203.0.113.9', ip6: '2001:db8:9::9' } as const;
const FAMILIES = ['ip4', 'ip6'] as const;
/** Of Linux, unless told otherwise: net.ipv4.ip_local_port_range. */
const FIRST_EPHEMERAL = 32_768;
const HOOKS: readonly CgroupHook[] = ['connect4', 'connect6', 'sendmsg4', 'sendmsg6'];
/** Frontend by port asked for, of which each has a backend at b. */
const FRONTENDS = [
  { number: 500_000_001, port: 8080, protocol: TCP, served: 80 },
  { number: 12, port: 5353, protocol: UDP, served: 53 },
] as const;

const forwarded = ({ verdict }: SeenFlow): boolean => verdict === 'forwarded';

describe('asked for by sockets', { skip: needKernel() }, () => {
  let net: Namespaces;
  let reader: FlowReader;
  let cgroup: string;
  const links: Link[] = [];

  before(async () => {
    net = await Namespaces.create({ others: ['socket'] });
    reader = new FlowReader(net.world);
    await net.serve('b');
    cgroup = join((await cgroup2Mount()) ?? '', `wasked${process.pid}`);
    mkdirSync(cgroup);
    for (const hook of HOOKS) links.push(await attachCgroup(net.world.program(`service_${hook}`), cgroup, hook));
    const tables = new ServiceTables((name) => net.world.map(name));
    tables.settings(await netnsCookie(netnsOf('host')));
    for (const [at, family] of FAMILIES.entries()) {
      for (const { number, port, protocol, served } of FRONTENDS) {
        const backend = number + at;
        tables.backend(backend, net.b[family], served, protocol);
        tables.frontend({ number: number + at, address: VIP[family], port, protocol, active: [backend] });
      }
    }
    net.world.map('asked_sockets').updateInner(u32(0), net.world.map('service_reverse'));
  });
  after(async () => {
    for (const link of links) link.detach();
    await net?.destroy();
    // A cgroup goes once its last process is reaped.
    for (let tries = 0; ; tries++) {
      try {
        rmdirSync(cgroup);
        return;
      } catch (error) {
        if (tries > 100) throw error;
        await sleep(20);
      }
    }
  });
  /** Ends of clients of tests before: their last segments come when they like, and find no connection any more. */
  const earlier = new Set<string>();
  let last: readonly string[] = [];
  const isOfClient = (end: string): boolean => Number(end.slice(end.lastIndexOf(':') + 1)) >= FIRST_EPHEMERAL;
  const drain = async (): Promise<readonly SeenFlow[]> => {
    for (const end of last) earlier.add(end);
    const flows = (await reader.drain()).filter(({ from, to }) => !earlier.has(from) && !earlier.has(to));
    last = flows.flatMap(({ from, to }) => [from, to]).filter(isOfClient);
    return flows;
  };
  beforeEach(async () => {
    for (const who of [net.a, net.b]) net.world.workload(who, OPEN);
    await net.world.clear('conntrack');
    await drain();
  });

  const talk = (from: 'host' | 'a', what: Talk): Promise<string> => net.talk(from, { ...what, cgroup });

  for (const [at, family] of FAMILIES.entries()) {
    for (const { number, port, protocol } of FRONTENDS) {
      const kind = protocol === TCP ? 'tcp' : 'udp';
      test(`${family} ${kind}: at both workloads, both ways`, async () => {
        assert.equal(await talk('a', { kind, to: VIP[family], port }), '10');
        const flows = (await drain()).filter((flow) => flow.protocol === protocol);
        const ends = flows.map(({ workload, reply }) => `${workload} ${reply}`);
        assert.deepEqual([...new Set(ends)].sort(), ['1 false', '1 true', '2 false', '2 true']);
        assert.deepEqual([...new Set(flows.map(({ frontend }) => frontend))], [number + at]);
        const points = flows.map(({ workload, reply, socket }) => `${workload} ${reply} ${socket}`);
        const none = ['2 false none', '2 true none'];
        assert.deepEqual(
          [...new Set(points)].sort(),
          ['1 false post-direction-fwd', '1 true pre-direction-rev', ...none],
          'of the client',
        );
      });
    }

    test(`${family}: a process of the host asks`, async () => {
      assert.equal(await talk('host', { kind: 'tcp', to: VIP[family], port: 8080 }), '10');
      const flows = await drain();
      assert.ok(flows.some(forwarded));
      assert.deepEqual([...new Set(flows.map(({ frontend }) => frontend))], [FRONTENDS[0].number + at]);
    });

    test(`${family}: who asks for the backend itself has asked for no service`, async () => {
      assert.equal(await talk('a', { kind: 'tcp', to: net.b[family], port: 80 }), '10');
      const flows = await drain();
      assert.ok(flows.some(forwarded));
      assert.ok(flows.every(({ frontend }) => frontend === 0));
    });
  }

  test('what policy refuses says it too', async () => {
    net.world.workload(net.a, CLOSED);
    assert.equal(await talk('a', { kind: 'tcp', to: VIP.ip4, port: 8080 }), 'timeout');
    const refused = await drain();
    assert.ok(refused.length > 0 && refused.every(({ verdict }) => verdict === 'dropped'));
    assert.deepEqual([...new Set(refused.map(({ frontend }) => frontend))], [FRONTENDS[0].number]);
  });

  test('a port that nobody serves is a flow towards the service, and names it', async () => {
    const tables = new ServiceTables((name) => net.world.map(name));
    const key = Buffer.alloc(8);
    key.writeBigUInt64LE(await netnsCookie(netnsOf('a')));
    net.world.map('netns_workloads').update(key, u32(net.a.ifindex));
    tables.frontend({ number: 77, address: VIP.ip4, port: 9, active: [] });
    assert.equal(await talk('a', { kind: 'tcp', to: VIP.ip4, port: 9 }), 'ECONNREFUSED');
    const [flow] = await drain();
    assert.deepEqual(
      [flow?.reason, flow?.to, flow?.frontend, flow?.socket],
      [158, `${VIP.ip4}:9`, 77, 'pre-direction-fwd'],
    );
  });
});

describe('asked for from outside', { skip: needKernel() }, () => {
  let world: World;
  let reader: FlowReader;
  before(async () => {
    world = await World.open();
    reader = new FlowReader(world);
    const mappings = await createInner(world.map('asked_mappings'), 'mappings');
    for (const family of [4, 6] as const) {
      const at = family === 4 ? 'ip4' : 'ip6';
      const key = { local: mapped(WEB[at]), remote: mapped(WORLD[at]), local_port: 80, remote_port: 4000 };
      const value = { addr: mapped(VIP[at]), port: 8080, remote_port: 0, frontend: 40 + family };
      mappings.update(nat_key.encode({ ...key, protocol: TCP, family }), nat_out_value.encode(value));
    }
    world.map('asked_mappings').updateInner(u32(0), mappings);
    mappings.close();
  });
  after(() => world?.close());

  const received = (segment: Parameters<typeof ip4>[1], v6: boolean): Buffer => {
    const [make, at] = v6 ? ([ip6, 'ip6'] as const) : ([ip4, 'ip4'] as const);
    return ethernet({ from: WEB.hostMac, to: WEB.mac }, make({ src: WORLD[at], dst: WEB[at] }, segment));
  };
  const frontends = async (frame: Buffer, ingressIfindex: number): Promise<number[]> => {
    await world.reset();
    await reader.drain();
    await world.run('to_workload', frame, { ingressIfindex });
    return (await reader.drain()).map(({ frontend }) => frontend);
  };

  test('what an uplink has translated, and nothing else', async () => {
    const syn = tcp({ sport: 4000, dport: 80, flags: 'S' });
    assert.deepEqual(await frontends(received(syn, false), UPLINK), [44]);
    assert.deepEqual(await frontends(received(syn, true), UPLINK), [46]);
    assert.deepEqual(await frontends(received(tcp({ sport: 4001, dport: 80, flags: 'S' }), false), UPLINK), [0]);
    assert.deepEqual(await frontends(received(udp({ sport: 4000, dport: 80 }), false), UPLINK), [0]);
    assert.deepEqual(await frontends(received(syn, false), 0), [0], 'by the host itself');
  });

  test('what the source of a connection becomes where packets leave the host', async () => {
    const SEEN = { ip4: '192.0.2.254', ip6: '2001:db8::fe' };
    const mappings = await createInner(world.map('source_mappings'), 'sources');
    for (const family of [4, 6] as const) {
      const at = family === 4 ? 'ip4' : 'ip6';
      const ends = { local: mapped(WEB[at]), remote: mapped(WORLD[at]), family };
      const value = nat_out_value.encode({ addr: mapped(SEEN[at]), port: 33_000, remote_port: 0, frontend: 0 });
      mappings.update(nat_key.encode({ ...ends, local_port: 5000, remote_port: 443, protocol: TCP }), value);
      const echo = { local_port: 7, remote_port: 0, protocol: family === 4 ? 1 : 58 };
      mappings.update(nat_key.encode({ ...ends, ...echo }), value);
    }
    const xlated = async (segment: Parameters<typeof ip4>[1], v6: boolean): Promise<string[]> => {
      const [make, at] = v6 ? ([ip6, 'ip6'] as const) : ([ip4, 'ip4'] as const);
      const frame = ethernet({ from: WEB.mac, to: WEB.hostMac }, make({ src: WEB[at], dst: WORLD[at] }, segment));
      await world.reset();
      await reader.drain();
      await world.run('from_workload', frame);
      return (await reader.drain()).map((flow) => `${flow.from} ${flow.xlated} ${flow.socket}`);
    };
    const syn = tcp({ sport: 5000, dport: 443, flags: 'S' });
    assert.deepEqual(await xlated(syn, false), [`${WEB.ip4}:5000  none`], 'no uplink translates');
    world.map('source_mappings').updateInner(u32(0), mappings);
    mappings.close();
    assert.deepEqual(await xlated(syn, false), [`${WEB.ip4}:5000 ${SEEN.ip4} none`]);
    assert.deepEqual(await xlated(syn, true), [`[${WEB.ip6}]:5000 ${SEEN.ip6} none`]);
    assert.deepEqual(await xlated(ping(), false), [`${WEB.ip4} ${SEEN.ip4} none`]);
    assert.deepEqual(await xlated(tcp({ sport: 5001, dport: 443, flags: 'S' }), false), [`${WEB.ip4}:5001  none`]);
    world.map('source_mappings').delete(u32(0));
  });

  test('a host without services', async () => {
    world.map('asked_mappings').delete(u32(0));
    assert.deepEqual(await frontends(received(tcp({ sport: 4000, dport: 80, flags: 'S' }), false), UPLINK), [0]);
  });
});
