// SPDX-License-Identifier: Apache-2.0
/** TCP, UDP, SCTP and ICMP headers; fragments of all of them. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { destinationOptions, ip4, ip4Fragments, ip4Raw, ip6, ip6Fragments, ip6Raw } from '../lib/packet.ts';
import { type Case, received, sent } from '../lib/scenario.ts';
import { icmp, icmp6, ping, ping6, raw, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { PEER, WEB } from '../lib/world.ts';

const to4 = { src: WEB.ip4, dst: PEER.ip4 };
const to6 = { src: WEB.ip6, dst: PEER.ip6 };
const both = (segment: Segment) => [sent(ip4(to4, segment)), sent(ip6(to6, segment))];
const flags = (letters: string) => tcp({ sport: 1000, dport: 80, flags: letters });

const headerCases: Case[] = [
  {
    name: 'TCP flags that belong together',
    steps: ['S', 'SU', 'SEC', 'SP', 'SA', 'R', 'RA', 'RPA', 'FA', 'FPA', 'FAU', 'A', 'PA', 'AU', 'AEC'].flatMap(
      (letters) => both(flags(letters)).map((moving) => moving.passes()),
    ),
  },
  {
    name: 'TCP flags that no stack sends',
    steps: ['', 'P', 'U', 'F', 'FPU', 'FS', 'FSA', 'SR', 'SRA', 'FR', 'FRA', 'SUA', 'FSRPAUEC', 'EC'].flatMap(
      (letters) => both(flags(letters)).map((moving) => moving.drops(DROP.DROP_INVALID_PACKET)),
    ),
  },
  {
    name: 'TCP data offset too small, or beyond the packet',
    steps: [0, 4, 6, 15].flatMap((offset) =>
      both(tcp({ sport: 1, dport: 2, offset })).map((moving) => moving.drops(DROP.DROP_CT_INVALID_HEADER)),
    ),
  },
  {
    name: 'TCP options',
    steps: both(tcp({ sport: 1, dport: 2, options: '020405b40402080a0000000000000000' + '0103030701010100' })).map(
      (moving) => moving.passes(),
    ),
  },
  {
    name: 'UDP lengths',
    steps: [
      ...both(udp({ sport: 1, dport: 2, length: 7 })).map((moving) => moving.drops(DROP.DROP_CT_INVALID_HEADER)),
      ...both(udp({ sport: 1, dport: 2, length: 9 })).map((moving) => moving.drops(DROP.DROP_CT_INVALID_HEADER)),
      ...both(udp({ sport: 1, dport: 2, length: 8, data: 'more' })).map((moving) => moving.passes()),
    ],
  },
  { name: 'SCTP', steps: both(sctp({ sport: 5000, dport: 9 })).map((moving) => moving.passes()) },
  {
    name: 'ICMP of the other family',
    steps: [
      sent(ip4(to4, raw(58, Buffer.alloc(40)))).drops(DROP.DROP_CT_UNKNOWN_PROTO),
      sent(ip6(to6, raw(1, Buffer.alloc(40)))).drops(DROP.DROP_CT_UNKNOWN_PROTO),
    ],
  },
];

/** Cuts a packet after each byte; the IP header says what is left, so that only the upper layer is short. */
const cutIp = (segment: Segment, header: number): Case['steps'] =>
  Array.from({ length: header }, (_, length) => segment.bytes.subarray(0, length)).flatMap((bytes) => [
    sent(ip4Raw(to4, segment.protocol, bytes)).drops(DROP.DROP_CT_INVALID_HEADER),
    sent(ip6Raw(to6, segment.protocol, bytes)).drops(DROP.DROP_CT_INVALID_HEADER),
  ]);

const cutCases: Case[] = [
  { name: 'TCP cut at every byte', steps: cutIp(tcp({ sport: 1000, dport: 80 }), 20) },
  {
    name: 'TCP options cut at every byte',
    steps: Array.from({ length: 8 }, (_, at) =>
      sent(
        ip4Raw(to4, 6, tcp({ sport: 1000, dport: 80, options: '0204056801010101' }).bytes.subarray(0, 20 + at)),
      ).drops(DROP.DROP_CT_INVALID_HEADER),
    ),
  },
  { name: 'UDP cut at every byte', steps: cutIp(udp({ sport: 1000, dport: 53 }), 8) },
  { name: 'SCTP cut at every byte', steps: cutIp(sctp({ sport: 1000, dport: 9 }), 12) },
  {
    name: 'ICMP cut at every byte',
    steps: Array.from({ length: 8 }, (_, at) => [
      sent(ip4Raw(to4, 1, ping().bytes.subarray(0, at))).drops(DROP.DROP_CT_INVALID_HEADER),
      sent(ip6Raw(to6, 58, ping6().bytes.subarray(0, at))).drops(DROP.DROP_CT_INVALID_HEADER),
    ]).flat(),
  },
];

/**
 * Every shorter form of a frame with an honest IP length: the frame itself is short. Behind a priority tag, because a
 * test run itself refuses frames too short for the header that an untagged ethertype promises.
 */
const cutFrame = (bytes: Buffer, ethertype: number): Case['steps'] =>
  Array.from({ length: bytes.length }, (_, length) =>
    sent({ ethertype, bytes: bytes.subarray(0, length) }, { vlans: [0] }).drops(DROP.DROP_INVALID_PACKET),
  );

const frameCutCases: Case[] = [
  { name: 'an IPv4 frame cut at every byte', steps: cutFrame(ip4(to4, tcp({ sport: 1, dport: 2 })).bytes, 0x0800) },
  { name: 'an IPv6 frame cut at every byte', steps: cutFrame(ip6(to6, tcp({ sport: 1, dport: 2 })).bytes, 0x86dd) },
  {
    name: 'an IPv6 chain cut at every byte',
    steps: Array.from({ length: 32 }, (_, length) => {
      const whole = ip6(
        { ...to6, extensions: [destinationOptions(1), destinationOptions(1)] },
        udp({ sport: 1, dport: 2 }),
      );
      const bytes = Buffer.from(whole.bytes.subarray(0, 40 + length));
      bytes.writeUInt16BE(length, 4);
      return sent({ ethertype: 0x86dd, bytes }).drops(DROP.DROP_INVALID_IPV6_EXTENSION);
    }),
  },
];

const datagram = udp({ sport: 1000, dport: 53, data: 'x'.repeat(64) });
const [first4, middle4, last4] = ip4Fragments({ ...to4, id: 7 }, datagram, [24, 48]);
const [first6, middle6, last6] = ip6Fragments({ ...to6, id: 7 }, datagram, [24, 48]);
if (!first4 || !middle4 || !last4 || !first6 || !middle6 || !last6) throw new Error('three fragments each');

const only53 = [{ egress: true, identity: PEER.identity, protocol: 17, port: 53, id: 5 }];
const fragmentCases: Case[] = [
  {
    name: 'fragments follow their first one, in any order of the later ones',
    policy: only53,
    steps: [
      sent(first4).passes({ flows: [{ to: `${PEER.ip4}:53`, rule: 5, bytes: 44 }] }),
      sent(last4).passes({ flows: [] }),
      sent(middle4).passes({ flows: [] }),
      sent(first6).passes({ flows: [{ to: `[${PEER.ip6}]:53`, rule: 5 }] }),
      sent(last6).passes(),
      sent(middle6).passes(),
    ],
  },
  {
    name: 'fragments whose first one was not seen',
    steps: [
      sent(middle4).drops(DROP.DROP_FRAGMENT_NOT_FOUND),
      sent(last6).drops(DROP.DROP_FRAGMENT_NOT_FOUND),
      received(ip4Fragments({ src: PEER.ip4, dst: WEB.ip4, id: 9 }, datagram, [24])[1] ?? last4).drops(
        DROP.DROP_FRAGMENT_NOT_FOUND,
      ),
    ],
  },
  {
    name: 'fragments of another datagram',
    steps: [
      sent(first4).passes(),
      sent(ip4Fragments({ ...to4, id: 8 }, datagram, [24])[1] ?? last4).drops(DROP.DROP_FRAGMENT_NOT_FOUND),
    ],
  },
  {
    name: 'fragments of what policy refuses are refused alike',
    policy: only53,
    steps: ip4Fragments({ ...to4, id: 3 }, udp({ sport: 1000, dport: 54, data: 'x'.repeat(64) }), [24, 48]).map(
      (piece) => sent(piece).drops(DROP.DROP_POLICY_DENIED),
    ),
  },
  {
    name: 'a first fragment too small for the upper layer',
    steps: [
      sent(ip4Fragments({ ...to4, id: 1 }, tcp({ sport: 1, dport: 2 }), [16])[0] ?? first4).drops(
        DROP.DROP_CT_INVALID_HEADER,
      ),
      sent(ip4Fragments({ ...to4, id: 1 }, tcp({ sport: 1, dport: 2 }), [8])[0] ?? first4).drops(
        DROP.DROP_CT_INVALID_HEADER,
      ),
      sent(ip6Fragments({ ...to6, id: 1 }, tcp({ sport: 1, dport: 2 }), [16])[0] ?? first6).drops(
        DROP.DROP_CT_INVALID_HEADER,
      ),
    ],
  },
  {
    name: 'a second TCP fragment over the flags (RFC 1858)',
    steps: [
      sent(
        ip4Fragments({ ...to4, id: 2 }, tcp({ sport: 1, dport: 2, data: 'x'.repeat(20) }), [24])[0] ?? first4,
      ).passes(),
      sent(ip4Raw({ ...to4, id: 2, offset: 8, more: true }, 6, Buffer.alloc(16))).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'a fragment beyond 64 KiB',
    steps: [
      sent(first4).passes(),
      sent(ip4Raw({ ...to4, id: 7, offset: 65528 }, 17, Buffer.alloc(16))).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'an IPv6 fragment that names another upper layer than the first one',
    policy: only53,
    steps: [
      sent(first6).passes(),
      sent(ip6Fragments({ ...to6, id: 7 }, { ...datagram, protocol: 6 }, [24])[1] ?? last6).passes({ flows: [] }),
    ],
  },
  {
    name: 'an IPv6 first fragment whose chain goes on inside',
    policy: only53,
    steps: ip6Fragments(
      { ...to6, id: 5 },
      { protocol: 60, bytes: Buffer.concat([Buffer.from('1100010400000000', 'hex'), datagram.bytes]) },
      [40],
    ).map((piece) => sent(piece).passes()),
  },
  {
    name: 'fragments of an echo request',
    policy: [{ egress: true, protocol: 1, port: 8 << 8, id: 6 }],
    steps: ip4Fragments({ ...to4, id: 4 }, icmp({ type: 8, id: 3, data: 'x'.repeat(64) }), [24, 48]).map((piece) =>
      sent(piece).passes(),
    ),
  },
  {
    name: 'ICMPv6 fragments',
    policy: [{ egress: true, protocol: 58, port: 128 << 8, id: 6 }],
    steps: ip6Fragments({ ...to6, id: 4 }, icmp6({ type: 128, id: 3, data: 'x'.repeat(64) }), [24, 48]).map((piece) =>
      sent(piece).passes(),
    ),
  },
];

export const transport: Case[] = [...headerCases, ...cutCases, ...frameCutCases, ...fragmentCases];

/** Run with track_fragments = 0. */
export const fragmentsUntracked: Case = {
  name: 'fragments when they are not tracked',
  steps: [first4, middle4, first6, last6].map((piece) => sent(piece).drops(DROP.DROP_FRAGMENT_UNSUPPORTED)),
};
