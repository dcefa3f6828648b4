// SPDX-License-Identifier: Apache-2.0
/** Load balancing by sockets: real ones of a process in a cgroup, on both families, TCP and UDP. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_service_flags as FLAG, service_affinity, weir_counter } from '../gen/index.ts';
import { Balanced, type Frontend, TCP, UDP } from './lib/balanced.ts';
import { FlowReader } from './lib/flows.ts';

const PORTS = [9001, 9002, 9003] as const;
const VIP = { ip4: '198.51.100.1', ip6: '2001:db8:5::1' } as const;
const NODE = { ip4: '10.9.0.1', ip6: 'fd09::1' } as const;
const LOOPBACK = { ip4: '127.0.0.1', ip6: '::1' } as const;
const FAMILIES = ['ip4', 'ip6'] as const;

describe('sockets', { skip: needKernel() }, () => {
  let net: Balanced;
  before(async () => {
    net = await Balanced.open(PORTS, Object.values(NODE));
    for (const [f, family] of FAMILIES.entries()) {
      for (const [p, protocol] of [TCP, UDP].entries()) {
        for (const [i, port] of PORTS.entries())
          net.backend(1 + i + p * 10 + f * 100, LOOPBACK[family], port, protocol);
      }
    }
    for (const address of Object.values(NODE)) net.nodeAddress(address);
  });
  after(() => net?.close());

  /** Numbers of the three backends of a family and protocol. */
  const three = (family: 'ip4' | 'ip6', protocol = TCP): [number, number, number] => {
    const base = (protocol === UDP ? 10 : 0) + (family === 'ip6' ? 100 : 0);
    return [base + 1, base + 2, base + 3];
  };
  const many = async (times: number, ask: () => Promise<{ served?: string; error?: string }>): Promise<Set<string>> => {
    const seen = new Set<string>();
    for (let i = 0; i < times; i++) {
      const { served, error } = await ask();
      seen.add(served ?? error ?? '');
    }
    return seen;
  };

  for (const family of FAMILIES) {
    const address = VIP[family];
    test(`${family}, TCP: every backend is found, the peer is the service`, async () => {
      net.frontend({ number: 1, address, port: 80, active: three(family) });
      const before = await net.counter(weir_counter.COUNTER_SERVICE_SOCKETS);
      const seen = new Set<string | undefined>();
      for (let i = 0; i < 60; i++) {
        const { served, peer } = await net.ask('tcp', address, 80);
        assert.equal(peer, `${address} 80`);
        seen.add(served);
      }
      assert.deepEqual([...seen].sort(), PORTS.map(String));
      assert.equal((await net.counter(weir_counter.COUNTER_SERVICE_SOCKETS)) - before, 60);
      assert.equal(await net.remembered(), 0, 'a closed socket is forgotten');
    });

    test(`${family}, UDP: connected or not, answers come from the service`, async () => {
      net.frontend({ number: 2, address, port: 53, protocol: UDP, active: three(family, UDP) });
      for (const connected of [true, false]) {
        const { served, from, peer, error } = await net.ask('udp', address, 53, { connected });
        assert.equal(error, undefined);
        assert.ok(PORTS.map(String).includes(served ?? ''));
        assert.equal(from, `${address} 53`);
        assert.equal(peer, connected ? `${address} 53` : undefined);
      }
      assert.equal((await many(40, () => net.ask('udp', address, 53))).size, 3);
    });

    test(`${family}: the other protocol and what is no service go where they were sent`, async () => {
      net.frontend({ number: 3, address: LOOPBACK[family], port: PORTS[0], active: three(family).slice(1, 2) });
      assert.equal((await net.ask('tcp', LOOPBACK[family], PORTS[0])).served, '9002');
      assert.equal((await net.ask('udp', LOOPBACK[family], PORTS[0])).served, '9001');
      assert.equal((await net.ask('tcp', LOOPBACK[family], PORTS[2])).peer, `${LOOPBACK[family]} 9003`);
      net.noFrontend({ number: 3, address: LOOPBACK[family], port: PORTS[0], active: [] });
    });

    test(`${family}: one leaves, the rest serve; only terminating ones left, they serve; none, refused at once`, async () => {
      const [a, b, c] = three(family);
      const one = { number: 4, address, port: 81 } satisfies Omit<Frontend, 'active'>;
      net.frontend({ ...one, active: [a, c], terminating: [b] });
      assert.deepEqual(await many(40, () => net.ask('tcp', address, 81)), new Set(['9001', '9003']));
      net.frontend({ ...one, active: [], terminating: [b] });
      assert.deepEqual(await many(10, () => net.ask('tcp', address, 81)), new Set(['9002']));
      const before = await net.counter(weir_counter.COUNTER_SERVICE_REFUSED);
      net.frontend({ ...one, active: [] });
      assert.deepEqual(await net.ask('tcp', address, 81), { error: 'ECONNREFUSED' });
      net.frontend({ ...one, active: [], flags: FLAG.SERVICE_NO_BACKEND_DROP });
      assert.deepEqual(await net.ask('tcp', address, 81), { error: 'EPERM' });
      net.frontend({ ...one, number: 5, protocol: UDP, active: [] });
      for (const connected of [true, false])
        assert.deepEqual(await net.ask('udp', address, 81, { connected }), { error: 'ECONNREFUSED' });
      assert.equal((await net.counter(weir_counter.COUNTER_SERVICE_REFUSED)) - before, 4);
    });

    test(`${family}: a port that nothing serves is refused where the address says so`, async () => {
      const wildcard = { number: 6, address, port: 0, flags: FLAG.SERVICE_WILDCARD, active: [] };
      net.frontend(wildcard);
      assert.deepEqual(await net.ask('tcp', address, 4444), { error: 'ECONNREFUSED' });
      assert.deepEqual(await net.ask('udp', address, 4444), { error: 'ECONNREFUSED' });
      net.frontend({ number: 1, address, port: 80, active: three(family) });
      assert.equal((await net.ask('tcp', address, 80)).error, undefined);
      net.noFrontend(wildcard);
    });

    test(`${family}: seen from inside a service may have other backends`, async () => {
      const [a, b] = three(family);
      const one = { number: 7, address, port: 82 };
      net.frontend({ ...one, active: [a], flags: FLAG.SERVICE_TWO_SCOPES });
      net.frontend({ ...one, internal: true, active: [b] });
      assert.deepEqual(await many(10, () => net.ask('tcp', address, 82)), new Set(['9002']));
      net.frontend({ ...one, active: [a] });
      assert.deepEqual(await many(10, () => net.ask('tcp', address, 82)), new Set(['9001']));
    });

    test(`${family}: NodePort at the host's addresses and at its loopback, and nobody may bind it`, async () => {
      const any = family === 'ip4' ? '0.0.0.0' : '::';
      const one = { number: 8, address: any, port: 30_080, flags: FLAG.SERVICE_NODE_PORT };
      net.frontend({ ...one, active: three(family) });
      for (const address of [NODE[family], LOOPBACK[family]]) {
        const { served, peer } = await net.ask('tcp', address, 30_080);
        assert.ok(PORTS.map(String).includes(served ?? ''));
        assert.equal(peer, `${address} 30080`);
        assert.deepEqual(await net.ask('bind', address, 30_081), {});
      }
      assert.equal((await net.ask('tcp', VIP[family], 30_080)).served, undefined, 'that is no address of a host');
      for (const address of [any, NODE[family]]) {
        assert.deepEqual(await net.ask('bind', address, 30_080), { error: 'EADDRINUSE' });
        assert.deepEqual(await net.ask('bind', address, 30_080, { udp: true }), {});
      }
      const cookie = 1n;
      net.settings(cookie);
      assert.deepEqual(await net.ask('bind', any, 30_080), {}, 'another namespace has ports of its own');
      assert.equal((await net.ask('tcp', LOOPBACK[family], 30_080)).error, 'ECONNREFUSED');
      assert.ok((await net.ask('tcp', NODE[family], 30_080)).served);
      await net.hostAgain();
    });

    test(`${family}: a client stays with its backend, until that leaves or the time is over`, async () => {
      const [a, b, c] = three(family);
      const one = { number: 20, address, port: 83, flags: FLAG.SERVICE_AFFINITY, affinityS: 3600 };
      net.frontend({ ...one, active: [a, b, c] });
      const [first] = await many(20, () => net.ask('tcp', address, 83));
      assert.deepEqual(await many(20, () => net.ask('tcp', address, 83)), new Set([first]));
      const gone = (PORTS as readonly number[]).indexOf(Number(first)) + a;
      net.frontend({ ...one, active: [a, b, c].filter((number) => number !== gone) });
      net.notMember({ ...one, active: [] }, gone);
      const [second] = await many(1, () => net.ask('tcp', address, 83));
      assert.notEqual(second, first);
      assert.deepEqual(await many(20, () => net.ask('tcp', address, 83)), new Set([second]));
      net.frontend({ ...one, affinityS: 1, active: [a, b, c] });
      const map = net.object.map('service_affinity');
      const seen = new Set<string>();
      for (let i = 0; i < 60; i++) {
        const { keys, values, count } = await map.lookupAll();
        for (let at = 0; at < count; at++) {
          const had = service_affinity.decode(values, at * service_affinity.size);
          const key = keys.subarray(at * map.keySize, (at + 1) * map.keySize);
          map.update(key, service_affinity.encode({ ...had, last_ns: 1n }));
        }
        seen.add((await net.ask('tcp', address, 83)).served ?? '');
      }
      assert.equal(seen.size, 3, 'later any backend will do');
    });
  }

  test('a refusal is a flow of the workload, towards the service', async () => {
    const reader = new FlowReader(net);
    await net.isWorkload(77, 1234, '10.1.0.1', 'fd01::1');
    net.frontend({ number: 50, address: VIP.ip4, port: 87, active: [] });
    net.frontend({ number: 51, address: VIP.ip6, port: 87, protocol: UDP, active: [] });
    await reader.drain();
    await net.ask('tcp', VIP.ip4, 87);
    await net.ask('udp', VIP.ip6, 87);
    const flows = await reader.drain();
    const told = flows.map(({ workload, from, to, protocol, verdict, reason, direction, sourceIdentity }) =>
      [workload, sourceIdentity, from, to, protocol, verdict, reason, direction].join(' '),
    );
    assert.deepEqual(told, [
      `77 1234 10.1.0.1 ${VIP.ip4}:87 6 dropped 158 egress`,
      `77 1234 fd01::1 [${VIP.ip6}]:87 17 dropped 158 egress`,
    ]);
  });

  for (const family of FAMILIES)
    test(`LB-15 ${family}: a redirect lies over a service; whom it leaves out gets that, or the address itself`, async () => {
      const own = { ip4: '10.1.0.1', ip6: 'fd01::1' };
      await net.isWorkload(77, 1234, own.ip4, own.ip6);
      const [a, b] = three(family);
      const REDIRECT = FLAG.SERVICE_LOCAL_REDIRECT | FLAG.SERVICE_SOURCE_RANGE;
      const under = { number: 60, address: VIP[family], port: 89 };
      const over = { number: family === 'ip4' ? 61 : 62, address: VIP[family], port: 89, flags: REDIRECT, active: [b] };
      const alone = { ...over, address: LOOPBACK[family], port: PORTS[2] };
      const ask = async (address: string, port: number) => {
        const { served, peer } = await net.ask('tcp', address, port);
        assert.equal(peer, `${address} ${port}`);
        return served;
      };
      net.frontend({ ...under, active: [a], flags: FLAG.SERVICE_TWO_SCOPES });
      net.frontend({ ...over, internal: true });
      net.frontend(alone);
      assert.deepEqual([await ask(VIP[family], 89), await ask(LOOPBACK[family], PORTS[2])], ['9002', '9002']);
      net.range(over.number + 1000, `${own[family]}/${family === 'ip4' ? 32 : 128}`);
      assert.deepEqual([await ask(VIP[family], 89), await ask(LOOPBACK[family], PORTS[2])], ['9001', '9003']);
      net.noFrontend(alone);
    });

  test('IPv4 in IPv6 sockets: TCP and UDP, the service is shown v4-mapped', async () => {
    const asked = `::ffff:${VIP.ip4}`;
    net.frontend({ number: 1, address: VIP.ip4, port: 80, active: three('ip4') });
    net.frontend({ number: 2, address: VIP.ip4, port: 53, protocol: UDP, active: three('ip4', UDP) });
    const { served, peer } = await net.ask('tcp', asked, 80);
    assert.ok(PORTS.map(String).includes(served ?? ''));
    assert.equal(peer, `${asked} 80`);
    for (const connected of [true, false]) {
      const answer = await net.ask('udp', asked, 53, { connected });
      assert.equal(answer.from, `${asked} 53`);
    }
  });

  test('a backend that is gone before its slot: refused, not somewhere else', async () => {
    const one = { number: 30, address: VIP.ip4, port: 84 };
    net.backend(500, LOOPBACK.ip4, PORTS[0]);
    net.frontend({ ...one, active: [500] });
    assert.equal((await net.ask('tcp', VIP.ip4, 84)).served, '9001');
    net.noBackend(500);
    assert.deepEqual(await net.ask('tcp', VIP.ip4, 84), { error: 'ECONNREFUSED' });
  });

  test('tables that change all the time: every connection finds a backend of its own service', async () => {
    const [a, b, c] = three('ip4');
    const left = { number: 40, address: VIP.ip4, port: 85 };
    const right = { number: 41, address: VIP.ip4, port: 86 };
    let isDone = false;
    let changes = 0;
    const change = async (): Promise<void> => {
      while (!isDone) {
        for (let i = 0; i < 51; i++, changes++) {
          net.frontend({ ...left, active: changes % 2 ? [a] : [b, a] });
          net.frontend({ ...right, active: changes % 2 ? [c, c, c] : [c] });
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const changing = change();
    const served = { left: new Set<string>(), right: new Set<string>() };
    for (let i = 0; i < 80; i++) {
      const [one, two] = await Promise.all([net.ask('tcp', VIP.ip4, 85), net.ask('tcp', VIP.ip4, 86)]);
      served.left.add(one.served ?? one.error ?? '');
      served.right.add(two.served ?? two.error ?? '');
    }
    isDone = true;
    await changing;
    assert.ok(changes >= 50);
    assert.deepEqual(
      [...served.left].filter((by) => by !== '9001' && by !== '9002'),
      [],
    );
    assert.deepEqual([...served.right], ['9003']);
  });
});
