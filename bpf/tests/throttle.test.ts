// SPDX-License-Identifier: Apache-2.0
/** One workload's flood: it is throttled, all of it is accounted for, and nobody else notices. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { needKernel } from '@weir/loader/testing';
import {
  weir_drop_reason as DROP,
  throttle,
  throttled_key,
  throttled_value,
  weir_counter,
  weir_sweep_flags,
} from '../gen/index.ts';
import { FlowReader, type SeenFlow } from './lib/flows.ts';
import { ip4 } from './lib/packet.ts';
import { received, type Step, sent } from './lib/scenario.ts';
import { udp } from './lib/transport.ts';
import { DB, PEER, WEB, World } from './lib/world.ts';

const PER_SECOND = 10;
const FLOOD = 1000;
const QUIET_MS = 200;

const query = (sport: number, dst: string = PEER.ip4): Step =>
  sent(ip4({ src: WEB.ip4, dst }, udp({ sport, dport: 53 }))).passes();
const packets = (flows: readonly SeenFlow[]): number => flows.reduce((sum, flow) => sum + flow.packets, 0);

describe('throttle', { skip: needKernel() }, () => {
  let world: World;
  let reader: FlowReader;
  before(async () => {
    world = await World.open({ events_per_second: PER_SECOND, throttle_quiet_ns: BigInt(QUIET_MS * 1e6) });
    reader = new FlowReader(world);
  });
  after(() => world.close());
  beforeEach(async () => {
    await world.reset();
    await reader.drain();
  });

  const run = (step: Step, repeat = 1) => world.run(step.program, step.frame, { ingressIfindex: step.cameBy }, repeat);

  const held = async () => {
    const map = world.map('throttled');
    const { keys, values, count } = await map.lookupAll();
    return Array.from({ length: count }, (_, at) => {
      const sum = { events: 0, packets: 0, bytes: 0 };
      for (let cpu = at * map.valueStride; cpu < (at + 1) * map.valueStride; cpu += throttled_value.size) {
        const value = throttled_value.decode(values, cpu);
        sum.events += Number(value.events);
        sum.packets += Number(value.packets);
        sum.bytes += Number(value.bytes);
      }
      const { workload_id, reason, direction } = throttled_key.decode(keys, at * throttled_key.size);
      return { workload: workload_id, reason, direction, ...sum };
    });
  };
  const allowance = (ifindex: number) => {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(ifindex);
    const bytes = world.map('throttles').lookup(key);
    assert.ok(bytes, `workload behind interface ${ifindex} has an allowance`);
    return throttle.decode(bytes);
  };

  test('refused packets: sent or counted, each of them', async () => {
    await world.policy(WEB, []);
    const before = await world.counter(weir_counter.COUNTER_EVENTS_THROTTLED);
    await run(query(1), FLOOD);
    const seen = (await reader.drain()).length;
    const [counted, ...others] = await held();
    assert.deepEqual(others, []);
    assert.ok(counted);
    assert.deepEqual([counted.workload, counted.reason, counted.direction], [WEB.id, DROP.DROP_POLICY_DENIED, 2]);
    assert.equal(seen + counted.events, FLOOD);
    assert.equal(counted.packets, counted.events);
    assert.equal(counted.bytes, counted.events * 28);
    assert.ok(seen >= PER_SECOND && seen < FLOOD / 2, `${seen} of ${FLOOD} were sent`);
    assert.equal((await world.counter(weir_counter.COUNTER_EVENTS_THROTTLED)) - before, counted.events);
  });

  test('opened connections: counts wait, and what is left at the end is counted', async () => {
    const flows: SeenFlow[] = [];
    for (let sport = 1; sport <= FLOOD; sport++) await run(query(sport), 2);
    flows.push(...(await reader.drain()));
    assert.ok(flows.length < FLOOD / 2, `${flows.length} opens were sent`);
    assert.deepEqual(await held(), [], 'nothing is given up while it lives');
    await world.pass(62);
    const { expired, deferred } = await world.sweep();
    assert.deepEqual([expired, deferred], [BigInt(FLOOD), 0n], 'the sweep is not held up');
    flows.push(...(await reader.drain()));
    const [counted] = await held();
    assert.ok(counted);
    assert.equal(counted.reason, DROP.DROP_NONE);
    assert.equal(packets(flows) + counted.packets, FLOOD * 2);
  });

  test('a connection that lives through it is told in full', async () => {
    await world.policy(WEB, [{ egress: true, protocol: 17, port: 53, identity: PEER.identity, id: 1 }]);
    await run(sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 1, dport: 9 }))).passes(), FLOOD);
    await run(query(2), 7);
    const flows = await reader.drain();
    await sleep((2 / PER_SECOND) * 1000 + 20);
    assert.equal((await world.sweep({ flags: weir_sweep_flags.SWEEP_REPORT_ALL })).deferred, 0n);
    flows.push(...(await reader.drain()));
    assert.equal(packets(flows.filter(({ verdict }) => verdict === 'forwarded')), 7);
  });

  test('the other workload of the host keeps its allowance', async () => {
    await world.policy(WEB, []);
    await run(query(1), FLOOD);
    await reader.drain();
    world.workload(WEB, 1, 2);
    await run(query(7, DB.ip4));
    // On a slow machine the first workload's flood may be over by then, and that is told too.
    const seen = await reader.drain();
    assert.equal(seen.filter(({ workload }) => workload === DB.id).length, 1);
  });

  test('it begins once, ends, and begins again', async () => {
    await world.policy(WEB, []);
    const start = process.hrtime.bigint();
    await run(query(1), FLOOD);
    await run(query(1), FLOOD);
    const first = allowance(WEB.ifindex);
    assert.equal(first.episodes, 1n);
    assert.ok(first.started_ns >= start && first.last_ns >= first.started_ns);
    await sleep(QUIET_MS * 2);
    await run(query(1), FLOOD);
    assert.equal(allowance(WEB.ifindex).episodes, 2n);
  });

  test('no limit: nothing is held back', async () => {
    const free = await World.open({ events_per_second: 0 });
    try {
      await free.policy(WEB, []);
      const { program, frame } = received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, udp({ sport: 1, dport: 2 }))).drops(133);
      await free.run(program, frame, {}, FLOOD);
      assert.equal((await new FlowReader(free).drain()).length, FLOOD);
      assert.equal(await free.counter(weir_counter.COUNTER_EVENTS_THROTTLED), 0);
    } finally {
      free.close();
    }
  });
});
