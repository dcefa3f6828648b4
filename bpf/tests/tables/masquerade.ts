// SPDX-License-Identifier: Apache-2.0
/** Masquerade, byte by byte: what comes out has the right addresses, ports and checksums, there and back. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { ip4, ip4Fragments, ip4Raw, ip6, ip6Fragments, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, leaves, received, type Step, sent } from '../lib/scenario.ts';
import { icmp, icmp6, ping, ping6, pong, pong6, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { NAT, uplinkOf } from '../lib/uplink.ts';
import { DB, WEB, WORLD } from '../lib/world.ts';

const PORT = 50_000;
type Ports = { sport: number; dport: number };
type Make = (src: string, dst: string, segment: Segment) => Packet;
const v4: Make = (src, dst, segment) => ip4({ src, dst }, segment);
const v6: Make = (src, dst, segment) => ip6({ src, dst }, segment);

/** Out through the mapping, and the answer back; the segment made with the ports of each side. */
const thereAndBack = (
  family: 'ip4' | 'ip6',
  to: (ports: Ports) => Segment,
  back: (ports: Ports) => Segment,
): Step[] => {
  const make = family === 'ip4' ? v4 : v6;
  const [web, nat, world] = [WEB[family], NAT[family], WORLD[family]];
  return [
    leaves(make(web, world, to({ sport: 1000, dport: 53 }))).passes(
      becomes(make(nat, world, to({ sport: PORT, dport: 53 }))),
    ),
    enters(make(world, nat, back({ sport: 53, dport: PORT }))).passes(
      becomes(make(world, web, back({ sport: 53, dport: 1000 }))),
    ),
  ];
};

const noChecksum = (segment: Segment): Segment => ({ protocol: segment.protocol, bytes: segment.bytes });
const FAMILIES = ['ip4', 'ip6'] as const;

const throughCases: Case[] = FAMILIES.flatMap((family): Case[] => [
  {
    name: `masquerade ${family}: TCP`,
    setup: uplinkOf(),
    steps: [
      ...thereAndBack(
        family,
        (ports) => tcp({ ...ports, options: '020405b4' }),
        (ports) => tcp({ ...ports, flags: 'SA' }),
      ),
      ...thereAndBack(
        family,
        (ports) => tcp({ ...ports, flags: 'PA', data: 'an odd request' }),
        (ports) => tcp({ ...ports, flags: 'PA', data: 'answer' }),
      ),
    ],
  },
  {
    name: `masquerade ${family}: UDP`,
    setup: uplinkOf(),
    steps: thereAndBack(
      family,
      (ports) => udp({ ...ports, data: 'question' }),
      (ports) => udp({ ...ports, data: 'answer!' }),
    ),
  },
  {
    name: `masquerade ${family}: SCTP keeps its ports`,
    setup: uplinkOf({ low: 1000, high: 1000 }),
    steps: FAMILIES.filter((other) => other === family).flatMap((own) => {
      const make = own === 'ip4' ? v4 : v6;
      const there = sctp({ sport: 1000, dport: 9 });
      const back = sctp({ sport: 9, dport: 1000 });
      return [
        leaves(make(WEB[own], WORLD[own], there)).passes(becomes(make(NAT[own], WORLD[own], there))),
        enters(make(WORLD[own], NAT[own], back)).passes(becomes(make(WORLD[own], WEB[own], back))),
        leaves(make(DB[own], WORLD[own], there)).drops(DROP.DROP_NAT_NO_MAPPING),
      ];
    }),
  },
  {
    name: `masquerade ${family}: GSO`,
    setup: uplinkOf(),
    steps: [
      leaves(
        (family === 'ip4' ? v4 : v6)(
          WEB[family],
          WORLD[family],
          tcp({ sport: 1000, dport: 80, flags: 'A', data: Buffer.alloc(3000) }),
        ),
      ).passes({
        gso: { segments: 3, size: 1000 },
        ...becomes(
          (family === 'ip4' ? v4 : v6)(
            NAT[family],
            WORLD[family],
            tcp({ sport: PORT, dport: 80, flags: 'A', data: Buffer.alloc(3000) }),
          ),
        ),
      }),
    ],
  },
]);

const oddCases: Case[] = [
  {
    name: 'masquerade: ping',
    setup: uplinkOf(),
    steps: [
      leaves(v4(WEB.ip4, WORLD.ip4, ping(7))).passes(becomes(v4(NAT.ip4, WORLD.ip4, ping(PORT)))),
      enters(v4(WORLD.ip4, NAT.ip4, pong(PORT))).passes(becomes(v4(WORLD.ip4, WEB.ip4, pong(7)))),
      leaves(v6(WEB.ip6, WORLD.ip6, ping6(7))).passes(becomes(v6(NAT.ip6, WORLD.ip6, ping6(PORT)))),
      enters(v6(WORLD.ip6, NAT.ip6, pong6(PORT))).passes(becomes(v6(WORLD.ip6, WEB.ip6, pong6(7)))),
      // a request of the world with that identifier is for the host
      enters(v4(WORLD.ip4, NAT.ip4, ping(PORT))).passes(becomes(v4(WORLD.ip4, NAT.ip4, ping(PORT)))),
    ],
  },
  {
    name: 'masquerade: other ICMP has nothing to be told apart by',
    setup: uplinkOf(),
    steps: [
      leaves(v4(WEB.ip4, WORLD.ip4, icmp({ type: 13 }))).drops(DROP.DROP_NAT_UNSUPPORTED_PROTO, {
        flows: [{ workload: WEB.id, reason: DROP.DROP_NAT_UNSUPPORTED_PROTO, verdict: 'dropped' }],
      }),
      leaves(v6(WEB.ip6, WORLD.ip6, icmp6({ type: 200 }))).drops(DROP.DROP_NAT_UNSUPPORTED_PROTO),
    ],
  },
  {
    name: 'masquerade: UDP without a checksum stays without',
    setup: uplinkOf(),
    steps: [
      leaves(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, noChecksum(udp({ sport: 1000, dport: 53, data: 'x' })))).passes(
        becomes(ip4({ src: NAT.ip4, dst: WORLD.ip4 }, noChecksum(udp({ sport: PORT, dport: 53, data: 'x' })))),
      ),
    ],
  },
  {
    name: 'masquerade: a free port of the range is kept, IP options and extension headers too',
    setup: uplinkOf({ low: 40_000, high: 60_000 }),
    steps: [
      leaves(ip4({ src: WEB.ip4, dst: WORLD.ip4, options: '94040000' }, udp({ sport: 45_000, dport: 53 }))).passes(
        becomes(ip4({ src: NAT.ip4, dst: WORLD.ip4, options: '94040000' }, udp({ sport: 45_000, dport: 53 }))),
      ),
    ],
  },
  {
    name: 'masquerade: one port serves as many connections as there are remotes, and no more',
    setup: uplinkOf(),
    steps: [
      leaves(v4(WEB.ip4, WORLD.ip4, udp({ sport: 1000, dport: 53 }))).passes(),
      leaves(v4(WEB.ip4, WORLD.ip4, udp({ sport: 1000, dport: 54 }))).passes(),
      leaves(v4(WEB.ip4, '192.0.2.77', udp({ sport: 1000, dport: 53 }))).passes(),
      leaves(v4(WEB.ip4, WORLD.ip4, tcp({ sport: 1000, dport: 53 }))).passes(),
      leaves(v4(WEB.ip4, WORLD.ip4, udp({ sport: 1001, dport: 53 }))).drops(DROP.DROP_NAT_NO_MAPPING, {
        flows: [{ workload: WEB.id, reason: DROP.DROP_NAT_NO_MAPPING, sourceIdentity: WEB.identity }],
      }),
      leaves(v4(DB.ip4, WORLD.ip4, udp({ sport: 1000, dport: 53 }))).drops(DROP.DROP_NAT_NO_MAPPING),
      leaves(v4(WEB.ip4, WORLD.ip4, udp({ sport: 1000, dport: 53 }))).passes(),
    ],
  },
  {
    name: 'masquerade: answers to who opened from outside keep the workload’s address',
    setup: uplinkOf(),
    steps: [
      received(v4(WORLD.ip4, WEB.ip4, tcp({ sport: 2000, dport: 80 }))).passes(),
      sent(v4(WEB.ip4, WORLD.ip4, tcp({ sport: 80, dport: 2000, flags: 'SA' }))).passes(),
      leaves(v4(WEB.ip4, WORLD.ip4, tcp({ sport: 80, dport: 2000, flags: 'SA' }))).passes(
        becomes(v4(WEB.ip4, WORLD.ip4, tcp({ sport: 80, dport: 2000, flags: 'SA' }))),
      ),
      received(v4(WORLD.ip4, WEB.ip4, ping(9))).passes(),
      leaves(v4(WEB.ip4, WORLD.ip4, pong(9))).passes(becomes(v4(WEB.ip4, WORLD.ip4, pong(9)))),
    ],
  },
  {
    name: 'masquerade: the host’s own connection in the range is not taken away',
    setup: uplinkOf({ low: 50_000, high: 50_001 }),
    steps: [
      leaves(v4(NAT.ip4, WORLD.ip4, udp({ sport: 50_000, dport: 53 })), { cameBy: 0 }).passes(
        becomes(v4(NAT.ip4, WORLD.ip4, udp({ sport: 50_000, dport: 53 }))),
      ),
      leaves(v4(WEB.ip4, WORLD.ip4, udp({ sport: 50_000, dport: 53 }))).passes(
        becomes(v4(NAT.ip4, WORLD.ip4, udp({ sport: 50_001, dport: 53 }))),
      ),
      enters(v4(WORLD.ip4, NAT.ip4, udp({ sport: 53, dport: 50_000 }))).passes(
        becomes(v4(WORLD.ip4, NAT.ip4, udp({ sport: 53, dport: 50_000 }))),
      ),
      enters(v4(WORLD.ip4, NAT.ip4, udp({ sport: 53, dport: 50_001 }))).passes(
        becomes(v4(WORLD.ip4, WEB.ip4, udp({ sport: 53, dport: 50_000 }))),
      ),
    ],
  },
  {
    name: 'masquerade: one family only',
    setup: uplinkOf({ ip6: '' }),
    steps: [
      leaves(v6(WEB.ip6, WORLD.ip6, udp({ sport: 1, dport: 2 }))).passes(
        becomes(v6(WEB.ip6, WORLD.ip6, udp({ sport: 1, dport: 2 }))),
      ),
      leaves(v4(WEB.ip4, WORLD.ip4, udp({ sport: 1, dport: 2 }))).passes(
        becomes(v4(NAT.ip4, WORLD.ip4, udp({ sport: PORT, dport: 2 }))),
      ),
    ],
  },
];

const body = (sport: number, dport: number) => udp({ sport, dport, data: Buffer.alloc(40, 'fragment') });

/** The pieces of `segment` as they are, with other addresses: later ones carry no port. */
const fragmentCases: Case[] = [
  {
    name: 'masquerade: fragments follow the first, there and back',
    setup: uplinkOf(),
    steps: (() => {
      const there = ip4Fragments({ src: WEB.ip4, dst: WORLD.ip4, id: 9 }, body(1000, 53), [24]);
      const thereOut = ip4Fragments({ src: NAT.ip4, dst: WORLD.ip4, id: 9 }, body(PORT, 53), [24]);
      const back = ip4Fragments({ src: WORLD.ip4, dst: NAT.ip4, id: 3 }, body(53, PORT), [16, 32]);
      const backIn = ip4Fragments({ src: WORLD.ip4, dst: WEB.ip4, id: 3 }, body(53, 1000), [16, 32]);
      return [
        ...there.map((packet) => sent(packet).passes()),
        ...there.map((packet, i) => leaves(packet).passes(becomes(thereOut[i] as Packet))),
        ...back.map((packet, i) => enters(packet).passes(becomes(backIn[i] as Packet))),
      ];
    })(),
  },
  {
    name: 'masquerade: IPv6 fragments follow the first, there and back',
    setup: uplinkOf(),
    steps: (() => {
      const there = ip6Fragments({ src: WEB.ip6, dst: WORLD.ip6, id: 9 }, body(1000, 53), [24]);
      const thereOut = ip6Fragments({ src: NAT.ip6, dst: WORLD.ip6, id: 9 }, body(PORT, 53), [24]);
      const back = ip6Fragments({ src: WORLD.ip6, dst: NAT.ip6, id: 3 }, body(53, PORT), [16]);
      const backIn = ip6Fragments({ src: WORLD.ip6, dst: WEB.ip6, id: 3 }, body(53, 1000), [16]);
      return [
        ...there.map((packet) => sent(packet).passes()),
        ...there.map((packet, i) => leaves(packet).passes(becomes(thereOut[i] as Packet))),
        ...back.map((packet, i) => enters(packet).passes(becomes(backIn[i] as Packet))),
      ];
    })(),
  },
  {
    name: 'masquerade: a later fragment whose first nobody saw is the host’s',
    setup: uplinkOf(),
    steps: [enters(ip4Raw({ src: WORLD.ip4, dst: NAT.ip4, id: 77, offset: 24 }, 17, Buffer.alloc(16))).passes()],
  },
];

export const masquerade: Case[] = [...throughCases, ...oddCases, ...fragmentCases];
