// SPDX-License-Identifier: Apache-2.0
/**
 * At the host of a backend that answers clients by itself: packets that a balancer has sent inside others are taken out,
 * and answers have the frontend's address. What claims to be such a packet and is not, is refused or left alone.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_drop_reason as DROP, weir_backend_flags, weir_counter } from '../gen/index.ts';
import { BackendHost } from './lib/backend-host.ts';
import { ip } from './lib/bytes.ts';
import { ip4, ip4Fragments, ip4Raw, ip6, ip6Fragments, ip6Raw, type Packet } from './lib/packet.ts';
import { ACTION } from './lib/scenario.ts';
import { icmp, icmp6, sctp, tcp, udp } from './lib/transport.ts';
import { mappings } from './lib/uplink.ts';
import { IPIP, type Slots, type Vip, type Vips } from './lib/vips.ts';
import { DB, WEB, WORLD, type World } from './lib/world.ts';

const VIP4: Vip = { number: 7, address: '198.51.100.1', port: 80, protocol: 6 };
const VIP6: Vip = { number: 8, address: '2001:db8:5::1', port: 80, protocol: 6 };
const SIZE = 251;
const all = (current: number, previous = current): Slots => Array.from({ length: SIZE }, () => [current, previous]);

describe('packets inside others, at the host of their backend', { skip: needKernel() }, () => {
  let world: World;
  let vips: Vips;
  let host: BackendHost;
  before(async () => {
    host = await BackendHost.open();
    ({ world, vips } = host);
  });
  after(() => host.close());
  beforeEach(async () => {
    await host.reset();
    await vips.frontend(VIP4, all(1));
    await vips.frontend(VIP6, all(11));
  });

  const enter = (packet: Packet) => host.enter(packet);
  const leave = (packet: Packet) => host.leave(packet);
  const inside4 = (inner: Packet, to: string = WEB.ip4): Packet =>
    ip4Raw({ src: '203.0.113.70', dst: to, dontFragment: true }, 4, inner.bytes);
  const inside6 = (inner: Packet, to: string = WEB.ip6): Packet =>
    ip6Raw({ src: '2001:db8:f::7', dst: to }, 41, inner.bytes);
  const asks4 = (sport: number, flags = 'S', dst: string = VIP4.address, dport = 80): Packet =>
    ip4({ src: WORLD.ip4, dst }, tcp({ sport, dport, flags }));
  const dropped = async (reason: number): Promise<number> => (await world.drops()).get(reason) ?? 0;

  test('IPv4: to the backend, and its answer has the address that was asked', async () => {
    const taken = await world.counter(weir_counter.COUNTER_SERVICE_TAKEN_OFF);
    for (const flags of ['S', 'A', 'PA', 'FA']) {
      const { action, packet } = await enter(inside4(asks4(1000, flags)));
      assert.equal(action, ACTION.pass);
      assert.deepEqual(
        packet.subarray(14),
        ip4({ src: WORLD.ip4, dst: WEB.ip4 }, tcp({ sport: 1000, dport: 8080, flags })).bytes,
      );
      const back = await leave(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, tcp({ sport: 8080, dport: 1000, flags: 'A' })));
      assert.equal(back.action, ACTION.pass);
      const answer = ip4({ src: VIP4.address, dst: WORLD.ip4 }, tcp({ sport: 80, dport: 1000, flags: 'A' }));
      assert.deepEqual(back.packet.subarray(14), answer.bytes);
    }
    assert.equal((await mappings(world)).length, 1);
    assert.equal((await world.counter(weir_counter.COUNTER_SERVICE_TAKEN_OFF)) - taken, 4);
  });

  test('IPv6', async () => {
    const { action, packet } = await enter(
      inside6(ip6({ src: WORLD.ip6, dst: VIP6.address }, tcp({ sport: 1000, dport: 80 }))),
    );
    assert.equal(action, ACTION.pass);
    assert.deepEqual(
      packet.subarray(14),
      ip6({ src: WORLD.ip6, dst: WEB.ip6 }, tcp({ sport: 1000, dport: 8080 })).bytes,
    );
    const back = await leave(ip6({ src: WEB.ip6, dst: WORLD.ip6 }, tcp({ sport: 8080, dport: 1000, flags: 'SA' })));
    assert.deepEqual(
      back.packet.subarray(14),
      ip6({ src: VIP6.address, dst: WORLD.ip6 }, tcp({ sport: 80, dport: 1000, flags: 'SA' })).bytes,
    );
  });

  test('later fragments, and what a router says about an answer', async () => {
    await vips.frontend({ ...VIP4, number: 9, port: 53, protocol: 17 }, all(1));
    await vips.frontend({ ...VIP6, number: 10, port: 53, protocol: 17 }, all(11));
    const long = udp({ sport: 1000, dport: 53, data: 'x'.repeat(200) });
    const first = ip4Fragments({ src: WORLD.ip4, dst: VIP4.address, id: 5 }, long, [64]);
    const six = ip6Fragments({ src: WORLD.ip6, dst: VIP6.address, id: 5 }, long, [64]);
    for (const [pieces, inside, at, to] of [
      [first, inside4, 30, ip(WEB.ip4)],
      [six, inside6, 38, ip(WEB.ip6)],
    ] as const)
      for (const piece of pieces) {
        const { action, packet } = await enter(inside(piece));
        assert.equal(action, ACTION.pass);
        assert.deepEqual(packet.subarray(at, at + to.length), to);
      }
    const [, unknown] = ip4Fragments({ src: WORLD.ip4, dst: VIP4.address, id: 6 }, long, [64]);
    const left = inside4(unknown as Packet);
    assert.deepEqual((await enter(left)).packet.subarray(14), left.bytes, 'nobody knows whose it is');

    await enter(inside4(asks4(1000)));
    await enter(inside6(ip6({ src: WORLD.ip6, dst: VIP6.address }, tcp({ sport: 1000, dport: 80 }))));
    const answer = tcp({ sport: 80, dport: 1000, flags: 'A', data: 'x' });
    const behind = tcp({ sport: 8080, dport: 1000, flags: 'A', data: 'x' });
    const error4 = (to: string, quoted: Packet): Packet =>
      ip4({ src: '192.0.2.254', dst: to }, icmp({ type: 3, code: 4, seq: 1280, data: quoted.bytes }));
    const told4 = await enter(inside4(error4(VIP4.address, ip4({ src: VIP4.address, dst: WORLD.ip4 }, answer))));
    assert.deepEqual(told4.packet.subarray(14), error4(WEB.ip4, ip4({ src: WEB.ip4, dst: WORLD.ip4 }, behind)).bytes);
    const error6 = (to: string, quoted: Packet): Packet =>
      ip6({ src: '2001:db8::fe', dst: to }, icmp6({ type: 2, seq: 1280, data: quoted.bytes }));
    const told6 = await enter(inside6(error6(VIP6.address, ip6({ src: VIP6.address, dst: WORLD.ip6 }, answer))));
    assert.deepEqual(told6.packet.subarray(14), error6(WEB.ip6, ip6({ src: WEB.ip6, dst: WORLD.ip6 }, behind)).bytes);
  });

  test('the backend is the one that was meant: that of a slot before, of any slot, and another after that', async () => {
    const gets = async (to: string, sport: number): Promise<string> =>
      [...(await enter(inside4(asks4(sport, 'A'), to))).packet.subarray(30, 34)].join('.');
    await vips.table(VIP4.number, all(9, 2));
    assert.equal(await gets(DB.ip4, 1000), DB.ip4);
    await vips.table(VIP4.number, all(1));
    assert.equal(await gets(WEB.ip4, 1000), WEB.ip4, 'a balancer has moved it');
    assert.equal(await gets(WEB.ip4, 1001), WEB.ip4);
  });

  test('170: an address that is no backend of the frontend, or not of this host', async () => {
    const before = await dropped(DROP.DROP_ENCAPSULATION_PROHIBITED);
    assert.equal((await enter(inside4(asks4(1000), DB.ip4))).action, ACTION.drop);
    assert.equal((await enter(inside4(asks4(1000), '10.9.9.9'))).action, ACTION.drop);
    vips.backend(1, WEB.ip4, weir_backend_flags.BACKEND_DSR, 8080);
    assert.equal((await enter(inside4(asks4(1000)))).action, ACTION.drop);
    assert.equal((await dropped(DROP.DROP_ENCAPSULATION_PROHIBITED)) - before, 3);
    assert.equal((await mappings(world)).length, 0);
  });

  test('193: a protocol whose packets are not taken out again', async () => {
    const before = await dropped(DROP.DROP_UNSUPPORTED_FOR_DSR);
    vips.backend(3, '10.2.0.9', weir_backend_flags.BACKEND_DSR, 80);
    await vips.frontend({ ...VIP4, number: 9, protocol: 132 }, all(3));
    const packet = ip4({ src: WORLD.ip4, dst: VIP4.address }, sctp({ sport: 1000, dport: 80 }));
    assert.equal((await enter(packet)).action, ACTION.drop);
    assert.equal((await dropped(DROP.DROP_UNSUPPORTED_FOR_DSR)) - before, 1);
  });

  test('what is nobody of ours is left as it came: other frontends, other protocols, cut or fragmented outside', async () => {
    await vips.frontend({ ...VIP4, port: 81, flags: IPIP & ~(1 << 18) }, all(1));
    const left: Packet[] = [
      inside4(asks4(1000, 'S', '198.51.100.9')),
      inside4(asks4(1000, 'S', VIP4.address, 81)),
      inside4(ip4({ src: WORLD.ip4, dst: VIP4.address }, udp({ sport: 1, dport: 80 }))),
      ip4Raw({ src: '203.0.113.70', dst: WEB.ip4 }, 4, Buffer.alloc(4)),
      ip4Raw({ src: '203.0.113.70', dst: WEB.ip4, more: true }, 4, asks4(1000).bytes),
      ip4Raw({ src: '203.0.113.70', dst: WEB.ip4 }, 41, asks4(1000).bytes),
    ];
    for (const packet of left) {
      const { action, packet: after } = await enter(packet);
      assert.equal(action, ACTION.pass);
      assert.deepEqual(after.subarray(14), packet.bytes);
    }
  });
});
