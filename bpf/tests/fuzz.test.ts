// SPDX-License-Identifier: Apache-2.0
/**
 * Frames made wrong at random: valid packets with bits flipped, bytes replaced, ends cut or added. Whatever comes in,
 * the verdict is one of three, no rule of L4 lets a malformed packet through, and no forbidden one is delivered.
 * The oracle is a second parser, written in TypeScript from the RFCs (lib/oracle.ts).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { needKernel } from '@weir/loader/testing';
import { judgeFrame } from './lib/oracle.ts';
import { authentication, destinationOptions, ethernet, fragment, hopByHop, ip4, ip6, routing } from './lib/packet.ts';
import { createRandom, type Random } from './lib/random.ts';
import { ACTION } from './lib/scenario.ts';
import { icmp, icmp6, type Segment, sctp, tcp, udp } from './lib/transport.ts';
import { DB, PEER, UPLINK, WEB, WORLD, World } from './lib/world.ts';

/** Per program; the million of a release run is WEIR_FUZZ_PACKETS=1000000. */
const PACKETS = Number(process.env.WEIR_FUZZ_PACKETS ?? 5000);
/** A test run refuses frames shorter than the IP header that an untagged ethertype promises. */
const SHORTEST = 14 + 40;

const segments = (random: Random): Segment[] => {
  const ports = { sport: random.pick([1000, 53, 80]), dport: random.pick([80, 53, 9, 22]) };
  const data = Buffer.alloc(random.below(200));
  return [
    tcp({ ...ports, flags: random.pick(['S', 'SA', 'A', 'PA', 'FA', 'R', 'RA']), data }),
    udp({ ...ports, data }),
    sctp(ports),
    icmp({ type: random.pick([0, 3, 5, 8, 11, 13]), id: 7, data }),
    icmp6({ type: random.pick([1, 2, 128, 129, 133, 134, 135, 136, 143]), id: 7, data }),
  ];
};

const addresses = (sending: boolean, family: 'ip4' | 'ip6', random: Random) => {
  const other = random.pick([PEER, WORLD, DB])[family];
  return sending ? { src: WEB[family], dst: other } : { src: other, dst: WEB[family] };
};

const generate = (sending: boolean, random: Random): Buffer => {
  const segment = random.pick(segments(random));
  const link = sending ? { from: WEB.mac, to: WEB.hostMac } : { from: WEB.hostMac, to: WEB.mac };
  const tagged = { ...link, vlans: random.pick([[], [], [], [0], [0, 0]]) };
  if (segment.protocol !== 58 && random.below(2)) {
    const shape = {
      ttl: random.pick([1, 2, 64, 255]),
      options: random.pick(['', '', '94040000', '0101010007040400']),
      id: random.below(4),
      offset: random.pick([0, 0, 0, 8, 24]),
      more: random.below(8) === 0,
    };
    return ethernet(tagged, ip4({ ...addresses(sending, 'ip4', random), ...shape }, segment));
  }
  const chain = [
    hopByHop(),
    destinationOptions(1),
    routing(4, 0),
    authentication(),
    fragment(0, random.below(2) === 0, 7),
  ];
  const extensions = chain.filter(() => random.below(6) === 0);
  return ethernet(
    tagged,
    ip6({ ...addresses(sending, 'ip6', random), hopLimit: random.pick([1, 64, 255]), extensions }, segment),
  );
};

const mutate = (frame: Buffer, random: Random): Buffer => {
  const bytes = Buffer.from(frame);
  for (let flips = random.below(4); flips > 0; flips--) {
    // headers are where decisions are made
    const at = random.below(3) ? 12 + random.below(Math.min(bytes.length - 12, 80)) : random.below(bytes.length);
    bytes[at] = random.below(2) ? (bytes[at] as number) ^ (1 << random.below(8)) : random.below(256);
  }
  if (random.below(6) === 0) return bytes.subarray(0, Math.max(SHORTEST, random.below(bytes.length)));
  if (random.below(12) === 0) return Buffer.concat([bytes, Buffer.alloc(random.below(64), 0xff)]);
  return bytes;
};

describe('fuzz', { skip: needKernel() }, () => {
  let world: World;
  before(async () => {
    world = await World.open({ report_flows: 0 });
    const rules = [
      { id: 1, protocol: 6, port: 80 },
      { id: 2, protocol: 17, port: 53 },
      { id: 3, protocol: 1, port: 8 << 8, portBits: 8 },
      { id: 4, protocol: 58, port: 128 << 8, portBits: 8 },
      { id: 5, protocol: 132, port: 9 },
    ];
    const bothWays = [...rules, ...rules.map((rule) => ({ ...rule, id: rule.id + 10, egress: true }))];
    await world.policy(WEB, bothWays);
    await world.policy(DB, bothWays);
  });
  after(() => world.close());

  for (const program of ['from_workload', 'to_workload'] as const) {
    test(`${program}: ${PACKETS} packets`, async () => {
      const random = createRandom();
      const sending = program === 'from_workload';
      let passed = 0;
      let malformed = 0;
      for (let at = 0; at < PACKETS; at++) {
        const frame = mutate(generate(sending, random), random);
        let action: number;
        try {
          ({ action } = await world.run(program, frame, { ingressIfindex: sending ? WEB.ifindex : UPLINK }));
        } catch (error) {
          // the test run itself looks at short frames; it never reached the program
          assert.match(String(error), /EINVAL/);
          continue;
        }
        const where = `seed ${random.seed}, packet ${at}: ${frame.toString('hex')}`;
        assert.ok(Object.values(ACTION).includes(action as 0), `${where}: returned ${action}`);
        const opinion = judgeFrame(frame);
        if (opinion !== 'well formed') {
          malformed++;
          assert.equal(action, ACTION.drop, `${where}: let through, but ${opinion}`);
        }
        if (action !== ACTION.drop) passed++;
        if (at % 500 === 499) for (const map of ['conntrack', 'fragments']) await world.clear(map);
      }
      assert.ok(passed > PACKETS / 50, `the generator makes packets that pass: ${passed}`);
      assert.ok(malformed > PACKETS / 50, `and malformed ones: ${malformed}`);
    });
  }
});
