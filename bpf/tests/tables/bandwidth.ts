// SPDX-License-Identifier: Apache-2.0
/** Rates of workloads: each direction by itself, and who receives on the same host by its own. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { ip4, ip6, type Packet } from '../lib/packet.ts';
import { pace, sentAhead } from '../lib/rates.ts';
import { type Case, received, sent } from '../lib/scenario.ts';
import { udp } from '../lib/transport.ts';
import { DB, HOST, PEER, WEB, type World } from '../lib/world.ts';

/** A datagram takes most of a minute at this rate: no machine is so slow that the next one has its turn. */
const ONE_BYTE = 1;
const FAST = 1 << 30;
const dns = udp({ sport: 1000, dport: 53, data: 'question' });
const out4: Packet = ip4({ src: WEB.ip4, dst: PEER.ip4 }, dns);
const out6: Packet = ip6({ src: WEB.ip6, dst: PEER.ip6 }, dns);
const in4: Packet = ip4({ src: PEER.ip4, dst: WEB.ip4 }, dns);
const toDb: Packet = ip4({ src: WEB.ip4, dst: DB.ip4 }, dns);

/** Uplinks pace, and WEB has sent so much that the next packet waits for `aheadMs`. */
const pacing =
  (bytesPerSecond: number, aheadMs = 0) =>
  (world: World): void => {
    world.limit(WEB, bytesPerSecond, 0);
    pace(world);
    if (aheadMs > 0) sentAhead(world, WEB, aheadMs);
  };
/** The horizon is 500 ms. */
const BELOW_MS = 400;
const BEYOND_MS = 60_000;

export const bandwidth: Case[] = [
  {
    name: 'bandwidth: what a workload sends beyond its rate is dropped, what it receives is not',
    setup: (world) => world.limit(WEB, ONE_BYTE, 0),
    steps: [
      sent(out4).passes(),
      sent(out4).drops(DROP.DROP_EDT_HORIZON, { flows: [{ reason: DROP.DROP_EDT_HORIZON, verdict: 'dropped' }] }),
      sent(out6).drops(DROP.DROP_EDT_HORIZON),
      received(in4).passes(),
      received(in4).passes(),
    ],
  },
  {
    name: 'bandwidth: what a workload receives beyond its rate is dropped, what it sends is not',
    setup: (world) => world.limit(WEB, FAST, ONE_BYTE),
    steps: [
      received(in4).passes(),
      received(in4).drops(DROP.DROP_EDT_HORIZON),
      sent(out4).passes(),
      sent(out6).passes(),
    ],
  },
  {
    name: 'bandwidth: on one host the receiver has its own rate',
    setup: (world) => world.limit(DB, 0, ONE_BYTE),
    steps: [
      sent(toDb).redirects(),
      sent(toDb).drops(DROP.DROP_EDT_HORIZON, { flows: [{ workload: DB.id }] }),
      sent(out4).passes(),
    ],
  },
  {
    name: 'bandwidth: where uplinks pace, what leaves the host gets its time instead of being dropped',
    setup: pacing(FAST),
    steps: [
      sent(out4).passes({ waits: false }),
      ...[out4, out6].map((packet) =>
        sent(packet).passes({ waits: true, before: (world) => sentAhead(world, WEB, BELOW_MS) }),
      ),
      sent(out4).drops(DROP.DROP_EDT_HORIZON, { before: (world) => sentAhead(world, WEB, BEYOND_MS) }),
      received(in4).passes({ waits: false }),
    ],
  },
  {
    name: 'bandwidth: what stays on the host is not held up by what waits for the uplink, and has the same rate',
    setup: pacing(ONE_BYTE, BEYOND_MS),
    steps: [
      sent(out4).drops(DROP.DROP_EDT_HORIZON),
      sent(toDb).redirects({ waits: false }),
      sent(toDb).drops(DROP.DROP_EDT_HORIZON),
      sent(ip4({ src: WEB.ip4, dst: HOST.ip4 }, dns)).drops(DROP.DROP_EDT_HORIZON),
    ],
  },
  {
    name: 'bandwidth: packets without a limit leave at once, whether uplinks pace or not',
    setup: (world) => pace(world),
    steps: [sent(out4).passes({ waits: false }), sent(out6).passes({ waits: false })],
  },
];
