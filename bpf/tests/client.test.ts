// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads whose packets ask for services, where the host has some: tables of their own, and those of workloads that ask
 * for none, which must come to the same.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import {
  service_affinity,
  service_affinity_key,
  turn_sweep_ctx,
  weir_affinity_client,
  weir_counter,
  weir_service_flags,
} from '../gen/index.ts';
import { FlowReader } from './lib/flows.ts';
import { ethernet, type Packet } from './lib/packet.ts';
import { runCase } from './lib/scenario.ts';
import { TCP, u32 } from './lib/service-tables.ts';
import { tcp } from './lib/transport.ts';
import { DB, UPLINK, WEB, World } from './lib/world.ts';
import { client, serving } from './tables/client.ts';
import { clientItself } from './tables/client-itself.ts';
import { TABLES } from './tables/index.ts';
import { FAMILIES, packetOf, VIP } from './tables/services.ts';

const { uplink, masquerade, natErrors, nat64, nat64Errors, egress, strict, guard, ...OTHERS } = TABLES;
const SLOT = Buffer.alloc(4);

describe('packets of workloads that ask for services', { skip: needKernel() }, () => {
  let world: World;
  let reader: FlowReader;
  before(async () => {
    world = await World.open({}, 4096, 1 << 20, ['client']);
    world.map('asked_turns').updateInner(SLOT, world.map('service_turns'));
    reader = new FlowReader(world);
  });
  after(() => world.close());

  for (const [table, cases] of Object.entries({ client, clientItself, ...OTHERS }))
    describe(table, () => {
      for (const one of cases)
        test(one.name, async () => {
          await runCase(world, reader, one);
        });
    });

  const sportOf = (frame: Buffer, family: 'ip4' | 'ip6'): number =>
    frame.readUInt16BE(14 + (family === 'ip4' ? 20 : 40));

  for (const family of FAMILIES)
    test(`${family}: one client port to one backend, by two services and by none, is three connections`, async () => {
      await world.reset();
      serving({ family })(world);
      world.services.frontend({ number: 2, address: VIP[family], port: 81, protocol: TCP, active: [1] });
      const ask = async (dst: string, dport: number, flags = 'S') => {
        const packet = packetOf(family, WEB[family], dst, tcp({ sport: 1000, dport, flags }));
        const { packet: out } = await world.run('from_workload', ethernet({ from: WEB.mac, to: WEB.hostMac }, packet));
        return sportOf(out, family);
      };
      const answer = async (dport: number) => {
        const packet = packetOf(family, DB[family], WEB[family], tcp({ sport: 8080, dport, flags: 'SA' }));
        const { action, packet: out } = await world.run(
          'to_workload',
          ethernet({ from: WEB.hostMac, to: WEB.mac }, packet),
          { ingressIfindex: DB.ifindex },
        );
        assert.equal(action, 0);
        return out.subarray(14).toString('hex');
      };
      const expected = (src: string, sport: number) =>
        packetOf(family, src, WEB[family], tcp({ sport, dport: 1000, flags: 'SA' })).bytes.toString('hex');
      assert.equal(await ask(DB[family], 8080), 1000);
      const first = await ask(VIP[family], 80);
      const second = await ask(VIP[family], 81);
      assert.equal(new Set([1000, first, second]).size, 3, `${first} ${second}`);
      // all three go on
      assert.deepEqual(
        [await ask(DB[family], 8080, 'A'), await ask(VIP[family], 80, 'A'), await ask(VIP[family], 81, 'A')],
        [1000, first, second],
      );
      assert.equal(await answer(1000), expected(DB[family], 8080));
      assert.equal(await answer(first), expected(VIP[family], 80));
      assert.equal(await answer(second), expected(VIP[family], 81));
      assert.equal((await world.counter(weir_counter.COUNTER_SERVICE_TURNED)) >= 2, true);
    });

  for (const family of FAMILIES) {
    const syn = (sport: number) => packetOf(family, WEB[family], VIP[family], tcp({ sport, dport: 80 }));
    const frame = (packet: Packet) => ethernet({ from: WEB.mac, to: WEB.hostMac }, packet);
    const ask = (sport: number) => world.run('from_workload', frame(syn(sport)));
    const served = async (sport: number): Promise<string> => {
      const { packet } = await ask(sport);
      const [at, bytes] = family === 'ip4' ? [30, 4] : [38, 16];
      return packet.subarray(at, at + bytes).toString('hex');
    };

    test(`LB-08 ${family}: packets go where sockets of the workload's namespace have gone, and the other way round`, async () => {
      await world.reset();
      const affine = { family, flags: weir_service_flags.SERVICE_AFFINITY, affinityS: 60 };
      const cookie = Buffer.alloc(16);
      cookie.writeBigUInt64LE(77n);
      const table = 4 + (family === 'ip6' ? 2 : 0);
      const key = service_affinity_key.encode({ client: cookie, table, kind: weir_affinity_client.AFFINITY_NETNS });
      const kept = (): number =>
        service_affinity.decode(world.map('service_affinity').lookup(key) ?? Buffer.alloc(16)).backend;
      serving({ ...affine, active: [1, 3, 4] })(world);
      world.map('workload_netns').update(u32(WEB.ifindex), cookie.subarray(0, 8));
      const first = await served(1000);
      const backend = kept();
      assert.ok([1, 3, 4].includes(backend), 'sockets find it');
      for (let sport = 1001; sport < 1009; sport++) assert.equal(await served(sport), first);
      const other = [1, 3, 4].find((one) => one !== backend) ?? 0;
      const last_ns = process.hrtime.bigint();
      world.map('service_affinity').update(key, service_affinity.encode({ last_ns, backend: other }));
      const second = await served(1020);
      assert.notEqual(second, first, 'a socket has been sent elsewhere');
      assert.equal(await served(1021), second);
    });

    test(`LB-15 ${family}: a redirect lies over a service; whom it leaves out gets that, or the address itself`, async () => {
      await world.reset();
      const { SERVICE_TWO_SCOPES, SERVICE_LOCAL_REDIRECT, SERVICE_SOURCE_RANGE } = weir_service_flags;
      const over = {
        ...{ number: 2, address: VIP[family], port: 80, protocol: TCP, active: [3] },
        flags: SERVICE_LOCAL_REDIRECT | SERVICE_SOURCE_RANGE,
      };
      serving({ family, active: [1] })(world);
      const plain = await served(1100);
      serving({ family, active: [1], flags: SERVICE_TWO_SCOPES })(world);
      world.services.frontend({ ...over, internal: true });
      const redirected = await served(1101);
      assert.notEqual(redirected, plain);
      world.services.range(1002, `${WEB[family]}/${family === 'ip4' ? 32 : 128}`);
      assert.equal(await served(1102), plain);
      world.services.frontend(over);
      world.services.noFrontend({ ...over, internal: true });
      const itself = syn(1103)
        .bytes.subarray(...(family === 'ip4' ? [16, 20] : [24, 40]))
        .toString('hex');
      assert.equal(await served(1103), itself, 'nobody else serves it: the address is what it is');
    });

    test(`${family}: the fewest connections, by what conntrack knows of packets; who is refused is counted`, async () => {
      await world.reset();
      const { services } = world;
      const least = { family, flags: weir_service_flags.SERVICE_LEAST };
      serving({ ...least, active: [3] })(world);
      for (let sport = 1000; sport < 1010; sport++) await ask(sport);
      await ask(1000);
      serving({ ...least, active: [3, 4] })(world);
      for (let sport = 1010; sport < 1020; sport++) await ask(sport);
      assert.deepEqual([services.open(3), services.open(4)], [10, 10]);
      const sweep = async (): Promise<void> => {
        const now_ns = process.hrtime.bigint() + 2_000_000_000n;
        await world.program('turn_sweep').testRun({ ctx: turn_sweep_ctx.encode({ now_ns, failed: 0 }) });
      };
      await sweep();
      assert.deepEqual([services.open(3), services.open(4)], [10, 10], 'all are open');
      await world.pass(100_000);
      await sweep();
      await sweep();
      assert.deepEqual([services.open(3), services.open(4)], [0, 0], 'those that are over count once');
      serving({ ...least, active: [] })(world);
      await ask(2000);
      assert.equal((await services.counts(1)).get(0)?.no_backend, 1);
    });
  }

  test('an answer whose connection nobody remembers is refused, not given with the backend as its source', async () => {
    await world.reset();
    serving({ family: 'ip4' })(world);
    const ask = packetOf('ip4', WEB.ip4, VIP.ip4, tcp({ sport: 1000, dport: 80 }));
    await world.run('from_workload', ethernet({ from: WEB.mac, to: WEB.hostMac }, ask));
    await world.clear('service_turns');
    const back = packetOf('ip4', DB.ip4, WEB.ip4, tcp({ sport: 8080, dport: 1000, flags: 'SA' }));
    const { action } = await world.run('to_workload', ethernet({ from: WEB.hostMac, to: WEB.mac }, back), {
      ingressIfindex: UPLINK,
    });
    assert.equal(action, 2);
  });
});
