// SPDX-License-Identifier: Apache-2.0
/** Services in XDP, packet by packet: which backend, byte by byte what leaves, what is remembered, and what is left to tc. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createInner } from '@weir/loader';
import { needKernel } from '@weir/loader/testing';
import {
  prefilter_value,
  prefix_key,
  weir_backend_flags,
  weir_counter,
  weir_maglev_bits,
  weir_service_flags,
  weir_service_limits,
} from '../gen/index.ts';
import { checksum, ip, mac, mapped } from './lib/bytes.ts';
import { destinationOptions, ethernet, ip4, ip4Fragments, ip6, type Packet } from './lib/packet.ts';
import { icmp, icmp6, ping, sctp, tcp, udp } from './lib/transport.ts';
import { IPIP, MACS, OPTION, type Slots, slotOf, type Vip, Vips } from './lib/vips.ts';
import { World } from './lib/world.ts';

const XDP = { drop: 1, pass: 2, tx: 3 } as const;
const PROTOCOL = { tcp: 6, udp: 17 } as const;
const WEB4: Vip = { number: 7, address: '198.51.100.1', port: 80, protocol: PROTOCOL.tcp };
const WEB6: Vip = { number: 8, address: '2001:db8:5::1', port: 80, protocol: PROTOCOL.tcp };
const DNS4: Vip = { number: 9, address: '198.51.100.1', port: 53, protocol: PROTOCOL.udp };
const CLIENT = { 4: '192.0.2.10', 6: '2001:db8::10' } as const;
const BACKENDS = new Map([[1, '10.2.0.1'], [2, '10.2.0.2'], [3, '10.2.0.3'], [11, 'fd02::1'], [12, 'fd02::2']]); // biome-ignore format: a table
const SIZE = 251;
const { MAGLEV_CHANGED } = weir_maglev_bits;
const same = (...numbers: number[]): Slots =>
  Array.from({ length: SIZE }, (_, i) => {
    const number = numbers[i % numbers.length] ?? 0;
    return [number, number];
  });
const all = (current: number, previous: number): Slots => Array.from({ length: SIZE }, () => [current, previous]);

describe('services in XDP', { skip: needKernel() }, () => {
  let world: World;
  let vips: Vips;
  before(async () => {
    world = await World.open({}, 4096, 1 << 20, ['accelerator']);
    vips = new Vips(world);
  });
  after(() => world.close());
  beforeEach(async () => {
    await vips.reset();
    for (const [number, address] of BACKENDS) {
      vips.backend(number, address);
      vips.way(number, address);
    }
  });

  const run = async (packet: Packet, to: string = MACS.own, vlans: number[] = [], program = 'accelerate_uplink') => {
    const data = ethernet({ from: MACS.client, to, vlans }, packet);
    const { retval, dataOut } = await world.program(program).testRun({ data });
    return { action: retval, sent: Buffer.from(dataOut ?? Buffer.alloc(0)), data };
  };
  const packetFor = (vip: Vip, sport: number, flags = 'S', client?: string): Packet => {
    const segment =
      vip.protocol === PROTOCOL.tcp
        ? tcp({ sport, dport: vip.port, flags })
        : udp({ sport, dport: vip.port, data: 'ask' });
    const is6 = vip.address.includes(':');
    const address = { src: client ?? CLIENT[is6 ? 6 : 4], dst: vip.address };
    return is6 ? ip6(address, segment) : ip4(address, segment);
  };
  const backendOf = (sent: Buffer): number => {
    const to = sent.readUInt16BE(12) === 0x86dd ? sent.subarray(38, 54) : sent.subarray(30, 34);
    return [...BACKENDS].find(([, address]) => ip(address).equals(to))?.[0] ?? 0;
  };
  const sentTo = async (vip: Vip, sport: number, flags?: string, client?: string): Promise<number> => {
    const { action, sent } = await run(packetFor(vip, sport, flags, client));
    assert.equal(action, XDP.tx);
    return backendOf(sent);
  };
  const counter = (name: 'ENCAPSULATED' | 'FLOW_HIT' | 'FLOW_MISS' | 'FLOW_FLOOD' | 'TOO_BIG') =>
    world.counter(weir_counter[`COUNTER_SERVICE_${name}`]);

  test('IPv4 in IPv4: the headers, byte by byte, and what is inside as it was', async () => {
    await vips.frontend(WEB4, same(1));
    const inner = ip4(
      { src: CLIENT[4], dst: WEB4.address, tos: 0xb8, ttl: 3 },
      tcp({ sport: 5000, dport: 80, data: 'hello' }),
    );
    const { action, sent } = await run(inner);
    assert.equal(action, XDP.tx);
    assert.deepEqual(sent.subarray(0, 14), Buffer.concat([mac(MACS.next), mac(MACS.own), Buffer.from('0800', 'hex')]));
    const outer = sent.subarray(14, 34);
    assert.equal(
      outer.toString('hex', 0, 10),
      `45b8${(20 + inner.bytes.length).toString(16).padStart(4, '0')}000040004004`,
    );
    assert.equal(checksum(outer), 0);
    assert.deepEqual(outer.subarray(12), Buffer.concat([ip('203.0.113.64'), ip('10.2.0.1')]));
    assert.deepEqual(sent.subarray(34), inner.bytes);
    assert.deepEqual(vips.counts(WEB4.number, 1), { packets: 1, bytes: inner.bytes.length });
  });

  test('IPv6 in IPv6, and IPv4 in IPv6', async () => {
    await vips.frontend(WEB6, same(11));
    await vips.frontend(WEB4, same(12));
    for (const [vip, next, to] of [
      [WEB6, 41, 'fd02::1'],
      [WEB4, 4, 'fd02::2'],
    ] as const) {
      // biome-ignore format: a table
      const inner = packetFor(vip, 5000);
      const { action, sent } = await run(inner);
      assert.equal(action, XDP.tx);
      assert.equal(sent.readUInt16BE(12), 0x86dd);
      const outer = sent.subarray(14, 54);
      assert.deepEqual([outer[0], outer.readUInt16BE(4), outer[6], outer[7]], [0x60, inner.bytes.length, next, 64]);
      assert.deepEqual(outer.subarray(8), Buffer.concat([ip('2001:db8:f::'), ip(to)]));
      assert.deepEqual(sent.subarray(54), inner.bytes);
    }
  });

  test('LB-06 by the option: what begins carries it, the rest has the backend as destination, byte by byte', async () => {
    const flags = OPTION;
    const dns6: Vip = { ...WEB6, number: 10, port: 53, protocol: PROTOCOL.udp, flags };
    for (const [vip, number] of [
      [{ ...WEB4, flags }, 1],
      [{ ...DNS4, flags }, 2],
      [{ ...WEB6, flags }, 11],
      [dns6, 12],
    ] as const) {
      // biome-ignore format: a table
      await vips.frontend(vip, same(number));
      const backend = BACKENDS.get(number) ?? '';
      vips.way(number, backend, { port: 8080 });
      for (const tcpFlags of ['S', 'A', 'FA']) {
        const is6 = vip.address.includes(':');
        const isMarked = tcpFlags === 'S' || vip.protocol === PROTOCOL.udp;
        const segment = (dport: number) =>
          vip.protocol === PROTOCOL.tcp
            ? tcp({ sport: 5000, dport, flags: tcpFlags, data: 'odd' })
            : udp({ sport: 5000, dport, data: 'ask' });
        const asked = is6
          ? ip6({ src: CLIENT[6], dst: vip.address, hopLimit: 9, trafficClass: 0xb8 }, segment(vip.port))
          : ip4({ src: CLIENT[4], dst: vip.address, ttl: 9, tos: 0xb8, id: 77 }, segment(vip.port));
        const port = Buffer.from([0, vip.port]);
        const wanted = is6
          ? ip6(
              {
                ...{ src: CLIENT[6], dst: backend, hopLimit: 8, trafficClass: 0xb8 },
                extensions: isMarked
                  ? [
                      {
                        protocol: 60,
                        rest: Buffer.concat([Buffer.from([2, 0x1b, 18]), ip(vip.address), port, Buffer.from([1, 0])]),
                      },
                    ]
                  : [],
              },
              segment(8080),
            )
          : ip4(
              {
                ...{ src: CLIENT[4], dst: backend, ttl: 8, tos: 0xb8, id: 77 },
                options: isMarked ? `9a08${port.toString('hex')}${ip(vip.address).toString('hex')}` : '',
              },
              segment(8080),
            );
        const { action, sent } = await run(asked);
        assert.equal(action, XDP.tx);
        assert.deepEqual(sent.subarray(0, 12), Buffer.concat([mac(MACS.next), mac(MACS.own)]));
        assert.equal(sent.toString('hex', 12), `${is6 ? '86dd' : '0800'}${wanted.bytes.toString('hex')}`);
      }
      assert.equal(vips.counts(vip.number, number).packets, 3);
    }
    const datagram = udp({ sport: 1, dport: 53 });
    const bare = ip4({ src: CLIENT[4], dst: DNS4.address }, { ...datagram, checksumAt: undefined });
    const { sent } = await run(bare);
    assert.equal(sent.toString('hex', 14 + 28 + 6, 14 + 28 + 8), '0000', 'no checksum stays none');
    const long = ip4(
      { src: CLIENT[4], dst: WEB4.address },
      tcp({ sport: 1, dport: 80, flags: 'S', data: Buffer.alloc(1450) }),
    );
    assert.equal((await run(long)).action, XDP.pass, 'too long with the option: tc tells');
  });

  test('sources are of the range that was given, one for each connection', async () => {
    vips.settings('203.0.113.64', '2001:db8:f::', '0.0.0.63', '0.255.255.255');
    await vips.frontend(WEB4, same(1));
    await vips.frontend(WEB6, same(11));
    const sources = new Set<string>();
    for (let sport = 1000; sport < 1100; sport++) {
      const { sent } = await run(packetFor(WEB4, sport));
      assert.deepEqual((await run(packetFor(WEB4, sport, 'A'))).sent.subarray(26, 30), sent.subarray(26, 30));
      assert.equal(checksum(sent.subarray(14, 34)), 0);
      assert.equal(sent.toString('hex', 26, 29), 'cb0071');
      assert.equal((sent[29] ?? 0) >> 6, 1);
      sources.add(sent.toString('hex', 26, 30));
      const six = (await run(packetFor(WEB6, sport))).sent;
      assert.equal(six.toString('hex', 22, 35), '20010db8000f00000000000000');
      sources.add(six.toString('hex', 22, 38));
    }
    assert.ok(sources.size > 120, `${sources.size} sources`);
  });

  test('LB-07 the slot is that of the published hash, whoever computes it: the same backend on every host', async () => {
    const slots = same(1, 2, 3);
    const slots6 = same(11, 12);
    for (const [vip, table] of [
      [WEB4, slots],
      [DNS4, slots],
      [WEB6, slots6],
    ] as const) {
      // biome-ignore format: a table
      await vips.frontend(vip, table);
      const seen = new Map<number, number>();
      for (let sport = 2000; sport < 2200; sport++) {
        const client = vip.address.includes(':') ? `2001:db8::${sport}` : `192.0.2.${sport % 250}`;
        const wanted = table[slotOf({ client, sport }, vip, SIZE)]?.[0] ?? 0;
        assert.equal(await sentTo(vip, sport, 'S', client), wanted, `${client} ${sport}`);
        assert.equal(await sentTo(vip, sport, 'A', client), wanted);
        seen.set(wanted, (seen.get(wanted) ?? 0) + 1);
      }
      for (const [number, times] of seen) assert.ok(times > 40, `backend ${number} got ${times} of 200`);
    }
    assert.deepEqual(await vips.flows(), [], 'nothing is remembered, neither of SYNs');
  });

  test('LB-08 with affinity the client alone decides', async () => {
    const vip = { ...WEB4, flags: IPIP | weir_service_flags.SERVICE_AFFINITY };
    const slots = same(1, 2, 3);
    await vips.frontend(vip, slots);
    const seen = new Set<number>();
    for (let host = 1; host < 30; host++) {
      const client = `192.0.2.${host}`;
      const wanted = slots[slotOf({ client, sport: 0 }, vip, SIZE)]?.[0] ?? 0;
      for (const sport of [1000, 2000, 3000]) assert.equal(await sentTo(vip, sport, 'S', client), wanted);
      seen.add(wanted);
    }
    assert.equal(seen.size, 3);
  });

  test('LB-22 a slot that changes hands: older connections stay, new ones go where it is now, through further changes', async () => {
    await vips.frontend(WEB4, all(1, 1));
    assert.deepEqual([await sentTo(WEB4, 1000), await sentTo(WEB4, 1001)], [1, 1]);
    const [hits, misses] = [await counter('FLOW_HIT'), await counter('FLOW_MISS')];
    await vips.table(WEB4.number, all(2, 1));
    assert.equal(await sentTo(WEB4, 1000, 'A'), 1);
    assert.deepEqual([await sentTo(WEB4, 2000), await sentTo(WEB4, 2000), await sentTo(WEB4, 2000, 'A')], [2, 2, 2]);
    assert.deepEqual([(await counter('FLOW_HIT')) - hits, (await counter('FLOW_MISS')) - misses], [1, 2]);
    assert.deepEqual((await vips.flows()).map((flow) => flow.backend).sort(), [1, 2]);
    await vips.table(WEB4.number, all(3, 1));
    assert.deepEqual([await sentTo(WEB4, 1000, 'A'), await sentTo(WEB4, 1001, 'A')], [1, 1]);
    assert.deepEqual([await sentTo(WEB4, 2000, 'A'), await sentTo(WEB4, 2000, 'FA')], [2, 2]);
    assert.equal(await sentTo(WEB4, 3000), 3);
    await vips.table(WEB4.number, all(1, (1 | MAGLEV_CHANGED) >>> 0));
    assert.deepEqual(
      [await sentTo(WEB4, 2000, 'A'), await sentTo(WEB4, 3000, 'A'), await sentTo(WEB4, 1001, 'A')],
      [2, 3, 1],
    );
    assert.deepEqual([await sentTo(WEB4, 4000, 'A'), await sentTo(WEB4, 2000)], [1, 1], 'the same ports, begun again');
  });

  test('datagrams go where the slot is now, and none is remembered', async () => {
    await vips.frontend(DNS4, all(2, 1));
    assert.deepEqual([await sentTo(DNS4, 1000), await sentTo(DNS4, 1000)], [2, 2]);
    assert.deepEqual(await vips.flows(), []);
  });

  test('LB-20 in a flood nothing more is remembered, and what begins stays with the backend that the rest goes to', async () => {
    await vips.frontend(WEB4, all(2, 1));
    const floods = await counter('FLOW_FLOOD');
    let done = false;
    while (!done) {
      const second = process.hrtime.bigint() / 1_000_000_000n;
      await vips.reset();
      for (const [number, address] of BACKENDS) vips.way(number, address);
      await vips.frontend(WEB4, all(2, 1));
      vips.flood(second, BigInt(weir_service_limits.WEIR_SERVICE_FLOOD));
      const to = [await sentTo(WEB4, 1000), await sentTo(WEB4, 1000, 'A')];
      // The clock may have gone on to the next second, in which connections are remembered again.
      done = process.hrtime.bigint() / 1_000_000_000n === second && to[0] === 1;
      if (done) assert.deepEqual(to, [1, 1]);
    }
    assert.deepEqual(await vips.flows(), []);
    assert.ok((await counter('FLOW_FLOOD')) > floods);
    vips.flood(0n, BigInt(weir_service_limits.WEIR_SERVICE_FLOOD));
    assert.equal(await sentTo(WEB4, 1000), 2);
  });

  test('"too big" about what a service sent goes to the backend that sent it', async () => {
    await vips.frontend(WEB4, same(1, 2, 3));
    await vips.frontend(WEB6, same(11, 12));
    const before = await counter('TOO_BIG');
    for (let sport = 1000; sport < 1030; sport++) {
      const quoted4 = ip4(
        { src: WEB4.address, dst: CLIENT[4], dontFragment: true },
        tcp({ sport: 80, dport: sport, flags: 'A' }),
      );
      const error4 = ip4(
        { src: '192.0.2.254', dst: WEB4.address },
        icmp({ type: 3, code: 4, seq: 1280, data: quoted4.bytes }),
      );
      const quoted6 = ip6({ src: WEB6.address, dst: CLIENT[6] }, tcp({ sport: 80, dport: sport, flags: 'A' }));
      const error6 = ip6(
        { src: '2001:db8::fe', dst: WEB6.address },
        icmp6({ type: 2, seq: 1280, data: quoted6.bytes }),
      );
      for (const [error, vip] of [
        [error4, WEB4],
        [error6, WEB6],
      ] as const) {
        // biome-ignore format: a table
        const { action, sent } = await run(error);
        assert.equal(action, XDP.tx);
        assert.equal(backendOf(sent), await sentTo(vip, sport, 'A'));
        assert.deepEqual(sent.subarray(vip === WEB4 ? 34 : 54), error.bytes);
      }
    }
    assert.equal((await counter('TOO_BIG')) - before, 60);
  });

  test('what XDP does not understand, or may not do, is left to tc as it came', async () => {
    await vips.frontend(WEB4, same(1));
    await vips.frontend(WEB6, same(11));
    await vips.frontend({ ...WEB4, port: 81, flags: IPIP | weir_service_flags.SERVICE_SOURCE_RANGE }, same(1));
    await vips.frontend({ ...WEB4, port: 82 }, []);
    await vips.frontend({ ...WEB4, port: 83, flags: weir_service_flags.SERVICE_ROUTABLE }, same(1));
    await vips.frontend({ ...WEB4, port: 84, flags: IPIP & ~weir_service_flags.SERVICE_ROUTABLE }, same(1));
    await vips.frontend({ ...WEB4, port: 85 }, same(21));
    vips.backend(21, '127.0.0.9', weir_backend_flags.BACKEND_LOCAL);
    await vips.frontend({ ...WEB4, port: 86 }, same(22));
    await vips.frontend({ ...WEB4, port: 87 }, same(23));
    vips.way(23, '10.2.0.23', { ifindex: 2 });
    const to = { src: CLIENT[4], dst: WEB4.address };
    const web = tcp({ sport: 1000, dport: 80 });
    const left: [string, Packet][] = [
      ['no service', ip4({ ...to, dst: '198.51.100.2' }, web)],
      ['another port', packetFor({ ...WEB4, port: 79 }, 1000)],
      ['source ranges', packetFor({ ...WEB4, port: 81 }, 1000)],
      ['chosen at random', packetFor({ ...WEB4, port: 82 }, 1000)],
      ['translated', packetFor({ ...WEB4, port: 83 }, 1000)],
      ['not for clients from outside', packetFor({ ...WEB4, port: 84 }, 1000)],
      ['a backend of this host', packetFor({ ...WEB4, port: 85 }, 1000)],
      ['a backend that nobody knows', packetFor({ ...WEB4, port: 86 }, 1000)],
      ['another way out', packetFor({ ...WEB4, port: 87 }, 1000)],
      ['the last hop', ip4({ ...to, ttl: 1 }, web)],
      ['IPv4 options', ip4({ ...to, options: '01010101' }, web)],
      ['a header behind IPv6', ip6({ src: CLIENT[6], dst: WEB6.address, extensions: [destinationOptions()] }, web)],
      ['SCTP', ip4(to, sctp({ sport: 1000, dport: 80 }))],
      ['a ping', ip4(to, ping())],
      ['TCP flags that nobody sends', ip4(to, tcp({ sport: 1000, dport: 80, flags: 'SF' }))],
      [
        'too long inside another packet',
        ip4(to, tcp({ sport: 1000, dport: 80, flags: 'A', data: Buffer.alloc(1430) })),
      ],
      ['a martian', ip4({ ...to, src: '127.0.0.1' }, web)],
      ['a length that is not there', ip4({ ...to, length: 400 }, web)],
      ...ip4Fragments({ ...to, id: 7 }, udp({ sport: 1, dport: 80, data: 'x'.repeat(64) }), [32]).map(
        (fragment, i): [string, Packet] => [`fragment ${i}`, fragment],
      ),
    ];
    for (const [what, packet] of left) {
      const { action, sent, data } = await run(packet);
      assert.deepEqual([action, sent.toString('hex')], [XDP.pass, data.toString('hex')], what);
    }
    assert.equal((await run(packetFor(WEB4, 1000), MACS.client)).action, XDP.pass, 'for another MAC');
    assert.equal((await run(packetFor(WEB4, 1000), MACS.own, [7])).action, XDP.pass, 'tagged');
    vips.settings('0.0.0.0', '::');
    world.map('service_settings');
    assert.equal((await run(packetFor(WEB6, 1000))).action, XDP.pass, 'no source');
    assert.deepEqual(vips.counts(WEB4.number, 1), { packets: 0, bytes: 0 });
  });

  test('the prefilter comes first', async () => {
    await vips.frontend(WEB4, same(1));
    const inner = await createInner(world.map('prefilter'), 'denied');
    inner.update(
      prefix_key.encode({ prefixlen: 96 + 24, addr: mapped('192.0.2.0') }),
      prefilter_value.encode({ revision: 1n }),
    );
    world.map('prefilter').updateInner(Buffer.alloc(4), inner);
    inner.close();
    const guarded = async (packet: Packet) => (await run(packet, MACS.own, [], 'guard_uplink')).action;
    assert.equal(await guarded(packetFor(WEB4, 1000)), XDP.drop);
    assert.equal(await guarded(packetFor(WEB4, 1000, 'S', '203.0.113.9')), XDP.tx);
    world.map('prefilter').delete(Buffer.alloc(4));
  });
});
