// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads whose packets ask for services, where the host has some: tables of their own, and those of workloads that ask
 * for none, which must come to the same.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_counter } from '../gen/index.ts';
import { FlowReader } from './lib/flows.ts';
import { ethernet } from './lib/packet.ts';
import { runCase } from './lib/scenario.ts';
import { TCP } from './lib/service-tables.ts';
import { tcp } from './lib/transport.ts';
import { DB, UPLINK, WEB, World } from './lib/world.ts';
import { client, serving } from './tables/client.ts';
import { clientItself } from './tables/client-itself.ts';
import { TABLES } from './tables/index.ts';
import { FAMILIES, packetOf, VIP } from './tables/services.ts';

const { uplink, masquerade, natErrors, nat64, nat64Errors, egress, strict, ...OTHERS } = TABLES;
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
