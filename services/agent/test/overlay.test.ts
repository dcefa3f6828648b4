// SPDX-License-Identifier: Apache-2.0
/** Which hosts are reached by tunnel, and by which steps that changes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  Families,
  type Host,
  HostSchema,
  NetworkSchema,
  Routing,
  Underlay,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import { HostNumbers } from '../src/plan/numbers.ts';
import { networkIssues, Overlay, type OverlayPlan } from '../src/plan/overlay.ts';
import { OverlayPlanner } from '../src/plan/overlay-planner.ts';

const host = (id: string, underlayIp4: string, underlayIp6 = ''): Host =>
  create(HostSchema, { id, underlayIp4, underlayIp6 });
const OWN = host('h1', '198.18.1.1', 'fd18:1::1');
const NEAR = host('h2', '198.18.1.2', 'fd18:1::2');
const FAR = host('h3', '198.18.2.3', 'fd18:2::3');
const FOUR = host('h4', '198.18.2.4');
const STEP_MS = 1000;

const planning = (numbers = new HostNumbers()) => {
  const overlay = new Overlay(numbers, STEP_MS);
  return (network: MessageInitShape<typeof NetworkSchema> | undefined, hosts: Host[], nowMs = 0): OverlayPlan =>
    overlay.plan({
      network: network && create(NetworkSchema, network),
      hosts: [OWN, ...hosts],
      ownHost: 'h1',
      subnets: ['198.18.1.0/24', 'fd18:1::/64'],
      nowMs,
    });
};
const shown = ({ tunnels }: OverlayPlan) =>
  [...tunnels].map(
    ([number, { remote, send, only }]) => `${number} ${remote}${send ? ' send' : ''}${only ? ' only' : ''}`,
  );

describe('who is reached by tunnel', () => {
  it('nobody without a document, everybody when it says so, at once', () => {
    const plan = planning();
    const none = plan(undefined, [NEAR, FAR]);
    assert.deepEqual([none.device, shown(none), none.routed.size], [undefined, [], 0]);
    const fresh = planning()({ routing: Routing.TUNNEL }, [NEAR, FAR]);
    assert.deepEqual(shown(fresh), ['1 198.18.1.2 send only', '2 198.18.2.3 send only']);
    assert.deepEqual(fresh.device, { port: 8472, sourceLow: 0, sourceHigh: 0, overheadBytes: 50 });
    assert.equal(fresh.changesInMs, undefined);
  });

  it('hybrid: who is on no link of ours', () => {
    const { routed, tunnels } = planning()({ routing: Routing.HYBRID }, [NEAR, FAR]);
    assert.deepEqual([[...routed], tunnels.size], [['h3'], 1]);
  });

  it('the underlay asked for, or what both have; who has none is named', () => {
    const six = planning()({ routing: Routing.TUNNEL, underlay: Underlay.IPV6 }, [NEAR, FOUR]);
    assert.deepEqual(shown(six), ['1 fd18:1::2 send only']);
    assert.equal(six.device?.overheadBytes, 70);
    assert.deepEqual(
      six.errors.map(({ hostId }) => hostId),
      ['h4'],
    );
  });

  it('there and back by steps, so that both ways are taken between', () => {
    const plan = planning();
    const tunnel = { routing: Routing.TUNNEL };
    plan(undefined, [NEAR]);
    const first = plan(tunnel, [NEAR], 100);
    assert.deepEqual([shown(first), first.changesInMs, first.routed.size], [['1 198.18.1.2'], STEP_MS, 0]);
    assert.deepEqual(shown(plan(tunnel, [NEAR], 1099)), ['1 198.18.1.2']);
    assert.deepEqual(shown(plan(tunnel, [NEAR], 1100)), ['1 198.18.1.2 send']);
    // who comes meanwhile was never reached another way
    const later = plan(tunnel, [NEAR, FAR], 2100);
    assert.deepEqual(shown(later), ['1 198.18.1.2 send only', '2 198.18.2.3 send only']);
    assert.equal(later.changesInMs, undefined);
    assert.deepEqual(shown(plan(undefined, [NEAR], 3000)), ['1 198.18.1.2 send']);
    const natively = plan(undefined, [NEAR], 4000);
    assert.deepEqual([shown(natively), natively.routed.size], [['1 198.18.1.2'], 0]);
    assert.ok(natively.device, 'what others still send by it is taken');
    const over = plan(undefined, [NEAR], 5000);
    assert.deepEqual([shown(over), over.device, over.changesInMs], [[], undefined, undefined]);
  });

  it('a step is due when it was, however often somebody asks before', () => {
    const planner = new OverlayPlanner(new Overlay(new HostNumbers(), STEP_MS));
    const compute = (nowMs: number) =>
      planner.compute([OWN, NEAR], { host: 'h1', addresses: [], subnets: [], nowMs, configurationComplete: true });
    compute(0);
    planner.put(create(NetworkSchema, { routing: Routing.TUNNEL }));
    assert.ok(compute(100));
    assert.equal(planner.plan.changesInMs, STEP_MS);
    assert.equal(compute(900), false);
    assert.equal(planner.plan.changesInMs, 200);
    assert.ok(compute(1100));
    assert.deepEqual(shown(planner.plan), ['1 198.18.1.2 send']);
  });

  it('a host keeps its number, over restarts too; one that became free is given last', () => {
    const numbers = new HostNumbers(undefined, 4);
    const plan = planning(numbers);
    const tunnel = { routing: Routing.TUNNEL };
    plan(tunnel, [NEAR, FAR]);
    plan(tunnel, [FAR]);
    const { numbers: now } = planning(new HostNumbers(numbers.takeChange(), 4))(tunnel, [FOUR, FAR]);
    assert.deepEqual(
      [...now],
      [
        ['h4', 3],
        ['h3', 2],
      ],
    );
  });

  it('a document that makes no sense names its field', () => {
    const issues = (init: MessageInitShape<typeof NetworkSchema>) => networkIssues(create(NetworkSchema, init)).join();
    assert.match(issues({ tunnelPort: 70_000 }), /tunnel_port 70000/);
    assert.match(issues({ tunnelSourcePortLow: 9, tunnelSourcePortHigh: 8 }), /tunnel_source_port_low 9/);
    assert.match(issues({ mtu: 1279 }), /mtu 1279/);
    assert.match(issues({ mtu: 575, families: Families.IPV4 }), /mtu 575 .* 576/);
    assert.equal(issues({ mtu: 1000, families: Families.IPV4 }), '', 'as the API has it');
    assert.equal(issues({ tunnelPort: 4789, tunnelSourcePortLow: 1024, tunnelSourcePortHigh: 2048, mtu: 1280 }), '');
  });
});
