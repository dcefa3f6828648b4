// SPDX-License-Identifier: Apache-2.0
/** What a change of policy, of an identity or of a workload does to connections that were allowed before. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { weir_drop_reason as DROP, weir_counter, weir_ct_flags } from '../gen/index.ts';
import { type ExpectedFlow, FlowReader } from './lib/flows.ts';
import { ip4 } from './lib/packet.ts';
import { ACTION, received, type Step, sent } from './lib/scenario.ts';
import { tcp, udp } from './lib/transport.ts';
import { CLOSED, PEER, type Rule, UPLINK, WEB, World } from './lib/world.ts';

const ALLOW: Rule = { egress: true, identity: PEER.identity, protocol: 6, port: 80, id: 1 };
const ALLOW_AGAIN: Rule = { ...ALLOW, id: 2 };
const DENY: Rule = { ...ALLOW, deny: true, id: 3 };

const out = (flags: string) => sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, tcp({ sport: 1000, dport: 80, flags })));
const back = (flags: string) => received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, tcp({ sport: 80, dport: 1000, flags })));

describe('cut', { skip: needKernel() }, () => {
  let world: World;
  let reader: FlowReader;
  before(async () => {
    world = await World.open();
    reader = new FlowReader(world);
  });
  after(() => world.close());

  const run = async (step: Step, flows?: readonly ExpectedFlow[]): Promise<void> => {
    const { action } = await world.run(step.program, step.frame, { ingressIfindex: step.cameBy });
    assert.equal(action, step.action);
    const seen = await reader.drain();
    if (flows) reader.expect(seen, flows, 'flows');
  };
  const only = async () => {
    const [connection, ...more] = await world.connections();
    assert.ok(connection && more.length === 0);
    return connection;
  };

  beforeEach(async () => {
    await world.reset();
    await world.policy(WEB, [ALLOW]);
    await run(out('S').passes());
    await run(back('SA').passes());
    await run(out('A').passes());
  });

  test('a revision that still allows lets the connection go on, under the new rule', async () => {
    await world.policy(WEB, [ALLOW_AGAIN], CLOSED, 2);
    const judged = await world.counter(weir_counter.COUNTER_JUDGED);
    await run(back('A').passes(), []);
    await run(out('A').passes(), []);
    assert.equal((await world.counter(weir_counter.COUNTER_JUDGED)) - judged, 1, 'judged once per revision');
    const { entry } = await only();
    assert.equal(entry.policy_revision, 2);
    assert.equal(entry.rule_id, 2);
  });

  test('a revision that denies cuts it, from either side', async () => {
    await world.policy(WEB, [DENY], CLOSED, 2);
    await run(back('PA').drops(DROP.DROP_POLICY_DENY), [
      { verdict: 'dropped', reason: DROP.DROP_POLICY_DENY, rule: 3, direction: 'egress', reply: true, why: 'reply' },
    ]);
    const { entry } = await only();
    assert.ok(entry.flags & weir_ct_flags.CT_CUT);
    await run(out('PA').drops(DROP.DROP_POLICY_DENY), [
      {
        verdict: 'dropped',
        rule: 3,
        direction: 'egress',
        reply: false,
        why: 'established',
        connection: entry.created_ns,
      },
    ]);
    assert.equal(await world.counter(weir_counter.COUNTER_CUT), 1, 'counted once');
  });

  test('default deny cuts too, and a workload that may no longer be reached', async () => {
    await world.policy(WEB, [], CLOSED, 2);
    await run(out('A').drops(DROP.DROP_POLICY_DENIED), [{ rule: 902 }]);
  });

  test('a later revision that allows again heals it', async () => {
    await world.policy(WEB, [DENY], CLOSED, 2);
    await run(out('A').drops(DROP.DROP_POLICY_DENY));
    await world.policy(WEB, [ALLOW], CLOSED, 3);
    await run(back('A').passes());
    const { entry } = await only();
    assert.equal(entry.flags & weir_ct_flags.CT_CUT, 0);
  });

  test('a change that drains lets it go on as it was, and refuses what is new', async () => {
    world.drain(WEB);
    await world.policy(WEB, [DENY], CLOSED, 2);
    const drained = await world.counter(weir_counter.COUNTER_DRAINED);
    await run(back('PA').passes());
    await run(out('A').passes(), []);
    assert.equal(await world.counter(weir_counter.COUNTER_DRAINED), drained + 1, 'counted once');
    const { entry } = await only();
    assert.ok(entry.flags & weir_ct_flags.CT_DRAINS);
    assert.equal(entry.rule_id, 1, 'by the rule that let it in');
    const anew = sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, tcp({ sport: 1001, dport: 80 })));
    await run(anew.drops(DROP.DROP_POLICY_DENY));
    await world.pass(6);
    await run(out('PA').passes()); // judged again by interval
    // a change that cuts takes it away, and one that drains does not bring it back
    world.drain(WEB, 0n);
    await world.policy(WEB, [DENY], CLOSED, 3);
    await run(back('PA').drops(DROP.DROP_POLICY_DENY));
    world.drain(WEB);
    await world.policy(WEB, [DENY], CLOSED, 4);
    await run(back('PA').drops(DROP.DROP_POLICY_DENY));
  });

  test('nothing drains that began after the change, was not answered, or whose peer is somebody else now', async () => {
    world.drain(WEB, 1n);
    await world.policy(WEB, [DENY], CLOSED, 2);
    await run(out('PA').drops(DROP.DROP_POLICY_DENY));
    await world.reset();
    await world.policy(WEB, [ALLOW]);
    await run(out('S').passes());
    world.drain(WEB);
    await world.policy(WEB, [DENY], CLOSED, 2);
    await run(back('SA').drops(DROP.DROP_POLICY_DENY));
    await world.reset();
    await world.policy(WEB, [ALLOW]);
    await run(out('S').passes());
    await run(back('SA').passes());
    world.drain(WEB);
    world.managed(PEER.ip4, 4000);
    try {
      await world.policy(WEB, [ALLOW], CLOSED, 2);
      await run(out('A').drops(DROP.DROP_POLICY_DENIED));
    } finally {
      world.managed(PEER.ip4, PEER.identity);
    }
  });

  test('a fresh SYN on a cut connection is judged', async () => {
    await world.policy(WEB, [DENY], CLOSED, 2);
    await run(out('S').drops(DROP.DROP_POLICY_DENY));
    await run(out('S').drops(DROP.DROP_POLICY_DENY));
    await world.policy(WEB, [ALLOW], CLOSED, 3);
    await run(out('S').passes());
  });

  test("a revision judges the connection's own direction: ingress rules do not save an egress one", async () => {
    await world.policy(WEB, [{ protocol: 6, id: 9 }], CLOSED, 2);
    await run(back('A').drops(DROP.DROP_POLICY_DENIED), [{ direction: 'egress', rule: 902 }]);
  });

  test("the peer's address changed hands: noticed within a report interval without a new revision", async () => {
    world.managed(PEER.ip4, 4000);
    await run(out('A').passes(), []);
    await world.pass(6);
    await run(out('A').drops(DROP.DROP_POLICY_DENIED), [{ destinationIdentity: 4000 }]);
    world.managed(PEER.ip4, PEER.identity);
    await run(out('A').passes());
  });

  test('a hit asks no policy', async () => {
    const judged = await world.counter(weir_counter.COUNTER_JUDGED);
    for (let at = 0; at < 10; at++) {
      await run(out('A').passes(), []);
      await run(back('A').passes(), []);
    }
    assert.equal(await world.counter(weir_counter.COUNTER_JUDGED), judged);
  });

  test('UDP and local connections are cut alike', async () => {
    const query = ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 1, dport: 53 }));
    await world.policy(WEB, [{ egress: true, protocol: 17, id: 4 }], CLOSED, 2);
    await run(sent(query).passes());
    await world.policy(WEB, [], CLOSED, 3);
    await run(sent(query).drops(DROP.DROP_POLICY_DENIED));
    const answer = ip4({ src: PEER.ip4, dst: WEB.ip4 }, udp({ sport: 53, dport: 1 }));
    const { action } = await world.run('to_workload', received(answer).passes().frame, { ingressIfindex: UPLINK });
    assert.equal(action, ACTION.drop);
  });

  test('a refused packet does not prolong a connection, and does not stop its end', async () => {
    await world.policy(WEB, [DENY], CLOSED, 2);
    const { entry } = await only();
    await world.pass(100);
    const aged = (await only()).entry.expires_ns;
    assert.ok(aged < entry.expires_ns);
    await run(out('A').drops(DROP.DROP_POLICY_DENY));
    assert.equal((await only()).entry.expires_ns, aged);
  });
});
