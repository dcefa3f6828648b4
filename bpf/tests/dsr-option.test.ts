// SPDX-License-Identifier: Apache-2.0
/**
 * At the host of a backend that answers clients by itself: an IP option says what the client has asked for. It goes, answers
 * have the frontend's address, and what claims more than it may is refused.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_drop_reason as DROP, weir_backend_flags, weir_counter, weir_service_flags } from '../gen/index.ts';
import { BackendHost } from './lib/backend-host.ts';
import { ip } from './lib/bytes.ts';
import { type Extension, ip4, ip4Fragments, ip6, ip6Fragments, type Packet } from './lib/packet.ts';
import { ACTION } from './lib/scenario.ts';
import { sctp, tcp, udp } from './lib/transport.ts';
import { mappings } from './lib/uplink.ts';
import { IPIP, type Slots, type Vip, type Vips } from './lib/vips.ts';
import { DB, WEB, WORLD, type World } from './lib/world.ts';

const { SERVICE_DSR, SERVICE_ROUTABLE } = weir_service_flags;
const { BACKEND_DSR } = weir_backend_flags;
const flags = SERVICE_DSR | SERVICE_ROUTABLE;
const VIP4: Vip = { number: 7, address: '198.51.100.1', port: 80, protocol: 6, flags };
const VIP6: Vip = { number: 8, address: '2001:db8:5::1', port: 80, protocol: 6, flags };
const DNS4: Vip = { ...VIP4, number: 9, port: 53, protocol: 17 };
const DNS6: Vip = { ...VIP6, number: 10, port: 53, protocol: 17 };
const all = (number: number): Slots => Array.from({ length: 251 }, () => [number, number]);

const option4 = (address: string, port: number, length = 8): string =>
  Buffer.concat([Buffer.from([0x9a, length, port >> 8, port & 255]), ip(address)]).toString('hex');
const option6 = (address: string, port: number, length = 18, pad = 1): Extension => ({
  protocol: 60,
  rest: Buffer.concat([Buffer.from([2, 0x1b, length]), ip(address), Buffer.from([port >> 8, port & 255, pad, 0])]),
});

describe('packets with an option that says what was asked for, at the host of their backend', {
  skip: needKernel(),
}, () => {
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
    await vips.frontend(DNS4, all(1));
    await vips.frontend(DNS6, all(11));
  });

  const enter = (packet: Packet) => host.enter(packet);
  const leave = (packet: Packet) => host.leave(packet);
  const to4 = { src: WORLD.ip4, dst: WEB.ip4 };
  const to6 = { src: WORLD.ip6, dst: WEB.ip6 };
  const syn = tcp({ sport: 1000, dport: 8080, flags: 'S' });
  const dropped = async (reason: number): Promise<number> => (await world.drops()).get(reason) ?? 0;
  const refused = async (reason: number, packets: readonly Packet[]): Promise<void> => {
    const had = await dropped(reason);
    for (const packet of packets) assert.equal((await enter(packet)).action, ACTION.drop);
    assert.equal((await dropped(reason)) - had, packets.length);
    assert.equal((await mappings(world)).length, 0);
  };
  /** What the backend answers goes to the client with this source. */
  const answersFrom = async (family: 4 | 6, address: string, port: number): Promise<void> => {
    const segment = (sport: number) => tcp({ sport, dport: 1000, flags: 'SA' });
    const make = family === 4 ? ip4 : ip6;
    const [own, client] = family === 4 ? [WEB.ip4, WORLD.ip4] : [WEB.ip6, WORLD.ip6];
    const { action, packet } = await leave(make({ src: own, dst: client }, segment(8080)));
    assert.equal(action, ACTION.pass);
    assert.deepEqual(packet.subarray(14), make({ src: address, dst: client }, segment(port)).bytes);
  };

  test('LB-06 a SYN: the option goes, the rest stays as it was, answers have the address that was asked', async () => {
    const taken = await world.counter(weir_counter.COUNTER_SERVICE_TAKEN_OFF);
    for (const more of ['', '01010101']) {
      const { action, packet } = await enter(ip4({ ...to4, options: option4(VIP4.address, 80) + more }, syn));
      assert.equal(action, ACTION.pass);
      assert.deepEqual(packet.subarray(14), ip4({ ...to4, options: more }, syn).bytes);
    }
    await answersFrom(4, VIP4.address, 80);
    const six = await enter(ip6({ ...to6, extensions: [option6(VIP6.address, 80)] }, syn));
    assert.deepEqual([six.action, six.packet.subarray(14)], [ACTION.pass, ip6(to6, syn).bytes]);
    await answersFrom(6, VIP6.address, 80);
    assert.equal((await mappings(world)).length, 2);
    assert.equal((await world.counter(weir_counter.COUNTER_SERVICE_TAKEN_OFF)) - taken, 3);
  });

  test('what follows has no option and passes; the mapping ends when both sides have', async () => {
    await enter(ip4({ ...to4, options: option4(VIP4.address, 80) }, syn));
    await answersFrom(4, VIP4.address, 80);
    const expires = async (): Promise<bigint> => (await mappings(world))[0]?.value.expires_ns ?? 0n;
    for (const flags of ['A', 'PA']) {
      const packet = ip4(to4, tcp({ sport: 1000, dport: 8080, flags }));
      const { action, packet: out } = await enter(packet);
      assert.deepEqual([action, out.subarray(14)], [ACTION.pass, packet.bytes]);
    }
    await leave(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, tcp({ sport: 8080, dport: 1000, flags: 'A' })));
    const open = await expires();
    await leave(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, tcp({ sport: 8080, dport: 1000, flags: 'FA' })));
    assert.ok((await expires()) >= open);
    await enter(ip4(to4, tcp({ sport: 1000, dport: 8080, flags: 'FA' })));
    assert.ok((await expires()) < open - 1_000_000_000_000n, 'closed on both sides');
    await enter(ip4({ ...to4, options: option4(VIP4.address, 80) }, syn));
    await answersFrom(4, VIP4.address, 80);
  });

  test('datagrams, and every fragment of one', async () => {
    const one = udp({ sport: 1000, dport: 8080, data: 'ask' });
    const alone = await enter(ip4({ ...to4, options: option4(VIP4.address, 53) }, one));
    assert.deepEqual([alone.action, alone.packet.subarray(14)], [ACTION.pass, ip4(to4, one).bytes]);
    const long = udp({ sport: 1001, dport: 8080, data: 'x'.repeat(200) });
    const pieces4 = (options?: string) => ip4Fragments({ ...to4, id: 77, ...(options ? { options } : {}) }, long, [64]);
    const pieces6 = (...extensions: Extension[]) => ip6Fragments({ ...to6, id: 77, extensions }, long, [64]);
    for (const [given, wanted] of [
      [pieces4(option4(VIP4.address, 53)), pieces4()],
      [pieces6(option6(VIP6.address, 53)), pieces6()],
    ] as const) {
      for (const [i, piece] of given.entries()) {
        const { action, packet } = await enter(piece);
        assert.deepEqual([action, packet.subarray(14)], [ACTION.pass, wanted[i]?.bytes]);
      }
    }
    const lost = await dropped(DROP.DROP_FRAGMENT_NOT_FOUND);
    const [, later] = ip4Fragments({ ...to4, id: 78, options: option4(VIP4.address, 53) }, long, [64]);
    assert.equal((await enter(later as Packet)).action, ACTION.drop);
    assert.equal((await dropped(DROP.DROP_FRAGMENT_NOT_FOUND)) - lost, 1);
  });

  test('170: no such frontend, one of another kind, no backend of it, not of this host, another port', async () => {
    await vips.frontend({ ...VIP4, number: 12, port: 81, flags: IPIP }, all(1));
    await vips.frontend({ ...VIP4, number: 13, port: 82, flags: SERVICE_ROUTABLE }, all(1));
    vips.backend(3, '10.1.0.77', BACKEND_DSR, 8080);
    await vips.frontend({ ...VIP4, number: 14, port: 83 }, all(3));
    const asks = (address: string, port: number, to: object = {}): Packet =>
      ip4({ ...to4, ...to, options: option4(address, port) }, syn);
    await refused(DROP.DROP_ENCAPSULATION_PROHIBITED, [
      asks('198.51.100.9', 80),
      asks(VIP4.address, 79),
      asks(VIP4.address, 81),
      asks(VIP4.address, 82),
      asks(VIP4.address, 80, { dst: DB.ip4 }),
      asks(VIP4.address, 83, { dst: '10.1.0.77' }),
      ip4({ ...to4, options: option4(VIP4.address, 80) }, tcp({ sport: 1000, dport: 8081, flags: 'S' })),
      ip6({ ...to6, extensions: [option6('2001:db8:5::2', 80)] }, syn),
    ]);
  });

  test('134, 156, 193: malformed, or of a protocol that has none', async () => {
    const good = option4(VIP4.address, 80);
    await refused(DROP.DROP_INVALID_PACKET, [
      ip4({ ...to4, options: option4(VIP4.address, 80, 7) }, syn),
      ip4({ ...to4, options: option4(VIP4.address, 80, 0) }, syn),
      ip4({ ...to4, options: good.slice(0, 8) }, syn),
      ip4({ ...to4, options: good }, tcp({ sport: 1000, dport: 0, flags: 'S' })),
    ]);
    await refused(DROP.DROP_INVALID_IPV6_EXTENSION, [
      ip6({ ...to6, extensions: [option6(VIP6.address, 80, 17)] }, syn),
      ip6({ ...to6, extensions: [option6(VIP6.address, 80, 18, 7)] }, syn),
    ]);
    await refused(DROP.DROP_UNSUPPORTED_FOR_DSR, [
      ip4({ ...to4, options: good }, sctp({ sport: 1000, dport: 8080 })),
      ip6({ ...to6, extensions: [option6(VIP6.address, 80)] }, sctp({ sport: 1000, dport: 8080 })),
    ]);
  });

  test('options of others stay where they are', async () => {
    for (const packet of [
      ip4({ ...to4, options: '01010101' }, syn),
      ip4({ ...to4, options: `01010101${option4(VIP4.address, 80)}` }, syn),
      ip6({ ...to6, extensions: [{ protocol: 60, rest: Buffer.from('00010400000000', 'hex') }] }, syn),
    ]) {
      const { action, packet: out } = await enter(packet);
      assert.deepEqual([action, out.subarray(14)], [ACTION.pass, packet.bytes]);
    }
    assert.equal((await mappings(world)).length, 0);
  });

  test('193 at the host that is asked: protocols that are not told, headers that the option would come before', async () => {
    vips.backend(4, '10.2.0.9', BACKEND_DSR, 80);
    await vips.frontend({ ...VIP4, number: 15, port: 84 }, all(4));
    await vips.frontend({ ...VIP4, number: 16, port: 84, protocol: 132 }, all(4));
    const asked = { src: WORLD.ip4, dst: VIP4.address };
    await refused(DROP.DROP_UNSUPPORTED_FOR_DSR, [
      ip4(asked, sctp({ sport: 1000, dport: 84 })),
      ip4({ ...asked, options: '01'.repeat(36) }, tcp({ sport: 1000, dport: 84, flags: 'S' })),
    ]);
  });
});
