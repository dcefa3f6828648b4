// SPDX-License-Identifier: Apache-2.0
/** Counts are exact: what packets were seen = what events said, whoever reported it, and when the ring is full too. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_counter, weir_sweep_flags } from '../gen/index.ts';
import { FlowReader, type SeenFlow } from './lib/flows.ts';
import { ip4 } from './lib/packet.ts';
import { received, type Step, sent } from './lib/scenario.ts';
import { icmp, tcp, udp } from './lib/transport.ts';
import { DB, PEER, type Rule, WEB, World } from './lib/world.ts';

const out = (flags: string, sport = 1000) =>
  sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, tcp({ sport, dport: 80, flags }))).passes();
const back = (flags: string) =>
  received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, tcp({ sport: 80, dport: 1000, flags }))).passes();
const query = (sport: number) => sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport, dport: 53 }))).passes();

const total = (flows: readonly SeenFlow[], reply: boolean): number =>
  flows.filter((flow) => flow.reply === reply).reduce((sum, { packets }) => sum + packets, 0);

describe('sweep', { skip: needKernel() }, () => {
  let world: World;
  let reader: FlowReader;
  before(async () => {
    world = await World.open();
    reader = new FlowReader(world);
  });
  after(() => world.close());
  beforeEach(async () => {
    await world.reset();
    await reader.drain();
  });

  const run = async (step: Step, times = 1): Promise<void> => {
    for (let at = 0; at < times; at++) {
      const { action } = await world.run(step.program, step.frame, { ingressIfindex: step.cameBy });
      assert.equal(action, step.action);
    }
  };

  test('nothing to do: quiet, reported connections stay', async () => {
    await run(query(1));
    const { entries, reported, expired } = await world.sweep();
    assert.deepEqual([entries, reported, expired], [1n, 0n, 0n]);
  });

  test('traffic that stopped is reported after the interval, both directions', async () => {
    await run(out('S'));
    await run(back('SA'));
    await run(out('A'), 5);
    await run(back('A'), 3);
    await reader.drain();
    assert.equal((await world.sweep()).reported, 0n, 'not yet');
    await world.pass(6);
    assert.equal((await world.sweep()).reported, 2n);
    const flows = await reader.drain();
    reader.expect(
      flows,
      [
        { report: 'interval', reply: false, packets: 5, why: 'established', point: 'to-stack' },
        { report: 'interval', reply: true, packets: 3, why: 'reply', point: 'to-endpoint' },
      ],
      'sweep',
    );
    assert.equal((await world.sweep()).reported, 0n, 'only once');
  });

  test('active traffic is reported by its packets', async () => {
    await run(out('S'));
    await run(back('SA'));
    await run(out('A'), 2);
    await reader.drain();
    await world.pass(6);
    await run(out('A'));
    reader.expect(await reader.drain(), [{ report: 'interval', packets: 3 }], 'packet');
  });

  test('all can be asked for at once', async () => {
    await run(query(1), 3);
    await reader.drain();
    assert.equal((await world.sweep({ flags: weir_sweep_flags.SWEEP_REPORT_ALL })).reported, 1n);
    reader.expect(await reader.drain(), [{ packets: 2 }], 'sweep');
  });

  test('an entry that expired goes, with the rest of its counts', async () => {
    await run(query(1), 4);
    await reader.drain();
    await world.pass(62);
    assert.equal((await world.sweep()).expired, 1n);
    reader.expect(await reader.drain(), [{ report: 'expired', packets: 3, reply: false }], 'sweep');
    assert.equal((await world.connections()).length, 0);
  });

  test('an entry without rest goes silently', async () => {
    await run(query(1));
    await reader.drain();
    await world.pass(60.5);
    assert.equal((await world.sweep()).expired, 0n, 'a second longer than a packet would find it');
    await world.pass(1);
    const { expired, reported } = await world.sweep();
    assert.deepEqual([expired, reported], [1n, 0n]);
  });

  test('the connections of one workload can be ended, with the rest of their counts', async () => {
    await run(sent(ip4({ src: WEB.ip4, dst: DB.ip4 }, udp({ sport: 1, dport: 2 }))).redirects(), 3);
    await reader.drain();
    assert.equal((await world.sweep({ ifindex: DB.ifindex })).expired, 1n);
    reader.expect(await reader.drain(), [{ workload: DB.id, report: 'expired', packets: 2 }], 'sweep');
    assert.deepEqual(
      (await world.connections()).map(({ entry }) => entry.ifindex),
      [WEB.ifindex],
    );
  });

  test('timers: handshake, established, closed, others', async () => {
    const lives = async (seconds: number): Promise<boolean> => {
      await world.pass(seconds);
      await world.sweep();
      return (await world.connections()).length > 0;
    };
    await run(out('S'));
    assert.ok(await lives(59));
    assert.ok(!(await lives(3)), 'unanswered after a minute');
    for (const step of [out('S'), back('SA'), out('A')]) await run(step);
    assert.ok(await lives(7990));
    assert.ok(!(await lives(12)), 'established after 8000 s');
    for (const step of [out('S'), back('SA'), out('A'), out('FA')]) await run(step);
    assert.ok(await lives(7000), 'half closed lives on');
    await run(back('FA'));
    assert.ok(await lives(9));
    assert.ok(!(await lives(3)), 'closed after 10 s');
    for (const step of [out('S'), back('RA')]) await run(step);
    assert.ok(await lives(9));
    assert.ok(!(await lives(3)), 'reset after 10 s');
    await run(sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, icmp({ type: 8, id: 1 }))).passes());
    assert.ok(await lives(59));
    assert.ok(!(await lives(3)), 'ICMP after a minute');
  });

  test('rules count what they allowed and what they refused', async () => {
    const allow: Rule = { egress: true, identity: PEER.identity, protocol: 6, port: 80, id: 1 };
    const deny: Rule = { egress: true, protocol: 17, deny: true, id: 2 };
    await world.policy(WEB, [allow, deny]);
    await run(out('S'));
    await run(back('SA'));
    await run(out('A'), 9);
    await run(back('A'), 9);
    assert.equal(world.policyCounts(WEB, allow).packets, 1, 'added when reported');
    await world.sweep({ flags: weir_sweep_flags.SWEEP_REPORT_ALL });
    assert.deepEqual(world.policyCounts(WEB, allow), { packets: 10, bytes: 400 }, 'original direction only');
    await run({ ...query(1), action: 2 }, 3);
    assert.deepEqual(world.policyCounts(WEB, deny), { packets: 3, bytes: 84 });
  });

  test('both ends of a local connection are swept', async () => {
    const local = sent(ip4({ src: WEB.ip4, dst: DB.ip4 }, udp({ sport: 1, dport: 2 }))).redirects();
    await run(local, 3);
    await reader.drain();
    await world.pass(62);
    assert.equal((await world.sweep()).expired, 2n);
    const flows = await reader.drain();
    assert.deepEqual(flows.map(({ workload, packets }) => [workload, packets]).sort(), [
      [WEB.id, 2],
      [DB.id, 2],
    ]);
  });

  test('the policy of a workload that is gone leaves its connections reportable', async () => {
    await run(query(1), 2);
    world.removeWorkload(WEB);
    await reader.drain();
    await world.pass(62);
    await world.sweep();
    reader.expect(await reader.drain(), [{ workload: WEB.id, packets: 1, sourceIdentity: WEB.identity }], 'sweep');
  });
});

describe('ring buffer full', { skip: needKernel() }, () => {
  test('counts stay where they are and come later; only drops lose their event, and are counted', async () => {
    const world = await World.open({ flow_interval_ns: 0n, events_per_second: 0 });
    try {
      const reader = new FlowReader(world);
      const packet = query(1);
      let sentPackets = 0;
      // an event per packet: 128 bytes with the ring's own header, 1 MiB of ring
      for (const times of [8000, 2000]) {
        await world.run(packet.program, packet.frame, {}, times);
        sentPackets += times;
      }
      const refused = await world.run(
        'from_workload',
        sent(ip4({ src: PEER.ip4, dst: WEB.ip4 }, udp({ sport: 1, dport: 2 }))).passes().frame,
      );
      assert.equal(refused.action, 2);
      assert.ok((await world.counter(weir_counter.COUNTER_EVENTS_DEFERRED)) > 0);
      assert.equal(await world.counter(weir_counter.COUNTER_EVENTS_LOST), 1);
      const full = await world.sweep({ flags: weir_sweep_flags.SWEEP_REPORT_ALL });
      assert.equal(full.deferred, 1n);
      await world.pass(62);
      assert.equal((await world.sweep()).expired, 0n, 'an entry with counts waits for room');
      const first = await reader.drain();
      assert.equal(first.length, await world.counter(weir_counter.COUNTER_EVENTS));
      assert.equal((await world.sweep()).expired, 1n);
      const rest = await reader.drain();
      assert.equal(total(first, false) + total(rest, false), sentPackets);
    } finally {
      world.close();
    }
  });
});
