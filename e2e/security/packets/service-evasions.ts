// SPDX-License-Identifier: Apache-2.0
/**
 * Packets of a client outside that try to reach a backend past what its service and its policy let in, by kind. The frontend is
 * asked at TCP 80 and UDP 53, which the backend serves at 8080 and may be asked by the world at; everything here is something
 * else, dressed up. What makes a trick work elsewhere is sent first, as `allowed`.
 */
import {
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
  type Packet,
  raw,
  routing,
  type Segment,
  sctp,
  tcp,
  udp,
} from '@weir/bpf/testing';
import { NAT } from '@weir/bpf/testing/uplink';
import { DB, WEB, WORLD } from '@weir/bpf/testing/world';
import type { Family } from './evasions.ts';
import type { Below } from './random.ts';

export const VIP = { ip4: '203.0.113.80', ip6: '2001:db8:80::1' } as const;
export const TCP_PORT = 80;
export const UDP_PORT = 53;
export const BACKEND_PORT = 8080;

export interface Try {
  readonly frame: Buffer;
  /** What the service is there for, to prepare what comes next. */
  readonly allowed?: boolean;
}

const ends = (family: Family) => ({ src: WORLD[family], dst: VIP[family] });
const packetOf = (family: Family, segment: Segment, change: object = {}): Packet =>
  family === 'ip4' ? ip4({ ...ends(family), ...change }, segment) : ip6({ ...ends(family), ...change }, segment);
const framed = (packet: Packet, change: object = {}): Try => ({
  frame: ethernet({ from: '02:00:00:00:aa:01', to: '02:00:00:00:aa:02', ...change }, packet),
});
const whole = (family: Family, segment: Segment, change: object = {}): Try => framed(packetOf(family, segment, change));

/** Of datagrams of which a first piece was sent; those of late ones lie above. */
const EARLY_IDS = 30_000;
/** No port of a client who is served: those lie above 1,023. */
const low = (below: Below): number => 500 + below(500);
const high = (below: Below): number => 1_024 + below(60_000);
const text = (below: Below): Buffer => Buffer.alloc(below(200), 'x');
/** Nothing is served there, on any address; the backend's own port among them. */
const forbiddenPort = (below: Below): number => [22, 81, BACKEND_PORT, 3_306, 30_080, 0][below(6)] as number;
const fine = (below: Below): Segment =>
  below(2)
    ? udp({ sport: high(below), dport: UDP_PORT, data: text(below) })
    : tcp({ sport: high(below), dport: TCP_PORT });
const forbidden = (below: Below): Segment =>
  (below(2) ? tcp : udp)({ sport: high(below), dport: forbiddenPort(below), data: text(below) });

export const fineTry = (family: Family, below: Below): Try => ({ ...whole(family, fine(below)), allowed: true });

const pieces = (family: Family, segment: Segment, cuts: readonly number[], id: number): Try[] =>
  (family === 'ip4'
    ? ip4Fragments({ ...ends(family), id }, segment, cuts)
    : ip6Fragments({ ...ends(family), id }, segment, cuts)
  ).map((packet) => framed(packet));
const piece = (family: Family, protocol: number, bytes: Buffer, offset: number, id: number): Try =>
  framed(
    family === 'ip4'
      ? ip4Raw({ ...ends(family), id, offset }, protocol, bytes)
      : ip6Raw({ ...ends(family), extensions: [fragment(offset, false, id)] }, protocol, bytes),
  );
const chain = (below: Below): Extension[] => {
  const parts = [destinationOptions(below(3)), routing(4, 0), authentication(), fragment(0, false, below(65_536))];
  return [...(below(2) ? [hopByHop()] : []), ...parts.filter(() => below(2))];
};
const errorAbout = (family: Family, about: Packet, below: Below): Try =>
  family === 'ip4'
    ? whole(family, icmp({ type: [3, 11, 12][below(3)] as number, code: below(4), data: about.bytes.subarray(0, 48) }))
    : whole(family, icmp6({ type: 1 + below(4), code: 0, data: about.bytes.subarray(0, 56) }));

/** Each gives one try in a family, where it knows both. */
export const SERVICE_EVASIONS: Readonly<Record<string, (family: Family, below: Below) => readonly Try[]>> = {
  'a first fragment without the upper header': (family, below) =>
    pieces(family, tcp({ sport: high(below), dport: TCP_PORT, data: 'x'.repeat(40) }), [8], below(EARLY_IDS)),
  'a fragment over the header of an allowed one': (family, below) => {
    const id = below(EARLY_IDS);
    const [first] = pieces(family, tcp({ sport: high(below), dport: TCP_PORT, data: 'x'.repeat(64) }), [24], id);
    return [
      { ...(first as Try), allowed: true },
      piece(family, 6, Buffer.alloc(16, 2), 8, id),
      piece(family, 6, forbidden(below).bytes.subarray(0, 8), 0, id + 1),
    ];
  },
  'a late fragment': (family, below) => [
    piece(family, below(2) ? 6 : 17, text(below), 8 * (1 + below(100)), EARLY_IDS + below(EARLY_IDS)),
  ],
  'a port that is not served': (family, below) => [whole(family, forbidden(below))],
  'extension headers before a port that is not served': (_family, below) => [
    whole('ip6', forbidden(below), { extensions: chain(below) }),
  ],
  'extension headers in a wrong order or number': (_family, below) => [
    whole('ip6', fine(below), {
      extensions: [
        Array<Extension>(9 + below(4)).fill(destinationOptions()),
        [destinationOptions(), hopByHop()],
        [routing(below(2) * 4, 1 + below(3))],
        [fragment(0, false, 1), fragment(0, false, 1)],
      ][below(4)],
    }),
  ],
  'IPv4 options before a port that is not served': (_family, below) => [
    whole('ip4', forbidden(below), {
      options: ['94040000', '01010101', '4408050000000000', '0707040000000000'][below(4)],
    }),
  ],
  'a source route to a served port': (_family, below) => [
    whole('ip4', fine(below), { options: ['8307040a01000100', '018907040a010001'][below(2)] }),
  ],
  'tags of VLANs around an allowed packet': (family, below) => {
    const vlans = [[1 + below(4_000)], [0, 1 + below(4_000)], [1 + below(4_000), 0], [0, 0, 0]][below(4)];
    return [framed(packetOf(family, fine(below)), { vlans })];
  },
  'IPIP, GRE and 6in4 around an allowed packet, to the frontend, the host and the backend': (family, below) => {
    const inner = packetOf(below(2) ? 'ip4' : 'ip6', fine(below));
    const gre = Buffer.alloc(4);
    gre.writeUInt16BE(inner.ethertype, 2);
    const around = below(3);
    const dst = [VIP, NAT, WEB][below(3)]?.[family];
    const segment = around === 0 ? raw(47, Buffer.concat([gre, inner.bytes])) : raw(around === 1 ? 4 : 41, inner.bytes);
    return [whole(family, segment, { dst })];
  },
  'an ICMP error about a connection that is not there': (family, below) => {
    const about = packetOf(family, (below(2) ? udp : tcp)({ sport: TCP_PORT, dport: low(below) }), {
      ...{ src: VIP[family], dst: WORLD[family] },
    });
    return [errorAbout(family, about, below)];
  },
  'an ICMP error about a live connection, quoted the wrong way round': (family, below) => {
    const question = udp({ sport: high(below), dport: UDP_PORT });
    return [{ ...whole(family, question), allowed: true }, errorAbout(family, packetOf(family, question), below)];
  },
  'an ICMP error about a live connection, quoted as the backend sent it': (family, below) => {
    const port = high(below);
    const about = packetOf(family, udp({ sport: BACKEND_PORT, dport: port }), {
      ...{ src: WEB[family], dst: WORLD[family] },
    });
    return [
      { ...whole(family, udp({ sport: port, dport: UDP_PORT })), allowed: true },
      errorAbout(family, about, below),
    ];
  },
  'an ICMP error within an ICMP error': (family, below) => {
    const question = udp({ sport: high(below), dport: UDP_PORT });
    const answer = packetOf(family, udp({ sport: UDP_PORT, dport: 1_024 }), {
      ...{ src: VIP[family], dst: WORLD[family] },
    });
    const inner =
      family === 'ip4'
        ? icmp({ type: 3, code: 1, data: answer.bytes.subarray(0, 28) })
        : icmp6({ type: 1, code: 0, data: answer.bytes.subarray(0, 48) });
    return [{ ...whole(family, question), allowed: true }, errorAbout(family, packetOf(family, inner), below)];
  },
  'an echo reply whose identifier is the port of a live connection': (family, below) => {
    const port = high(below);
    return [
      { ...whole(family, udp({ sport: port, dport: UDP_PORT })), allowed: true },
      whole(family, family === 'ip4' ? icmp({ type: 0, id: port }) : icmp6({ type: 129, id: port })),
    ];
  },
  'TCP flags that no stack sends': (family, below) => [
    whole(
      family,
      tcp({ sport: high(below), dport: TCP_PORT, flags: ['SF', '', 'FPU', 'SR', 'F', 'SFRPAU'][below(6)] as string }),
    ),
  ],
  'source and destination are the same': (family, below) => [
    whole(family, fine(below), below(2) ? { src: VIP[family] } : { src: WEB[family], dst: WEB[family] }),
  ],
  'martian sources': (family, below) => [
    whole(family, fine(below), {
      src:
        family === 'ip4'
          ? ['127.0.0.1', '127.1.2.3', '0.0.0.0', '224.0.0.1', '255.255.255.255'][below(5)]
          : ['::1', '::', 'ff02::1', '::ffff:127.0.0.1'][below(4)],
    }),
  ],
  'a v4-mapped address on the wire': (_family, below) => [
    whole('ip6', fine(below), below(2) ? { dst: `::ffff:${VIP.ip4}` } : { src: `::ffff:${WORLD.ip4}` }),
  ],
  'the address of a workload of this host, or of the backend itself': (family, below) => [
    whole(family, fine(below), { src: [DB, WEB][below(2)]?.[family] }),
  ],
  'a protocol that nobody serves, and that of a whole address': (family, below) => [
    whole(family, raw([0, 1, 58, 255, 136][below(5)] as number, Buffer.alloc(8 + below(60)))),
  ],
  'answers nobody asked for': (family, below) => {
    const segments = [
      () => tcp({ sport: 443, dport: low(below), flags: ['SA', 'A', 'R', 'RA', 'FA'][below(5)] as string }),
      () => udp({ sport: 53, dport: low(below) }),
      () => sctp({ sport: 9, dport: TCP_PORT, data: '\u0002\u0000\u0000\u0014'.padEnd(20, '\u0000') }),
      () => (family === 'ip4' ? icmp({ type: 0, id: high(below) }) : icmp6({ type: 129, id: high(below) })),
    ];
    return [whole(family, (segments[below(4)] as () => Segment)())];
  },
  'to the backend without its service, at a port that its policy does not open': (family, below) => [
    whole(family, tcp({ sport: high(below), dport: [TCP_PORT, UDP_PORT, 22][below(3)] as number }), {
      dst: WEB[family],
    }),
  ],
};
