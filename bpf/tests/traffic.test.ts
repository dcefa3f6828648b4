// SPDX-License-Identifier: Apache-2.0
/**
 * Real sockets through the attached programs: what test runs cannot show, namely GSO packets, packets in page
 * fragments, handing over between namespaces, reassembly, errors that reach a socket, and counts against the kernel's.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_workload_flags as FLAG, weir_counter, weir_sweep_flags } from '../gen/index.ts';
import { FlowReader, type SeenFlow } from './lib/flows.ts';
import { Namespaces } from './lib/namespaces.ts';
import { CLOSED, HOST, OPEN, type Rule } from './lib/world.ts';

describe('traffic', { skip: needKernel() }, () => {
  let net: Namespaces;
  let reader: FlowReader;
  before(async () => {
    net = await Namespaces.create();
    reader = new FlowReader(net.world);
    for (const where of ['host', 'a', 'b'] as const) await net.serve(where);
  });
  after(() => net?.destroy());

  const rules = (peer: number): Rule[] => [
    { egress: true, identity: peer, protocol: 6, port: 80, id: 1 },
    { egress: true, identity: peer, protocol: 17, id: 2 },
    { egress: true, identity: HOST.identity, protocol: 6, port: 80, id: 3 },
    { identity: peer, protocol: 6, port: 80, id: 4 },
    { identity: peer, protocol: 17, id: 5 },
  ];
  beforeEach(async () => {
    const flags = CLOSED | FLAG.WORKLOAD_ALLOW_HOST;
    await net.world.policy(net.a, rules(net.b.identity), flags);
    await net.world.policy(net.b, rules(net.a.identity), flags);
    await net.world.clear('conntrack');
    await reader.drain();
  });

  for (const family of ['ip4', 'ip6'] as const) {
    test(`${family}: a megabyte of TCP there and back, handed over`, async () => {
      const before = await net.world.counter(weir_counter.COUNTER_REDIRECTED);
      assert.equal(await net.talk('a', { kind: 'tcp', to: net.b[family], port: 80, bytes: 1 << 20 }), `${1 << 20}`);
      assert.ok((await net.world.counter(weir_counter.COUNTER_REDIRECTED)) - before > 20);
    });

    test(`${family}: datagrams in six fragments`, async () => {
      assert.equal(await net.talk('a', { kind: 'udp', to: net.b[family], port: 53, bytes: 8000 }), '8000');
    });

    test(`${family}: what policy refuses does not arrive`, async () => {
      assert.equal(await net.talk('a', { kind: 'tcp', to: net.b[family], port: 81 }), 'timeout');
      const flows = await reader.drain();
      assert.ok(flows.length > 0 && flows.every(({ verdict, reason }) => verdict === 'dropped' && reason === 133));
    });

    test(`${family}: between workload and host, both ways`, async () => {
      assert.equal(await net.talk('a', { kind: 'tcp', to: HOST[family], port: 80, bytes: 100_000 }), '100000');
      assert.ok((await reader.drain()).some(({ point, reply }) => point === 'to-host' && !reply));
      assert.equal(await net.talk('host', { kind: 'tcp', to: net.a[family], port: 81, bytes: 100_000 }), '100000');
      assert.equal(await net.talk('a', { kind: 'tcp', to: HOST[family], port: 81 }), 'timeout');
    });

    test(`${family}: an error about a tracked connection reaches the socket`, async () => {
      assert.equal(await net.talk('a', { kind: 'udp', to: net.b[family], port: 5000 }), 'ECONNREFUSED');
      const related = (await reader.drain()).filter(({ why }) => why === 'related');
      assert.deepEqual(related.map(({ workload }) => workload).sort(), [net.a.id, net.b.id]);
    });
  }

  const PROHIBITED = { ip4: 'EHOSTUNREACH', ip6: 'EACCES' } as const; // as Linux reads the codes
  for (const family of ['ip4', 'ip6'] as const) {
    test(`${family}: who is refused hears of it at once, where that is asked for`, async () => {
      const { world, a, b, talk } = { world: net.world, a: net.a, b: net.b, talk: net.talk.bind(net) };
      const open = (who: typeof a) => world.policy(who, [{ egress: true, id: 1 }, { id: 2 }]);
      const response = 'RESET' as const;
      // where it sends
      await open(b);
      await world.policy(a, [{ egress: true, deny: true, response, id: 3 }]);
      assert.equal(await talk('a', { kind: 'tcp', to: b[family], port: 80 }), 'ECONNREFUSED');
      assert.equal(await talk('a', { kind: 'udp', to: b[family], port: 53 }), PROHIBITED[family]);
      await world.policy(a, [{ egress: true, deny: true, response: 'ICMP', id: 3 }]);
      assert.equal(await talk('a', { kind: 'tcp', to: b[family], port: 80 }), PROHIBITED[family]);
      // where its peer receives
      await open(a);
      await world.policy(b, [{ deny: true, response, id: 4 }]);
      assert.equal(await talk('a', { kind: 'tcp', to: b[family], port: 80 }), 'ECONNREFUSED');
      assert.equal(await talk('a', { kind: 'udp', to: b[family], port: 53, bytes: 8000 }), PROHIBITED[family]);
      // from the host, through its stack, though the workload may send nothing itself
      await world.policy(b, [
        { deny: true, response, id: 4 },
        { egress: true, deny: true, id: 5 },
      ]);
      assert.equal(await talk('host', { kind: 'tcp', to: b[family], port: 80 }), 'ECONNREFUSED');
      assert.equal(await talk('host', { kind: 'udp', to: b[family], port: 53 }), PROHIBITED[family]);
    });
  }

  test('every byte that a workload sent is in a flow', async () => {
    const total = (flows: readonly SeenFlow[]): number =>
      flows
        .filter(({ workload, from }) => workload === net.a.id && from.includes(`${net.a.ip4}:`))
        .reduce((sum, { bytes }) => sum + bytes, 0);
    const before = net.sentBy('a');
    for (const bytes of [1, 1000, 300_000, 2_000_000]) {
      assert.equal(await net.talk('a', { kind: 'tcp', to: net.b.ip4, port: 80, bytes }), `${bytes}`);
    }
    assert.equal(await net.talk('a', { kind: 'udp', to: net.b.ip4, port: 53, bytes: 20_000 }), '20000');
    await net.world.sweep({ flags: weir_sweep_flags.SWEEP_REPORT_ALL });
    const flows = await reader.drain();
    const after = net.sentBy('a');
    assert.equal(total(flows), after.bytes - before.bytes);
  });
});

describe('traffic to a workload with a smaller MTU', { skip: needKernel() }, () => {
  let net: Namespaces;
  before(async () => {
    net = await Namespaces.create({ mtuOfB: 1400 });
    for (const who of [net.a, net.b]) net.world.workload(who, OPEN);
    await net.serve('b');
  });
  after(() => net?.destroy());

  // an IPv4 router cuts fragments smaller; an IPv6 one says what fits, and the socket hears it
  for (const [family, first] of [
    ['ip4', '8000'],
    ['ip6', 'EMSGSIZE'],
  ] as const) {
    test(`${family}: the router takes over what does not fit`, async () => {
      const talk = { kind: 'udp', to: net.b[family], port: 53, bytes: 8000 } as const;
      assert.equal(await net.talk('a', talk), first);
      assert.equal(await net.talk('a', talk), '8000');
      assert.equal(await net.talk('a', { ...talk, kind: 'tcp', port: 80, bytes: 300_000 }), '300000');
    });
  }
});
