// SPDX-License-Identifier: Apache-2.0
/** Clients outside that ask for services at an uplink: what becomes of their packets, of the answers, and what they are told. */
import {
  weir_drop_reason as DROP,
  weir_backend_flags,
  weir_service_flags,
  weir_tunnel_flags,
} from '../../gen/index.ts';
import { ip4, ip4Fragments, ip6, ip6Fragments, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, leaves, outOfTunnel, type Step, sentBack } from '../lib/scenario.ts';
import { type Frontend, TCP, UDP } from '../lib/service-tables.ts';
import { icmp, icmp6, ping, ping6, pong, pong6, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { keepAddressTo, NAT, type UplinkOptions, uplinkOf } from '../lib/uplink.ts';
import { DB, PEER, WEB, WORLD, type World } from '../lib/world.ts';

export const SCTP = 132;
export const VIP = { ip4: '203.0.113.80', ip6: '2001:db8:80::1' } as const;
export const ROUTER = { ip4: '203.0.113.1', ip6: '2001:db8:ffff::1' } as const;
/** Of the range of masquerade. */
const PORT = 50_000;
const ELSEWHERE = 5;
const { BACKEND_LOCAL } = weir_backend_flags;
const FLAG = weir_service_flags;
const OPEN = FLAG.SERVICE_ROUTABLE | FLAG.SERVICE_LOAD_BALANCER;
export const FAMILIES = ['ip4', 'ip6'] as const;
export type Family = (typeof FAMILIES)[number];
/** So much of a packet is quoted, if it has so much. */
export const QUOTED = [96, 80, 60, 48, 40, 28] as const;
export const FIRST: Frontend = { number: 1, address: VIP.ip4, port: 80, protocol: TCP, flags: OPEN, active: [1] };

export const packetOf = (family: Family, src: string, dst: string, segment: Segment, ttl = 64): Packet =>
  family === 'ip4' ? ip4({ src, dst, ttl }, segment) : ip6({ src, dst, hopLimit: ttl }, segment);

export interface Made {
  readonly family?: Family;
  readonly protocol?: number;
  readonly port?: number;
  /** Of the backend. */
  readonly to?: number;
  readonly flags?: number;
  /** Backends 1 is of this host, 2 elsewhere. */
  readonly active?: readonly number[];
  readonly uplink?: UplinkOptions;
  readonly affinityS?: number;
}

/** A service of port 80 at the VIP, with a backend of this host (WEB) and one that is reached by tunnel (PEER). */
export const serving =
  ({ family = 'ip4', protocol = TCP, port = 80, to = 8080, flags = OPEN, active = [1], ...more }: Made = {}) =>
  (world: World): void => {
    uplinkOf({ services: true, ...more.uplink })(world);
    keepAddressTo(world, `${PEER.ip4}/24`);
    keepAddressTo(world, `${PEER.ip6}/64`);
    const { services } = world;
    services.settings(0n);
    world.tunnel(ELSEWHERE, {
      ...{ remote: '172.16.0.5', local: '172.16.0.1' },
      ...{ flags: weir_tunnel_flags.TUNNEL_SEND, ifindex: 1 },
    });
    services.backend(1, WEB[family], to, protocol, { flags: BACKEND_LOCAL });
    services.backend(2, PEER[family], to, protocol, { host: ELSEWHERE });
    services.backend(3, DB[family], to, protocol, { flags: BACKEND_LOCAL });
    const affinity = more.affinityS === undefined ? {} : { affinityS: more.affinityS };
    services.frontend({ number: 1, address: VIP[family], port, protocol, flags, active, ...affinity });
  };

export type Ports = { readonly sport: number; readonly dport: number };

/** From the client to the backend of this host and back. */
const here = (family: Family, there: (ports: Ports) => Segment, back: (ports: Ports) => Segment, to = 8080): Step[] => [
  enters(packetOf(family, WORLD[family], VIP[family], there({ sport: 1000, dport: 80 }))).passes(
    becomes(packetOf(family, WORLD[family], WEB[family], there({ sport: 1000, dport: to }))),
  ),
  leaves(packetOf(family, WEB[family], WORLD[family], back({ sport: to, dport: 1000 }))).passes(
    becomes(packetOf(family, VIP[family], WORLD[family], back({ sport: 80, dport: 1000 }))),
  ),
];

const synOf = (ports: Ports): Segment => tcp(ports);
const answerOf = (ports: Ports): Segment => tcp({ ...ports, flags: 'SA' });
const query = (ports: Ports): Segment => udp({ ...ports, data: 'a question' });

const hereCases: Case[] = FAMILIES.flatMap((family): Case[] => [
  {
    name: `services here ${family}: TCP, and the answer has the address that was asked for`,
    setup: serving({ family }),
    steps: [
      ...here(family, synOf, answerOf),
      ...here(
        family,
        (ports) => tcp({ ...ports, flags: 'PA', data: 'an odd request' }),
        (ports) => tcp({ ...ports, flags: 'PA', data: 'answer' }),
      ),
    ],
  },
  {
    name: `services here ${family}: UDP`,
    setup: serving({ family, protocol: UDP }),
    steps: here(family, query, query),
  },
  {
    name: `services here ${family}: SCTP with the port that was asked for, and no other`,
    setup: serving({ family, protocol: SCTP, to: 80 }),
    steps: [
      ...here(family, sctp, sctp, 80),
      enters(packetOf(family, WORLD[family], VIP[family], sctp({ sport: 1001, dport: 80 }))).drops(
        DROP.DROP_NAT_UNSUPPORTED_PROTO,
        { before: (world) => world.services.backend(1, WEB[family], 8080, SCTP, { flags: BACKEND_LOCAL }) },
      ),
    ],
  },
  {
    name: `services here ${family}: errors both ways are about what each side has sent`,
    setup: serving({ family, protocol: UDP }),
    steps: [...here(family, query, query), ...errorsHere(family)],
  },
]);

export function quoting(family: Family, src: string, dst: string, quoted: Packet, ttl = 64): Packet {
  const segment =
    family === 'ip4'
      ? icmp({ type: 3, code: 1, data: quoted.bytes.subarray(0, 28) })
      : icmp6({ type: 1, code: 3, data: quoted.bytes });
  return packetOf(family, src, dst, segment, ttl);
}

function errorsHere(family: Family): Step[] {
  const [client, vip, web] = [WORLD[family], VIP[family], WEB[family]];
  const quotedBack = (src: string, sport: number) => packetOf(family, src, client, query({ sport, dport: 1000 }));
  const quotedThere = (dst: string, dport: number) => packetOf(family, client, dst, query({ sport: 1000, dport }));
  return [
    // a router about what the frontend has answered
    enters(quoting(family, ROUTER[family], vip, quotedBack(vip, 80))).passes(
      becomes(quoting(family, ROUTER[family], web, quotedBack(web, 8080))),
    ),
    // the backend about what the client has asked
    leaves(quoting(family, web, client, quotedThere(web, 8080))).passes(
      becomes(quoting(family, vip, client, quotedThere(vip, 80))),
    ),
    // the host could not hand it on
    leaves(quoting(family, NAT[family], client, quotedThere(web, 8080)), { cameBy: 0 }).passes(
      becomes(quoting(family, NAT[family], client, quotedThere(vip, 80))),
    ),
  ];
}

/** By tunnel: with an address of the host, one hop less, and the answer out of the tunnel. */
const elsewhere = (family: Family, there: (ports: Ports) => Segment, port = PORT): Step =>
  enters(packetOf(family, WORLD[family], VIP[family], there({ sport: 1000, dport: 80 }))).redirects(
    becomes(packetOf(family, NAT[family], PEER[family], there({ sport: port, dport: 8080 }), 63)),
  );

const elsewhereCases: Case[] = FAMILIES.flatMap((family): Case[] => [
  {
    name: `services elsewhere ${family}: TCP and UDP by tunnel, with a port of the host`,
    setup: (world) => {
      serving({ family, active: [2] })(world);
      world.services.backend(4, PEER[family], 8080, UDP, { host: ELSEWHERE });
      world.services.frontend({ ...FIRST, number: 2, address: VIP[family], protocol: UDP, active: [4] });
    },
    steps: [
      elsewhere(family, synOf),
      elsewhere(family, (ports) => tcp({ ...ports, flags: 'PA', data: 'more of the same' })),
      elsewhere(family, query),
      // nobody else's answers, and no socket of the host has these ports
      outOfTunnel(packetOf(family, PEER[family], NAT[family], tcp({ sport: 8081, dport: PORT, flags: 'SA' }))).goesOn(),
    ],
  },
  {
    name: `services elsewhere ${family}: each client has a port of its own, until none is left`,
    setup: serving({ family, active: [2], uplink: { low: PORT, high: PORT } }),
    steps: [
      elsewhere(family, synOf),
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1001, dport: 80 }))).drops(
        DROP.DROP_NAT_NO_MAPPING,
      ),
    ],
  },
  {
    name: `services elsewhere ${family}: the last hop is told`,
    setup: serving({ family, active: [2], protocol: UDP }),
    steps: [
      enters(packetOf(family, WORLD[family], VIP[family], query({ sport: 1000, dport: 80 }), 1)).refused(
        DROP.DROP_TTL_EXCEEDED,
        told(
          family,
          VIP[family],
          WORLD[family],
          { four: [11, 0], six: [3, 0] },
          packetOf(family, WORLD[family], VIP[family], query({ sport: 1000, dport: 80 }), 1),
        ),
      ),
    ],
  },
]);

const refusal = (family: Family, segment: Segment): Step => {
  const asked = packetOf(family, WORLD[family], VIP[family], segment);
  return enters(asked).refused(
    DROP.DROP_NO_BACKEND,
    told(family, VIP[family], WORLD[family], { four: [3, 3], six: [1, 4] }, asked),
  );
};

const wildcard = (family: Family): Frontend => ({
  ...{ number: 9, address: VIP[family], port: 0, protocol: 0, active: [] },
  flags: FLAG.SERVICE_WILDCARD | FLAG.SERVICE_ROUTABLE,
});

const toldCases: Case[] = FAMILIES.flatMap((family): Case[] => [
  {
    name: `services ${family}: without a backend the client is told, or not, as the service says`,
    setup: serving({ family, active: [] }),
    steps: [
      refusal(family, synOf({ sport: 1000, dport: 80 })),
      refusal(family, tcp({ sport: 1000, dport: 80, data: Buffer.alloc(1000, 7) })),
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1000, dport: 80 }))).drops(
        DROP.DROP_NO_BACKEND,
        { before: serving({ family, active: [], flags: OPEN | FLAG.SERVICE_NO_BACKEND_DROP }) },
      ),
    ],
  },
  {
    name: `services ${family}: other ports of an address for services are refused, pings are answered`,
    setup: (world) => {
      serving({ family })(world);
      world.services.frontend(wildcard(family));
    },
    steps: [
      refusal(family, udp({ sport: 1000, dport: 53 })),
      refusal(family, synOf({ sport: 1000, dport: 81 })),
      ...here(family, synOf, answerOf),
      enters(packetOf(family, WORLD[family], VIP[family], family === 'ip4' ? ping() : ping6(), 9)).redirects(
        sentBack(packetOf(family, VIP[family], WORLD[family], family === 'ip4' ? pong() : pong6())),
      ),
    ],
  },
  {
    name: `services ${family}: addresses for the inside are nobody's outside`,
    setup: (world) => {
      serving({ family, flags: 0 })(world);
      world.services.frontend({ ...wildcard(family), flags: FLAG.SERVICE_WILDCARD });
    },
    steps: [
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1000, dport: 80 }))).drops(
        DROP.DROP_IS_CLUSTER_IP,
      ),
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1000, dport: 81 }))).drops(
        DROP.DROP_IS_CLUSTER_IP,
      ),
    ],
  },
  {
    name: `services ${family}: only clients that the service names, or all others`,
    setup: serving({ family, flags: OPEN | FLAG.SERVICE_SOURCE_RANGE }),
    steps: [
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1000, dport: 80 }))).drops(
        DROP.DROP_NOT_IN_SOURCE_RANGE,
      ),
      // the fleet's own are no clients from outside
      enters(packetOf(family, PEER[family], VIP[family], synOf({ sport: 1000, dport: 80 }))).passes(
        becomes(packetOf(family, PEER[family], WEB[family], synOf({ sport: 1000, dport: 8080 }))),
      ),
      ...here(family, synOf, answerOf).map((step, i) =>
        i === 0
          ? {
              ...step,
              before: (world: World) =>
                world.services.range(1001, family === 'ip4' ? `${WORLD.ip4}/31` : `${WORLD.ip6}/64`),
            }
          : step,
      ),
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1002, dport: 80 }))).drops(
        DROP.DROP_NOT_IN_SOURCE_RANGE,
        { before: serving({ family, flags: OPEN | FLAG.SERVICE_SOURCE_RANGE | FLAG.SERVICE_SOURCE_RANGE_DENY }) },
      ),
    ],
  },
  {
    name: `services ${family}: NodePort at an address of the host, nowhere else`,
    setup: (world) => {
      serving({ family, active: [] })(world);
      const any = family === 'ip4' ? '0.0.0.0' : '::';
      world.services.frontend({ ...FIRST, number: 3, address: any, port: 30_080 });
      world.services.nodeAddress(NAT[family]);
    },
    steps: [
      enters(packetOf(family, WORLD[family], NAT[family], synOf({ sport: 1000, dport: 30_080 }))).passes(
        becomes(packetOf(family, WORLD[family], WEB[family], synOf({ sport: 1000, dport: 8080 }))),
      ),
      leaves(packetOf(family, WEB[family], WORLD[family], answerOf({ sport: 8080, dport: 1000 }))).passes(
        becomes(packetOf(family, NAT[family], WORLD[family], answerOf({ sport: 30_080, dport: 1000 }))),
      ),
      ...[
        packetOf(family, WORLD[family], NAT[family], synOf({ sport: 1000, dport: 30_081 })),
        packetOf(family, WORLD[family], ROUTER[family], synOf({ sport: 1000, dport: 30_080 })),
        packetOf(family, WORLD[family], WEB[family], synOf({ sport: 1000, dport: 30_080 })),
      ].map((packet) => enters(packet).passes(becomes(packet))),
    ],
  },
]);

const DATA = Buffer.from('0123456789'.repeat(200));
const fragmentsOf = (family: Family, src: string, dst: string, ports: Ports): Packet[] =>
  family === 'ip4'
    ? ip4Fragments({ src, dst, id: 77 }, udp({ ...ports, data: DATA }), [1000])
    : ip6Fragments({ src, dst, id: 77 }, udp({ ...ports, data: DATA }), [1000]);

const stayingCases: Case[] = FAMILIES.flatMap((family): Case[] => [
  {
    name: `services ${family}: fragments follow the first one, there and back`,
    setup: serving({ family, protocol: UDP }),
    steps: [
      ...fragmentsOf(family, WORLD[family], VIP[family], { sport: 1000, dport: 80 }).map((packet, i) =>
        enters(packet).passes({
          out: becomesFragment(family, WORLD[family], WEB[family], { sport: 1000, dport: 8080 }, i),
        }),
      ),
      ...fragmentsOf(family, WEB[family], WORLD[family], { sport: 8080, dport: 1000 }).map((packet, i) =>
        leaves(packet).passes({
          out: becomesFragment(family, VIP[family], WORLD[family], { sport: 80, dport: 1000 }, i),
        }),
      ),
    ],
  },
  {
    name: `services ${family}: a connection stays while its backend is there, and is sent to another when it is gone`,
    setup: serving({ family }),
    steps: [
      ...here(family, synOf, answerOf),
      enters(packetOf(family, WORLD[family], VIP[family], tcp({ sport: 1000, dport: 80, flags: 'A' }))).passes({
        ...becomes(packetOf(family, WORLD[family], WEB[family], tcp({ sport: 1000, dport: 8080, flags: 'A' }))),
        before: (world) => world.services.frontend({ ...FIRST, address: VIP[family], active: [3] }),
      }),
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1001, dport: 80 }))).passes(
        becomes(packetOf(family, WORLD[family], DB[family], synOf({ sport: 1001, dport: 8080 }))),
      ),
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1000, dport: 80 }))).passes({
        ...becomes(packetOf(family, WORLD[family], DB[family], synOf({ sport: 1000, dport: 8080 }))),
        before: (world) => world.services.noBackend(1),
      }),
    ],
  },
  {
    name: `services ${family}: a client stays with its backend by its address`,
    setup: serving({ family, flags: OPEN | FLAG.SERVICE_AFFINITY, affinityS: 60 }),
    steps: [
      enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport: 1000, dport: 80 }))).passes(),
      ...[1001, 1002, 1003, 1004, 1005, 1006].map((sport) =>
        enters(packetOf(family, WORLD[family], VIP[family], synOf({ sport, dport: 80 }))).passes({
          ...becomes(packetOf(family, WORLD[family], WEB[family], synOf({ sport, dport: 8080 }))),
          before: (world: World) =>
            world.services.frontend({
              ...{ ...FIRST, address: VIP[family], active: [3, 1], affinityS: 60 },
              flags: OPEN | FLAG.SERVICE_AFFINITY,
            }),
        }),
      ),
    ],
  },
]);

export interface Errors {
  readonly four: readonly [type: number, code: number];
  readonly six: readonly [type: number, code: number];
}

export function told(
  family: Family,
  src: string,
  dst: string,
  errors: Errors,
  asked: Packet,
  mtu = 0,
): { readonly out: Buffer } {
  const [type, code] = family === 'ip4' ? errors.four : errors.six;
  const data = asked.bytes.subarray(
    0,
    QUOTED.find((bytes) => bytes <= asked.bytes.length),
  );
  const make = family === 'ip4' ? icmp : icmp6;
  return sentBack(packetOf(family, src, dst, make({ type, code, seq: mtu, data })));
}

function becomesFragment(family: Family, src: string, dst: string, ports: Ports, at: number): Buffer {
  return becomes(fragmentsOf(family, src, dst, ports)[at] as Packet).out;
}

export const services: Case[] = [...hereCases, ...elsewhereCases, ...toldCases, ...stayingCases];
