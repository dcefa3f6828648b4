// SPDX-License-Identifier: Apache-2.0
/**
 * New connections where the fewest are open, and what clients asked of each backend: by real sockets, and by packets of
 * clients outside. Both families, TCP and UDP.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_service_flags as FLAG, weir_backend_flags } from '../gen/index.ts';
import { Balanced, type Frontend, TCP, UDP } from './lib/balanced.ts';
import { ip4, ip6 } from './lib/packet.ts';
import { enters } from './lib/scenario.ts';
import { tcp, udp } from './lib/transport.ts';
import { ageMappings, sweepMappings, uplinkOf } from './lib/uplink.ts';
import { DB, WEB, WORLD, World } from './lib/world.ts';

const PORTS = [9001, 9002, 9003] as const;
const VIP = { ip4: '198.51.100.1', ip6: '2001:db8:5::1' } as const;
const LOOPBACK = { ip4: '127.0.0.1', ip6: '::1' } as const;
const FAMILIES = ['ip4', 'ip6'] as const;
const PROTOCOLS = [
  ['tcp', TCP],
  ['udp', UDP],
] as const;

describe('fewest connections, at sockets', { skip: needKernel() }, () => {
  let net: Balanced;
  let number = 0;
  before(async () => {
    net = await Balanced.open(PORTS, []);
  });
  after(() => net?.close());

  /** A service of its own with a backend for each port. */
  const make = (family: 'ip4' | 'ip6', protocol: number, weights: readonly number[] = [0, 0, 0]) => {
    const first = 100 * ++number;
    const active = PORTS.map((port, i) => {
      net.backend(first + i, LOOPBACK[family], port, protocol);
      return first + i;
    });
    const one: Frontend = {
      ...{ number, address: VIP[family], port: 1000 + number, protocol, flags: FLAG.SERVICE_LEAST, active },
      weights: Object.fromEntries(active.map((backend, i) => [backend, weights[i] ?? 0])),
    };
    net.frontend(one);
    return { one, active };
  };
  const opens = (active: readonly number[]): number[] => active.map((backend) => net.open(backend));

  for (const family of FAMILIES) {
    for (const [name, protocol] of PROTOCOLS) {
      test(`${family}, ${name}: who holds long connections gets no new ones while others have fewer`, async () => {
        const { one, active } = make(family, protocol);
        const [busy = 0] = active;
        const more = { udp: protocol === UDP };
        net.frontend({ ...one, active: [busy] });
        const kept: number[] = [];
        for (let i = 0; i < 8; i++) kept.push((await net.ask('keep', one.address, one.port, more)).kept ?? 0);
        assert.deepEqual(opens(active), [8, 0, 0]);
        net.frontend(one);
        for (let i = 0; i < 12; i++) await net.ask('keep', one.address, one.port, more);
        const [still, second = 0, third = 0] = opens(active);
        assert.equal(still, 8, 'all twelve went to the others');
        assert.equal(second + third, 12);
        for (const of of kept) await net.ask('end', '', 0, { of });
        assert.deepEqual(opens(active).slice(0, 1), [0], 'a socket that is closed counts no more');
        for (let i = 0; i < 5; i++) await net.ask('keep', one.address, one.port, more);
        assert.ok(net.open(busy) > 0, 'with none it is chosen again');
      });
    }

    test(`${family}: of two as many each, or as many as their weights say`, async () => {
      for (const [weight, wanted] of [
        [100, 10],
        [300, 15],
      ] as const) {
        const { one, active } = make(family, TCP, [weight, 100]);
        const [heavy = 0] = active;
        net.frontend({ ...one, active: active.slice(0, 2) });
        for (let i = 0; i < 20; i++) await net.ask('keep', one.address, one.port);
        assert.ok(Math.abs(net.open(heavy) - wanted) <= 1, `${net.open(heavy)} of 20, should be ${wanted}`);
      }
    });

    test(`${family}: connections that nobody saw end do not count`, async () => {
      const { one, active } = make(family, TCP);
      const [first = 0, second = 0] = active;
      const two = { ...one, active: [first, second] };
      net.frontend({ ...two, active: [first] });
      for (let i = 0; i < 6; i++) await net.ask('keep', one.address, one.port);
      net.unseen(first, 6n);
      net.frontend({ ...two, active: [second] });
      await net.ask('keep', one.address, one.port);
      net.frontend(two);
      await net.ask('keep', one.address, one.port);
      assert.deepEqual([net.open(first), net.open(second)], [7, 1]);
    });

    test(`${family}: what was asked of whom, and refused`, async () => {
      const { one, active } = make(family, TCP);
      for (let i = 0; i < 9; i++) await net.ask('tcp', one.address, one.port);
      const counts = await net.counts(one.number);
      assert.equal(
        active.reduce((sum, backend) => sum + (counts.get(backend)?.connections ?? 0), 0),
        9,
      );
      net.frontend({ ...one, active: [] });
      for (let i = 0; i < 3; i++) await net.ask('tcp', one.address, one.port);
      assert.equal((await net.counts(one.number)).get(0)?.no_backend, 3);
      const datagrams = make(family, UDP);
      await net.ask('udp', one.address, datagrams.one.port);
      const [sent] = [...(await net.counts(datagrams.one.number)).values()];
      assert.deepEqual([sent?.connections, sent?.packets], [0, 1]);
    });
  }
});

describe('fewest connections, by packets', { skip: needKernel() }, () => {
  let world: World;
  before(async () => {
    world = await World.open({}, 4096, 1 << 20, ['frontend']);
  });
  after(() => world?.close());

  const OPEN = FLAG.SERVICE_ROUTABLE | FLAG.SERVICE_LOAD_BALANCER | FLAG.SERVICE_LEAST;

  for (const family of FAMILIES) {
    for (const [name, protocol] of PROTOCOLS) {
      const from = async (sport: number, data = ''): Promise<number> => {
        const ports = { sport, dport: 80 };
        const segment = protocol === TCP ? tcp(ports) : udp({ ...ports, data: data || 'ask' });
        const address = { src: WORLD[family], dst: VIP[family] };
        const { program, frame, cameBy } = enters(
          family === 'ip4' ? ip4(address, segment) : ip6(address, segment),
        ).passes();
        return (await world.run(program, frame, { ingressIfindex: cameBy })).action;
      };

      test(`${family}, ${name}: the other backend, until connections end`, async () => {
        await world.reset();
        uplinkOf({ services: true })(world);
        const { services } = world;
        services.settings(0n);
        for (const [i, where] of [WEB, DB].entries())
          services.backend(i + 1, where[family], 8080, protocol, { flags: weir_backend_flags.BACKEND_LOCAL });
        const one: Frontend = { number: 1, address: VIP[family], port: 80, protocol, flags: OPEN, active: [1] };
        services.frontend(one);
        for (let i = 0; i < 10; i++) assert.equal(await from(2000 + i), 0);
        assert.equal(await from(2000), 0, 'the same connection');
        services.frontend({ ...one, active: [1, 2] });
        for (let i = 0; i < 10; i++) assert.equal(await from(3000 + i), 0);
        assert.deepEqual([services.open(1), services.open(2)], [10, 10]);
        const counts = await services.counts(1);
        assert.deepEqual([1, 2].map((backend) => counts.get(backend)?.connections), [10, 10]); // biome-ignore format: short
        assert.deepEqual([1, 2].map((backend) => counts.get(backend)?.packets), [11, 10]); // biome-ignore format: short
        assert.ok((counts.get(1)?.bytes ?? 0) > 11 * 28);
        services.frontend({ ...one, active: [] });
        await from(4000);
        assert.equal((await services.counts(1)).get(0)?.no_backend, 1);
        await ageMappings(world, 100_000);
        await sweepMappings(world);
        assert.deepEqual([services.open(1), services.open(2)], [0, 0], 'mappings that ended count no more');
      });
    }
  }
});
