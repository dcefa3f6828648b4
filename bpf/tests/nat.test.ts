// SPDX-License-Identifier: Apache-2.0
/** The life of masquerade's mappings: ports, timers, the sweep, what the LRU took, and who else uses a port. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, beforeEach, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { nat_key, weir_counter, weir_nat_sweep_flags } from '../gen/index.ts';
import { ip4, ip6, type Packet } from './lib/packet.ts';
import { ACTION, enters, leaves } from './lib/scenario.ts';
import { type Segment, tcp, udp } from './lib/transport.ts';
import { ageMappings, halves, mappings, NAT, sweepMappings, uplinkOf } from './lib/uplink.ts';
import { WEB, WORLD, World } from './lib/world.ts';

const SPORT_AT = 34;

describe('masquerade mappings', { skip: needKernel() }, () => {
  let world: World;
  before(async () => {
    world = await World.open({}, 4096, 1 << 20, ['host']);
  });
  after(() => world.close());
  beforeEach(() => world.reset());

  const run = async ({
    program,
    frame,
    cameBy,
  }: {
    program: 'to_uplink' | 'from_uplink';
    frame: Buffer;
    cameBy: number;
  }) => world.run(program, frame, { ingressIfindex: cameBy });
  const out = (packet: Packet) => run(leaves(packet).passes() as Parameters<typeof run>[0]);
  const back = (packet: Packet) => run(enters(packet).passes() as Parameters<typeof run>[0]);
  const send = (segment: Segment, src: string = WEB.ip4) => out(ip4({ src, dst: WORLD.ip4 }, segment));
  /** The port that the world sees, or undefined: dropped. */
  const portOf = async (segment: Segment, src?: string): Promise<number | undefined> => {
    const { action, packet } = await send(segment, src);
    return action === ACTION.pass ? packet.readUInt16BE(SPORT_AT) : undefined;
  };
  const answer = (port: number, flags: string) =>
    back(ip4({ src: WORLD.ip4, dst: NAT.ip4 }, tcp({ sport: 80, dport: port, flags })));
  const counter = (name: 'CREATED' | 'RETRIES' | 'FAILED' | 'EXPIRED') =>
    world.counter(weir_counter[`COUNTER_NAT_${name}`]);
  const secondsLeft = async (): Promise<number> => {
    const [mapping] = await mappings(world);
    return Math.round(Number((mapping?.value.expires_ns ?? 0n) - process.hrtime.bigint()) / 1e9);
  };

  test('a thousand workloads with the same source port have a thousand ports, and most of the range is used', async () => {
    uplinkOf({ low: 50_000, high: 51_023 })(world);
    const [created, retries] = [await counter('CREATED'), await counter('RETRIES')];
    const ports = new Set<number>();
    for (let i = 0; i < 900; i++) {
      const src = `10.9.${i >> 8}.${i & 255}`;
      world.local(src, WEB.ifindex);
      ports.add((await portOf(udp({ sport: 5000, dport: 53 }), src)) ?? -1);
    }
    assert.ok(!ports.has(-1));
    assert.equal(ports.size, 900);
    assert.ok([...ports].every((port) => port >= 50_000 && port <= 51_023));
    assert.equal((await counter('CREATED')) - created, 900);
    assert.ok((await counter('RETRIES')) > retries);
    const tries = world.map('nat_retries').lookup(Buffer.alloc(4)) as Buffer;
    assert.ok(
      tries.some((byte) => byte !== 0),
      'connections that found a port at once are counted',
    );
    for (let i = 0; i < 900; i++) world.notLocal(`10.9.${i >> 8}.${i & 255}`);
  });

  test('a full range refuses, counts, and serves again when a connection ended', async () => {
    uplinkOf({ low: 50_000, high: 50_003 })(world);
    for (let i = 0; i < 4; i++) {
      // some ports are not found although free: a search has a bound
      for (let tries = 0; (await mappings(world)).length === i; tries++) {
        assert.ok(tries < 100);
        await portOf(udp({ sport: 1000 + i * 100 + tries, dport: 53 }));
      }
    }
    const failed = await counter('FAILED');
    assert.equal(await portOf(udp({ sport: 9000, dport: 53 })), undefined);
    assert.equal((await counter('FAILED')) - failed, 1);
    await ageMappings(world, 62);
    assert.equal((await sweepMappings(world)).expired, 4n);
    assert.deepEqual([(await mappings(world)).length, (await halves(world)).length], [0, 0]);
    assert.notEqual(await portOf(udp({ sport: 9000, dport: 53 })), undefined);
  });

  test('timers are those of conntrack', async () => {
    uplinkOf()(world);
    const limits: number[] = [];
    for (const step of [
      () => send(tcp({ sport: 1000, dport: 80 })),
      () => answer(50_000, 'SA'),
      () => send(tcp({ sport: 1000, dport: 80, flags: 'A' })),
      () => send(tcp({ sport: 1000, dport: 80, flags: 'FA' })),
      () => answer(50_000, 'FA'),
      () => send(tcp({ sport: 1000, dport: 80, flags: 'S' })),
      () => answer(50_000, 'RA'),
    ]) {
      await step();
      limits.push(await secondsLeft());
    }
    assert.deepEqual(limits, [60, 60, 8000, 8000, 10, 60, 10]);
  });

  test('an expired mapping is no way in, and its port is for who comes next', async () => {
    uplinkOf()(world);
    assert.equal(await portOf(tcp({ sport: 1000, dport: 80 })), 50_000);
    await ageMappings(world, 61);
    const late = ip4({ src: WORLD.ip4, dst: NAT.ip4 }, tcp({ sport: 80, dport: 50_000, flags: 'SA' }));
    assert.deepEqual((await back(late)).packet.subarray(14), late.bytes);
    assert.equal(await portOf(tcp({ sport: 2000, dport: 80 })), 50_000);
    assert.equal(await portOf(tcp({ sport: 1000, dport: 80 })), undefined);
    assert.deepEqual(
      (await halves(world)).map(({ key }) => key.local_port),
      [2000],
    );
  });

  test('either half that the LRU took is made again, with the same port', async () => {
    uplinkOf({ low: 50_000, high: 59_999 })(world);
    const port = await portOf(tcp({ sport: 1000, dport: 80 }));
    for (const name of ['nat_in', 'nat_out']) {
      await world.clear(name);
      assert.equal(await portOf(tcp({ sport: 1000, dport: 80, flags: 'A' })), port, name);
      assert.equal((await mappings(world)).length, 1);
    }
    const [half] = await halves(world);
    world.map('nat_in').delete(nat_key.encode((await mappings(world))[0]?.key as nat_key));
    assert.ok(half);
    assert.equal((await sweepMappings(world)).orphans, 0n);
    assert.equal((await sweepMappings(world, weir_nat_sweep_flags.NAT_SWEEP_ORPHANS)).orphans, 1n);
  });

  test('the host gets another address: who is masqueraded gets it too', async () => {
    uplinkOf()(world);
    await portOf(udp({ sport: 1000, dport: 53 }));
    uplinkOf({ ip4: '198.51.100.2' })(world);
    const { packet } = await send(udp({ sport: 1000, dport: 53 }));
    assert.equal(packet.subarray(26, 30).join('.'), '198.51.100.2');
  });

  test('a port on which a socket of the host listens is left alone', async () => {
    for (const [type, family] of [
      ['udp4', 'ip4'],
      ['udp6', 'ip6'],
    ] as const) {
      const socket = createSocket({ type, ipv6Only: type === 'udp6' });
      socket.bind(0);
      await once(socket, 'listening');
      const { port } = socket.address();
      uplinkOf({ low: port, high: port })(world);
      const make = family === 'ip4' ? ip4 : ip6;
      const packet = make({ src: WEB[family], dst: WORLD[family] }, udp({ sport: port, dport: 53 }));
      assert.equal((await out(packet)).action, ACTION.drop);
      socket.close();
      await once(socket, 'close');
      assert.equal((await out(packet)).action, ACTION.pass);
    }
  });
});
