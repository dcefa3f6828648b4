// SPDX-License-Identifier: Apache-2.0
/**
 * Packets that try to get past policy, by kind. The workload `web` may be asked by `peer` at TCP 443 and may ask it at
 * UDP 53; everything here is something else, dressed up. What makes a trick work elsewhere (a piece that is allowed, a
 * connection that lives) is sent first, as `allowed`.
 */
import {
  arp,
  authentication,
  destinationOptions,
  type Extension,
  ethernet,
  fragment,
  hopByHop,
  icmp,
  icmp6,
  ip4,
  ip4Fragments,
  ip4Raw,
  ip6,
  ip6Fragments,
  ip6Raw,
  mapped,
  type Packet,
  raw,
  routing,
  type Segment,
  sctp,
  tcp,
  udp,
} from '@weir/bpf/testing';
import { DB, HOST, PEER, WEB, WORLD } from '@weir/bpf/testing/world';
import type { Below } from './random.ts';

export type Way = 'sent' | 'received';
export interface Attempt {
  readonly way: Way;
  readonly frame: Buffer;
  /** What policy lets through, to prepare what comes next. */
  readonly allowed?: boolean;
}
export type Family = 'ip4' | 'ip6';

export const ASKED_PORT = 443;
export const DNS_PORT = 53;

const link = { sent: { from: WEB.mac, to: WEB.hostMac }, received: { from: WEB.hostMac, to: WEB.mac } } as const;
const framed = (way: Way, packet: Packet, change: object = {}): Attempt => ({
  way,
  frame: ethernet({ ...link[way], ...change }, packet),
});
const ends = (way: Way, family: Family) =>
  way === 'sent' ? { src: WEB[family], dst: PEER[family] } : { src: PEER[family], dst: WEB[family] };
const whole = (way: Way, family: Family, segment: Segment, change: object = {}): Attempt =>
  framed(
    way,
    family === 'ip4'
      ? ip4({ ...ends(way, family), ...change }, segment)
      : ip6({ ...ends(way, family), ...change }, segment),
  );

/** Of datagrams of which a first piece was sent; those of late ones lie above. */
const EARLY_IDS = 30_000;
/** No port of anybody who may talk: those lie above 1,023. */
const low = (below: Below): number => 500 + below(500);
const high = (below: Below): number => 1_024 + below(60_000);
const text = (below: Below): Buffer => Buffer.alloc(below(200), 'x');
/** No service of anybody. */
const forbiddenPort = (below: Below): number => [22, 80, 8_080, 3_306][below(4)] as number;
/** Allowed but for what is done to it. */
const fine = (way: Way, below: Below): Segment =>
  way === 'sent'
    ? udp({ sport: high(below), dport: DNS_PORT, data: text(below) })
    : tcp({ sport: high(below), dport: ASKED_PORT });
const forbidden = (below: Below): Segment =>
  below(2)
    ? tcp({ sport: high(below), dport: forbiddenPort(below), data: text(below) })
    : udp({ sport: high(below), dport: forbiddenPort(below), data: text(below) });
export const fineAttempt = (way: Way, family: Family, below: Below): Attempt => ({
  ...whole(way, family, fine(way, below)),
  allowed: true,
});

const pieces = (way: Way, family: Family, segment: Segment, cuts: readonly number[], id: number): Attempt[] =>
  (family === 'ip4'
    ? ip4Fragments({ ...ends(way, family), id }, segment, cuts)
    : ip6Fragments({ ...ends(way, family), id }, segment, cuts)
  ).map((packet) => framed(way, packet));

/** One piece at an offset. */
const piece = (way: Way, family: Family, protocol: number, bytes: Buffer, offset: number, id: number): Attempt =>
  framed(
    way,
    family === 'ip4'
      ? ip4Raw({ ...ends(way, family), id, offset }, protocol, bytes)
      : ip6Raw({ ...ends(way, family), extensions: [fragment(offset, false, id)] }, protocol, bytes),
  );

const chain = (below: Below): Extension[] => {
  const parts = [destinationOptions(below(3)), routing(4, 0), authentication(), fragment(0, false, below(65_536))];
  return [...(below(2) ? [hopByHop()] : []), ...parts.filter(() => below(2))];
};

const quoted = (packet: Packet): Buffer => packet.bytes.subarray(0, 48);
const errorAbout = (way: Way, family: Family, about: Packet, below: Below): Attempt =>
  family === 'ip4'
    ? whole(way, family, icmp({ type: [3, 11, 12][below(3)] as number, code: below(4), data: quoted(about) }))
    : whole(way, family, icmp6({ type: 1 + below(4), code: 0, data: Buffer.concat([about.bytes.subarray(0, 56)]) }));

const neighbour = (type: number, source: string, target: string, to = 'ff02::1'): Attempt =>
  framed(
    'sent',
    ip6(
      { src: source, dst: to, hopLimit: 255 },
      icmp6({ type, data: Buffer.concat([mapped(target), Buffer.from([2, 1]), Buffer.from('020000000002', 'hex')]) }),
    ),
    { to: '33:33:00:00:00:01' },
  );

/** Each gives one try; `way` and `family` are those asked for where the kind knows both. */
export const EVASIONS: Readonly<Record<string, (way: Way, family: Family, below: Below) => readonly Attempt[]>> = {
  'a first fragment without the upper header': (way, family, below) =>
    pieces(way, family, tcp({ sport: high(below), dport: ASKED_PORT, data: 'x'.repeat(40) }), [8], below(EARLY_IDS)),
  'a fragment over the header of an allowed one': (way, family, below) => {
    const id = below(EARLY_IDS);
    const data = 'x'.repeat(64);
    const segment =
      way === 'sent'
        ? udp({ sport: high(below), dport: DNS_PORT, data })
        : tcp({ sport: high(below), dport: ASKED_PORT, data });
    const protocol = way === 'sent' ? 17 : 6;
    const [first] = pieces(way, family, segment, [24], id);
    return [
      { ...(first as Attempt), allowed: true },
      ...(protocol === 6 ? [piece(way, family, protocol, Buffer.alloc(16, 2), 8, id)] : []),
      piece(way, family, protocol, forbidden(below).bytes.subarray(0, 8), 0, id + 1),
    ];
  },
  'a late fragment': (way, family, below) => [
    piece(way, family, below(2) ? 6 : 17, text(below), 8 * (1 + below(100)), EARLY_IDS + below(EARLY_IDS)),
  ],
  'extension headers before a forbidden port': (way, _family, below) => [
    whole(way, 'ip6', forbidden(below), { extensions: chain(below) }),
  ],
  'extension headers in a wrong order or number': (way, _family, below) => [
    whole(way, 'ip6', fine(way, below), {
      extensions: [
        Array<Extension>(9 + below(4)).fill(destinationOptions()),
        [destinationOptions(), hopByHop()],
        [routing(below(2) * 4, 1 + below(3))],
        [fragment(0, false, 1), fragment(0, false, 1)],
      ][below(4)],
    }),
  ],
  'IPv4 options before a forbidden port': (way, _family, below) => [
    whole(way, 'ip4', forbidden(below), {
      options: ['94040000', '01010101', '4408050000000000', '0707040000000000'][below(4)],
    }),
  ],
  'a source route to an allowed port': (way, _family, below) => [
    whole(way, 'ip4', fine(way, below), { options: ['8307040a02000100', '018907040a020001'][below(2)] }),
  ],
  'tags of VLANs around an allowed packet': (way, family, below) => {
    const vlans = [[1 + below(4_000)], [0, 1 + below(4_000)], [1 + below(4_000), 0], [0, 0, 0]][below(4)];
    const packet =
      family === 'ip4' ? ip4(ends(way, family), fine(way, below)) : ip6(ends(way, family), fine(way, below));
    return [framed(way, packet, { vlans })];
  },
  'IPIP, GRE and 6in4 around an allowed packet': (way, family, below) => {
    const inner = below(2) ? ip4(ends(way, 'ip4'), fine(way, below)) : ip6(ends(way, 'ip6'), fine(way, below));
    const gre = Buffer.alloc(4);
    gre.writeUInt16BE(inner.ethertype, 2);
    const around = below(3);
    return [
      whole(
        way,
        family,
        around === 0 ? raw(47, Buffer.concat([gre, inner.bytes])) : raw(around === 1 ? 4 : 41, inner.bytes),
      ),
    ];
  },
  'an ICMP error about a connection that is not there': (way, family, below) => {
    const other = way === 'sent' ? 'received' : 'sent';
    const segment = below(2) ? udp({ sport: low(below), dport: DNS_PORT }) : tcp({ sport: low(below), dport: 80 });
    const about = family === 'ip4' ? ip4(ends(other, family), segment) : ip6(ends(other, family), segment);
    return [errorAbout(way, family, about, below)];
  },
  'an ICMP error about a live connection, quoted the wrong way round': (_way, family, below) => {
    const question = udp({ sport: high(below), dport: DNS_PORT });
    const about = family === 'ip4' ? ip4(ends('sent', family), question) : ip6(ends('sent', family), question);
    return [{ ...whole('sent', family, question), allowed: true }, errorAbout('sent', family, about, below)];
  },
  'an echo reply whose identifier is the port of a live connection': (_way, family, below) => {
    const port = high(below);
    const reply = family === 'ip4' ? icmp({ type: 0, id: port }) : icmp6({ type: 129, id: port });
    return [
      { ...whole('sent', family, udp({ sport: port, dport: DNS_PORT })), allowed: true },
      whole('received', family, reply),
    ];
  },
  'TCP flags that no stack sends': (way, family, below) => [
    whole(
      way,
      family,
      tcp({ sport: high(below), dport: ASKED_PORT, flags: ['SF', '', 'FPU', 'SR', 'F', 'SFRPAU'][below(6)] as string }),
    ),
  ],
  'source and destination are the same': (way, family, below) => [
    whole(way, family, fine(way, below), { src: WEB[family], dst: WEB[family] }),
  ],
  'martian sources': (way, family, below) => [
    whole(way, family, fine(way, below), {
      src:
        family === 'ip4'
          ? ['127.0.0.1', '127.1.2.3', '0.0.0.0', '224.0.0.1', '255.255.255.255'][below(5)]
          : ['::1', '::', 'ff02::1', '::ffff:127.0.0.1'][below(4)],
    }),
  ],
  'a v4-mapped address on the wire': (way, _family, below) => [
    whole(way, 'ip6', fine(way, below), {
      [way === 'sent' ? 'dst' : 'src']: `::ffff:${PEER.ip4}`,
    }),
  ],
  'an address or MAC of somebody else': (_way, family, below) => [
    below(2)
      ? whole('sent', family, fine('sent', below), { src: [DB, HOST, PEER, WORLD][below(4)]?.[family] })
      : framed(
          'sent',
          family === 'ip4'
            ? ip4(ends('sent', family), fine('sent', below))
            : ip6(ends('sent', family), fine('sent', below)),
          { from: DB.mac },
        ),
  ],
  'from outside with the address of a neighbour on this host': (_way, family, below) => [
    whole('received', family, fine('received', below), { src: DB[family] }),
  ],
  'ARP for somebody else': (_way, _family, below) => [
    framed(
      'sent',
      arp({
        operation: 1 + below(2),
        senderMac: [WEB, DB][below(2)]?.mac ?? WEB.mac,
        senderIp: DB.ip4,
        targetIp: HOST.ip4,
      }),
      { to: 'ff:ff:ff:ff:ff:ff' },
    ),
  ],
  'router and neighbour advertisements of somebody else': (_way, _family, below) => [
    [
      () => neighbour(134, 'fe80::ff:fe00:1', '::'),
      () => neighbour(134, WEB.ip6, '::'),
      () => neighbour(136, DB.ip6, DB.ip6),
      () => neighbour(136, WEB.ip6, DB.ip6),
      () => neighbour(135, DB.ip6, HOST.ip6),
      () => neighbour(137, WEB.ip6, DB.ip6),
    ][below(6)]?.() as Attempt,
  ],
  'answers nobody asked for': (way, family, below) => {
    const segments = [
      () => tcp({ sport: ASKED_PORT, dport: low(below), flags: ['SA', 'A', 'R', 'RA', 'FA'][below(5)] as string }),
      () => udp({ sport: DNS_PORT, dport: low(below) }),
      () => sctp({ sport: 9, dport: low(below), data: '\u0002\u0000\u0000\u0014'.padEnd(20, '\u0000') }),
      () => (family === 'ip4' ? icmp({ type: 0, id: high(below) }) : icmp6({ type: 129, id: high(below) })),
    ];
    return [whole(way, family, (segments[below(4)] as () => Segment)())];
  },
};
