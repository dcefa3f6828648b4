// SPDX-License-Identifier: Apache-2.0
/** ICMP errors through the masquerade, both ways: the quoted packet is the one that its sender knows, to the last checksum. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { destinationOptions, fragment, ip4, ip6, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, leaves, received, sent } from '../lib/scenario.ts';
import { icmp, icmp6, ping, ping6, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { keepAddressTo, NAT, uplinkOf } from '../lib/uplink.ts';
import { WEB, WORLD } from '../lib/world.ts';

const PORT = 50_000;
const ROUTER4 = '203.0.113.1';
const ROUTER6 = '2001:db8:ffff::1';

const error4 = (type: number, code: number, from: string, to: string, quoted: Packet, bytes = 28): Packet =>
  ip4(
    { src: from, dst: to },
    icmp({ type, code, id: 0, seq: type === 3 && code === 4 ? 1400 : 0, data: quoted.bytes.subarray(0, bytes) }),
  );
const error6 = (type: number, code: number, from: string, to: string, quoted: Packet, bytes = 200): Packet =>
  ip6({ src: from, dst: to }, icmp6({ type, code, seq: type === 2 ? 1400 : 0, data: quoted.bytes.subarray(0, bytes) }));

type Make = (sport: number) => Segment;
const SEGMENTS: Readonly<Record<string, Make>> = {
  udp: (sport) => udp({ sport, dport: 53, data: 'question' }),
  tcp: (sport) => tcp({ sport, dport: 80 }),
  'udp without checksum': (sport) => {
    const { protocol, bytes } = udp({ sport, dport: 53, data: 'question' });
    return { protocol, bytes };
  },
};
const out4 = (src: string, segment: Segment): Packet => ip4({ src, dst: WORLD.ip4 }, segment);
const out6 = (src: string, segment: Segment): Packet => ip6({ src, dst: WORLD.ip6 }, segment);
const dns = udp({ sport: 1000, dport: 53, data: 'question' });

const inwardCases: Case[] = Object.entries(SEGMENTS).flatMap(([name, make]): Case[] => [
  {
    name: `nat errors: from the world about ${name}, IPv4`,
    setup: uplinkOf(),
    steps: [
      leaves(out4(WEB.ip4, make(1000))).passes(),
      ...(
        [
          [3, 4, 28],
          [3, 3, 28],
          [11, 0, 28],
          [12, 0, 60],
          [3, 4, 60],
        ] as const
      ).map(([type, code, bytes]) =>
        enters(error4(type, code, ROUTER4, NAT.ip4, out4(NAT.ip4, make(PORT)), bytes)).passes(
          becomes(error4(type, code, ROUTER4, WEB.ip4, out4(WEB.ip4, make(1000)), bytes)),
        ),
      ),
    ],
  },
  {
    name: `nat errors: from the world about ${name}, IPv6`,
    setup: uplinkOf(),
    steps: [
      leaves(out6(WEB.ip6, make(1000))).passes(),
      ...(
        [
          [2, 0],
          [1, 4],
          [3, 0],
          [4, 1],
        ] as const
      ).map(([type, code]) =>
        enters(error6(type, code, ROUTER6, NAT.ip6, out6(NAT.ip6, make(PORT)))).passes(
          becomes(error6(type, code, ROUTER6, WEB.ip6, out6(WEB.ip6, make(1000)))),
        ),
      ),
    ],
  },
]);

const extended = (src: string, sport: number): Packet =>
  ip6({ src, dst: WORLD.ip6, extensions: [destinationOptions()] }, udp({ sport, dport: 53, data: 'question' }));

const otherCases: Case[] = [
  {
    name: 'nat errors: about pings',
    setup: uplinkOf(),
    steps: [
      leaves(out4(WEB.ip4, ping(7))).passes(),
      enters(error4(11, 0, ROUTER4, NAT.ip4, out4(NAT.ip4, ping(PORT)))).passes(
        becomes(error4(11, 0, ROUTER4, WEB.ip4, out4(WEB.ip4, ping(7)))),
      ),
      leaves(out6(WEB.ip6, ping6(7))).passes(),
      enters(error6(3, 0, ROUTER6, NAT.ip6, out6(NAT.ip6, ping6(PORT)))).passes(
        becomes(error6(3, 0, ROUTER6, WEB.ip6, out6(WEB.ip6, ping6(7)))),
      ),
    ],
  },
  {
    name: 'nat errors: about SCTP, and behind options and extension headers',
    setup: uplinkOf({ low: 1000, high: 50_000 }),
    steps: [
      leaves(out4(WEB.ip4, sctp({ sport: 1000, dport: 9 }))).passes(),
      enters(error4(3, 2, ROUTER4, NAT.ip4, out4(NAT.ip4, sctp({ sport: 1000, dport: 9 })))).passes(
        becomes(error4(3, 2, ROUTER4, WEB.ip4, out4(WEB.ip4, sctp({ sport: 1000, dport: 9 })))),
      ),
      leaves(extended(WEB.ip6, 2000)).passes(becomes(extended(NAT.ip6, 2000))),
      enters(error6(2, 0, ROUTER6, NAT.ip6, extended(NAT.ip6, 2000))).passes(
        becomes(error6(2, 0, ROUTER6, WEB.ip6, extended(WEB.ip6, 2000))),
      ),
    ],
  },
  {
    name: 'nat errors: about nothing that was masqueraded, they are the host’s',
    setup: uplinkOf(),
    steps: [
      leaves(out4(WEB.ip4, dns)).passes(),
      ...[
        error4(3, 3, ROUTER4, NAT.ip4, out4(NAT.ip4, udp({ sport: 1000, dport: 53 }))),
        error4(3, 3, ROUTER4, NAT.ip4, out4('198.51.100.2', udp({ sport: PORT, dport: 53 }))),
        error4(3, 3, ROUTER4, NAT.ip4, out4(NAT.ip4, udp({ sport: PORT, dport: 53 })), 24),
      ].map((packet) => enters(packet).passes(becomes(packet))),
    ],
  },
  {
    name: 'nat errors: of a workload, about what came through its mapping',
    setup: uplinkOf(),
    steps: [
      leaves(out4(WEB.ip4, dns)).passes(),
      leaves(
        error4(
          3,
          3,
          WEB.ip4,
          WORLD.ip4,
          ip4({ src: WORLD.ip4, dst: WEB.ip4 }, udp({ sport: 53, dport: 1000, data: 'late' })),
          32,
        ),
      ).passes(
        becomes(
          error4(
            3,
            3,
            NAT.ip4,
            WORLD.ip4,
            ip4({ src: WORLD.ip4, dst: NAT.ip4 }, udp({ sport: 53, dport: PORT, data: 'late' })),
            32,
          ),
        ),
      ),
      leaves(out6(WEB.ip6, dns)).passes(),
      leaves(
        error6(
          1,
          4,
          WEB.ip6,
          WORLD.ip6,
          ip6({ src: WORLD.ip6, dst: WEB.ip6 }, udp({ sport: 53, dport: 1000, data: 'late' })),
        ),
      ).passes(
        becomes(
          error6(
            1,
            4,
            NAT.ip6,
            WORLD.ip6,
            ip6({ src: WORLD.ip6, dst: NAT.ip6 }, udp({ sport: 53, dport: PORT, data: 'late' })),
          ),
        ),
      ),
    ],
  },
  {
    name: 'nat errors: of the host, which could not hand on what came through a mapping',
    setup: uplinkOf(),
    steps: (() => {
      const reply = { sport: 53, data: 'long' };
      const about4 = (dst: string, dport: number) => ip4({ src: WORLD.ip4, dst }, udp({ ...reply, dport }));
      const about6 = (dst: string, dport: number) =>
        ip6({ src: WORLD.ip6, dst, extensions: [fragment(0, true, 9)] }, udp({ ...reply, dport }));
      const own = { cameBy: 0 };
      const later = error4(3, 4, NAT.ip4, WORLD.ip4, ip4({ src: WORLD.ip4, dst: WEB.ip4, offset: 8 }, dns));
      return [
        leaves(out4(WEB.ip4, dns)).passes(),
        leaves(error4(3, 4, NAT.ip4, WORLD.ip4, about4(WEB.ip4, 1000)), own).passes(
          becomes(error4(3, 4, NAT.ip4, WORLD.ip4, about4(NAT.ip4, PORT))),
        ),
        leaves(out6(WEB.ip6, dns)).passes(),
        leaves(error6(2, 0, NAT.ip6, WORLD.ip6, about6(WEB.ip6, 1000)), own).passes(
          becomes(error6(2, 0, NAT.ip6, WORLD.ip6, about6(NAT.ip6, PORT))),
        ),
        ...[later, error4(3, 3, NAT.ip4, WORLD.ip4, about4(NAT.ip4, 9))].map((packet) =>
          leaves(packet, own).passes(becomes(packet)),
        ),
      ];
    })(),
  },
  {
    name: 'nat errors: of a workload, about what came to its own address, or from nowhere',
    setup: (world) => {
      uplinkOf()(world);
      keepAddressTo(world, '203.0.113.0/24');
    },
    steps: (() => {
      const question = ip4({ src: WORLD.ip4, dst: WEB.ip4 }, udp({ sport: 2000, dport: 53 }));
      const answer = error4(3, 3, WEB.ip4, WORLD.ip4, question);
      const nowhere = error4(
        3,
        3,
        WEB.ip4,
        WORLD.ip4,
        ip4({ src: WORLD.ip4, dst: WEB.ip4 }, udp({ sport: 2000, dport: 54 })),
      );
      const excepted = error4(3, 3, WEB.ip4, '203.0.113.7', question);
      return [
        received(question).passes(),
        sent(answer).passes(),
        leaves(answer).passes(becomes(answer)),
        leaves(nowhere).drops(DROP.DROP_NAT_NO_MAPPING),
        leaves(excepted).passes(becomes(excepted)),
      ];
    })(),
  },
];

export const natErrors: Case[] = [...inwardCases, ...otherCases];
