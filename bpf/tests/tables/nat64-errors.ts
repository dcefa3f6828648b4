// SPDX-License-Identifier: Apache-2.0
/** ICMP errors between the families (RFC 7915 4.2, 5.2): type, code, MTU, pointer, and the quoted packet to the last checksum. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { address64, becomes4, becomes6, comesIn, goesOut, HAIRPIN4, nat64Of, WORLD64 } from '../lib/nat64.ts';
import { ip4, ip4Fragments, ip6, ip6Fragments, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, type Step, sent, translated } from '../lib/scenario.ts';
import { icmp, icmp6, ping, ping6, pong, pong6, type Segment, tcp, udp } from '../lib/transport.ts';
import { NAT } from '../lib/uplink.ts';
import { DB, WEB, WORLD } from '../lib/world.ts';

const PORT = 50_000;
const ROUTER = '203.0.113.1';
const ROUTER64 = address64(ROUTER);
/** The first 8 bytes of the upper layer, or so many. */
const LEAST = 8;

interface Message {
  readonly type: number;
  readonly code: number;
  /** 32 bits behind the checksum. */
  readonly word?: number;
}

const messageOf = ({ type, code, word = 0 }: Message, data: Buffer) => ({
  ...{ type, code, id: word >>> 16, seq: word & 0xffff },
  data,
});
const error4 = (message: Message, [src, dst]: [string, string], quoted: Packet, l4 = LEAST): Packet =>
  ip4({ src, dst }, icmp(messageOf(message, quoted.bytes.subarray(0, 20 + l4))));
const error6 = (message: Message, [src, dst]: [string, string], quoted: Packet, l4 = LEAST): Packet =>
  ip6({ src, dst }, icmp6(messageOf(message, quoted.bytes.subarray(0, 40 + l4))));

/** What the world knows of a packet, and what the workload knows. */
const sentAs = (known4: Segment, known6: Segment): [Packet, Packet] => [
  ip4({ src: NAT.ip4, dst: WORLD.ip4 }, known4),
  ip6({ src: WEB.ip6, dst: WORLD64 }, known6),
];
const ABOUT: Readonly<Record<string, readonly [Segment, Segment]>> = {
  udp: [udp({ sport: PORT, dport: 53, data: 'question' }), udp({ sport: 1000, dport: 53, data: 'question' })],
  tcp: [tcp({ sport: PORT, dport: 80 }), tcp({ sport: 1000, dport: 80 })],
  ping: [ping(PORT), ping6(7)],
};
const UDP = ABOUT.udp as readonly [Segment, Segment];

/** From the world, about what the workload has sent. */
const inward = (before: Message, after: Message, [known4, known6]: readonly [Segment, Segment], l4 = LEAST): Step => {
  const [quoted4, quoted6] = sentAs(known4, known6);
  return enters(error4(before, [ROUTER, NAT.ip4], quoted4, l4)).redirects(
    becomes6(error6(after, [ROUTER64, WEB.ip6], quoted6, l4)),
  );
};
const unknown = (before: Message): Step =>
  enters(error4(before, [ROUTER, NAT.ip4], sentAs(...UDP)[0])).drops(DROP.DROP_NAT_UNSUPPORTED_PROTO);

const TO_IPV6: readonly (readonly [Message, Message])[] = [
  ...[0, 1, 5, 6, 7, 8, 11, 12].map((code): [Message, Message] => [
    { type: 3, code },
    { type: 1, code: 0 },
  ]),
  ...[9, 10, 13, 15].map((code): [Message, Message] => [
    { type: 3, code },
    { type: 1, code: 1 },
  ]),
  [
    { type: 3, code: 3 },
    { type: 1, code: 4 },
  ],
  [
    { type: 3, code: 2 },
    { type: 4, code: 1, word: 6 },
  ],
  ...[
    [1400, 1420],
    [1480, 1500],
    [1260, 1280],
    [576, 1280],
    // a router that does not tell: by the length of what did not fit, which no IPv6 link cuts
    [0, 1280],
  ].map(([mtu = 0, mtu6 = 0]): [Message, Message] => [
    { type: 3, code: 4, word: mtu },
    { type: 2, code: 0, word: mtu6 },
  ]),
  ...[0, 1].map((code): [Message, Message] => [
    { type: 11, code },
    { type: 3, code },
  ]),
  ...[
    [0, 0],
    [1, 1],
    [2, 4],
    [8, 7],
    [9, 6],
    [12, 8],
    [19, 24],
  ].map(([pointer = 0, pointer6 = 0]): [Message, Message] => [
    { type: 12, code: 0, word: (pointer << 24) >>> 0 },
    { type: 4, code: 0, word: pointer6 },
  ]),
];

const inwardCases: Case[] = [
  ...Object.entries(ABOUT).map(
    ([name, about]): Case => ({
      name: `nat64 errors: from the world about ${name}, with as much quoted as there is or as must be`,
      setup: nat64Of(),
      steps: [
        goesOut(about[1], about[0]),
        ...[LEAST, about[0].bytes.length].map((l4) => inward({ type: 3, code: 3 }, { type: 1, code: 4 }, about, l4)),
      ],
    }),
  ),
  {
    name: 'nat64 errors: every message of IPv4 that has a counterpart',
    setup: nat64Of(),
    steps: [goesOut(UDP[1], UDP[0]), ...TO_IPV6.map(([before, after]) => inward(before, after, UDP, 16))],
  },
  {
    name: 'nat64 errors: messages of IPv4 that have none',
    setup: nat64Of(),
    steps: [
      goesOut(UDP[1], UDP[0]),
      unknown({ type: 3, code: 14 }),
      unknown({ type: 12, code: 1 }),
      unknown({ type: 12, code: 0, word: (4 << 24) >>> 0 }),
      unknown({ type: 12, code: 0, word: (20 << 24) >>> 0 }),
    ],
  },
  {
    name: 'nat64 errors: of an MTU that is not told the length of a large packet says more',
    setup: nat64Of(),
    steps: (() => {
      const [out, known] = [PORT, 1000].map((sport) => udp({ sport, dport: 53, data: Buffer.alloc(1452) })) as [
        Segment,
        Segment,
      ];
      const quoted4 = ip4({ src: NAT.ip4, dst: WORLD.ip4, dontFragment: true }, out);
      return [
        goesOut(known, out, {}, { dontFragment: true }),
        // 1480 bytes: 1006 is the next that is known, less than any link of IPv6 carries
        enters(error4({ type: 3, code: 4 }, [ROUTER, NAT.ip4], quoted4)).redirects(
          becomes6(
            error6({ type: 2, code: 0, word: 1280 }, [ROUTER64, WEB.ip6], ip6({ src: WEB.ip6, dst: WORLD64 }, known)),
          ),
        ),
      ];
    })(),
  },
  {
    name: 'nat64 errors: a wrong checksum stays wrong; what nobody has sent is the host’s',
    setup: nat64Of(),
    steps: (() => {
      const [quoted4, quoted6] = sentAs(...UDP);
      const spoilt = (packet: Packet, at: number): Packet => {
        const bytes = Buffer.from(packet.bytes);
        bytes.writeUInt16BE(bytes.readUInt16BE(at) - 1, at);
        return { ...packet, bytes };
      };
      const stranger = error4(
        { type: 3, code: 3 },
        [ROUTER, NAT.ip4],
        ip4({ src: NAT.ip4, dst: WORLD.ip4 }, udp({ sport: 9, dport: 9 })),
      );
      return [
        goesOut(UDP[1], UDP[0]),
        enters(spoilt(error4({ type: 3, code: 3 }, [ROUTER, NAT.ip4], quoted4), 22)).redirects(
          becomes6(spoilt(error6({ type: 1, code: 4 }, [ROUTER64, WEB.ip6], quoted6), 42)),
        ),
        enters(stranger).passes(becomes(stranger)),
      ];
    })(),
  },
];

/** By the workload or the host, about what has come from the world. */
const outward = (
  before: Message,
  after: Message,
  [known6, known4]: readonly [Segment, Segment],
  { cameBy = WEB.ifindex, from = WEB.ip6 as string, l4 = LEAST } = {},
): Step =>
  translated(error6(before, [from, WORLD64], ip6({ src: WORLD64, dst: WEB.ip6 }, known6), l4), { cameBy }).redirects(
    becomes4(error4(after, [NAT.ip4, WORLD.ip4], ip4({ src: WORLD.ip4, dst: NAT.ip4 }, known4), l4)),
  );

const ANSWERS: Readonly<Record<string, readonly [Step, Segment, Segment]>> = {
  udp: [
    goesOut(UDP[1], UDP[0]),
    udp({ sport: 53, dport: 1000, data: 'answer' }),
    udp({ sport: 53, dport: PORT, data: 'answer' }),
  ],
  tcp: [
    goesOut(tcp({ sport: 1000, dport: 80 }), tcp({ sport: PORT, dport: 80 })),
    tcp({ sport: 80, dport: 1000, flags: 'SA' }),
    tcp({ sport: 80, dport: PORT, flags: 'SA' }),
  ],
  ping: [goesOut(ping6(7), ping(PORT)), pong6(7), pong(PORT)],
};
const ANSWER = ANSWERS.udp as readonly [Step, Segment, Segment];

const TO_IPV4: readonly (readonly [Message, Message])[] = [
  ...[
    [0, 1],
    [1, 10],
    [2, 1],
    [3, 1],
    [4, 3],
  ].map(([code = 0, code4 = 0]): [Message, Message] => [
    { type: 1, code },
    { type: 3, code: code4 },
  ]),
  ...[
    [1500, 1480],
    [1280, 1260],
    [1000, 1260],
    [100_000, 65_515],
  ].map(([mtu = 0, mtu4 = 0]): [Message, Message] => [
    { type: 2, code: 0, word: mtu },
    { type: 3, code: 4, word: mtu4 },
  ]),
  ...[0, 1].map((code): [Message, Message] => [
    { type: 3, code },
    { type: 11, code },
  ]),
  [
    { type: 4, code: 1, word: 6 },
    { type: 3, code: 2 },
  ],
  ...[
    [0, 0],
    [4, 2],
    [6, 9],
    [7, 8],
    [8, 12],
    [39, 16],
  ].map(([pointer = 0, pointer4 = 0]): [Message, Message] => [
    { type: 4, code: 0, word: pointer },
    { type: 12, code: 0, word: (pointer4 << 24) >>> 0 },
  ]),
];

const outwardCases: Case[] = [
  ...Object.entries(ANSWERS).map(
    ([name, [open, known6, known4]]): Case => ({
      name: `nat64 errors: to the world about ${name}`,
      setup: nat64Of(),
      steps: [
        open,
        ...[LEAST, known6.bytes.length].map((l4) =>
          outward({ type: 1, code: 4 }, { type: 3, code: 3 }, [known6, known4], { l4 }),
        ),
      ],
    }),
  ),
  {
    name: 'nat64 errors: every message of IPv6, the host’s own about what was too long too',
    setup: nat64Of(),
    steps: [
      ANSWER[0],
      ...TO_IPV4.map(([before, after]) => outward(before, after, [ANSWER[1], ANSWER[2]])),
      outward({ type: 2, code: 0, word: 1500 }, { type: 3, code: 4, word: 1480 }, [ANSWER[1], ANSWER[2]], {
        cameBy: 0,
        from: 'fe80::1',
      }),
      translated(
        error6({ type: 4, code: 0, word: 2 }, [WEB.ip6, WORLD64], ip6({ src: WORLD64, dst: WEB.ip6 }, ANSWER[1])),
      ).drops(DROP.DROP_NAT_UNSUPPORTED_PROTO),
      translated(
        error6({ type: 4, code: 2 }, [WEB.ip6, WORLD64], ip6({ src: WORLD64, dst: WEB.ip6 }, ANSWER[1])),
      ).drops(DROP.DROP_NAT_UNSUPPORTED_PROTO),
    ],
  },
  {
    name: 'nat64 errors: about nothing that came through, or by somebody else',
    setup: nat64Of(),
    steps: [
      ANSWER[0],
      translated(
        error6(
          { type: 1, code: 4 },
          [WEB.ip6, WORLD64],
          ip6({ src: WORLD64, dst: WEB.ip6 }, udp({ sport: 9, dport: 9 })),
        ),
      ).drops(DROP.DROP_NAT_NO_MAPPING),
      translated(
        error6({ type: 1, code: 4 }, ['2001:db8::66', WORLD64], ip6({ src: WORLD64, dst: WEB.ip6 }, ANSWER[1])),
      ).drops(DROP.DROP_INVALID_SOURCE_IP),
      translated(
        error6({ type: 1, code: 4 }, [WEB.ip6, WORLD64], ip6({ src: WORLD.ip6, dst: WEB.ip6 }, ANSWER[1])),
      ).drops(DROP.DROP_NAT_NO_MAPPING),
    ],
  },
  {
    name: 'nat64 errors: about a first fragment, there and back',
    setup: nat64Of(),
    steps: (() => {
      const long = (sport: number, dport: number) => udp({ sport, dport, data: Buffer.alloc(40, 'fragment') });
      const [there] = ip6Fragments({ src: WEB.ip6, dst: WORLD64, id: 0x10007 }, long(1000, 53), [24]) as [Packet];
      const [thereOut] = ip4Fragments({ src: NAT.ip4, dst: WORLD.ip4, id: 7 }, long(PORT, 53), [24]) as [Packet];
      const [back] = ip6Fragments({ src: WORLD64, dst: WEB.ip6, id: 3 }, long(53, 1000), [24]) as [Packet];
      const [backOut] = ip4Fragments({ src: WORLD.ip4, dst: NAT.ip4, id: 3 }, long(53, PORT), [24]) as [Packet];
      return [
        sent(there).passes(),
        translated(there).redirects(becomes(thereOut)),
        translated(error6({ type: 2, code: 0, word: 1400 }, [WEB.ip6, WORLD64], back, 8 + LEAST)).redirects(
          becomes4(error4({ type: 3, code: 4, word: 1372 }, [NAT.ip4, WORLD.ip4], backOut)),
        ),
      ];
    })(),
  },
  {
    name: 'nat64 errors: between workloads of this host',
    setup: nat64Of(),
    steps: (() => {
      const [known6, known4] = [1000, PORT].map((sport) => udp({ sport, dport: 53, data: 'x' })) as [Segment, Segment];
      const DB64 = address64(DB.ip4);
      return [
        translated(ip6({ src: WEB.ip6, dst: DB64 }, known6)).redirects(
          becomes4(ip4({ src: HAIRPIN4, dst: DB.ip4 }, known4)),
        ),
        translated(error4({ type: 3, code: 3 }, [DB.ip4, HAIRPIN4], ip4({ src: HAIRPIN4, dst: DB.ip4 }, known4)), {
          cameBy: DB.ifindex,
        }).redirects(becomes6(error6({ type: 1, code: 4 }, [DB64, WEB.ip6], ip6({ src: WEB.ip6, dst: DB64 }, known6)))),
      ];
    })(),
  },
  {
    name: 'nat64 errors: what is about an answer leaves the connection as it was',
    setup: nat64Of(),
    steps: [
      ANSWER[0],
      comesIn(ANSWER[2], ANSWER[1]),
      outward({ type: 1, code: 4 }, { type: 3, code: 3 }, [ANSWER[1], ANSWER[2]]),
      comesIn(ANSWER[2], ANSWER[1]),
    ],
  },
];

export const nat64Errors: Case[] = [...inwardCases, ...outwardCases];
