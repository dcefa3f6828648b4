// SPDX-License-Identifier: Apache-2.0
/** Workloads whose packets ask for a service where no socket was asked: what becomes of them, and of their answers. */
import {
  weir_drop_reason as DROP,
  weir_backend_flags,
  weir_service_flags,
  weir_tunnel_flags,
} from '../../gen/index.ts';
import { type EthernetOptions, ethernet, ip4Fragments, ip6Fragments, type Packet } from '../lib/packet.ts';
import { type Case, received, type Step, sent } from '../lib/scenario.ts';
import { type Frontend, TCP, UDP } from '../lib/service-tables.ts';
import { icmp, icmp6, ping, ping6, pong, pong6, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { CLOSED, DB, PEER, WEB, WORLD, type World } from '../lib/world.ts';
import { prohibited, resetOf } from './answers.ts';
import { FAMILIES, type Family, type Ports, packetOf, QUOTED, VIP } from './services.ts';

const SCTP = 132;
const ELSEWHERE = 5;
const FLAG = weir_service_flags;
export const ROUTER = { ip4: '10.1.0.254', ip6: 'fd01::fe' } as const;

interface Made {
  readonly family: Family;
  readonly protocol?: number;
  /** Of the backends. */
  readonly to?: number;
  readonly flags?: number;
  /** 1 is another workload of this host, 2 the workload itself, 3 a peer elsewhere, 4 of the world. */
  readonly active?: readonly number[];
  readonly terminating?: readonly number[];
  readonly affinityS?: number;
}

const frontendOf = ({ family, protocol = TCP, flags = 0, active = [1], terminating = [], affinityS = 0 }: Made) =>
  ({ number: 1, address: VIP[family], port: 80, protocol, flags, active, terminating, affinityS }) satisfies Frontend;

/** A service of port 80 at the VIP. */
export const serving =
  (made: Made) =>
  (world: World): void => {
    const { family, protocol = TCP, to = 8080 } = made;
    const { services } = world;
    services.settings(0n);
    services.backend(1, DB[family], to, protocol, { flags: weir_backend_flags.BACKEND_LOCAL });
    services.backend(2, WEB[family], to, protocol, { flags: weir_backend_flags.BACKEND_LOCAL });
    services.backend(3, PEER[family], to, protocol);
    services.backend(4, WORLD[family], to, protocol);
    services.frontend(frontendOf(made));
  };

const delivered = (packet: Packet): { readonly out: Buffer } => ({
  out: ethernet({ from: DB.hostMac, to: DB.mac }, packet),
});
export const onLink = (packet: Packet, link: Partial<EthernetOptions> = {}): { readonly out: Buffer } => ({
  out: ethernet({ from: WEB.mac, to: WEB.hostMac, ...link }, packet),
});
export const given = (packet: Packet): { readonly out: Buffer } => ({
  out: ethernet({ from: WEB.hostMac, to: WEB.mac }, packet),
});

export const syn = (ports: Ports): Segment => tcp(ports);
export const synAck = (ports: Ports): Segment => tcp({ ...ports, flags: 'SA' });
export const query = (ports: Ports): Segment => udp({ ...ports, data: 'a question' });

export type Make = (ports: Ports) => Segment;

/** To the other workload of the host, and its answer, which has the address that was asked for. */
const there = (family: Family, make: Make, to = 8080, sport = 1000): Step =>
  sent(packetOf(family, WEB[family], VIP[family], make({ sport, dport: 80 }))).redirects(
    delivered(packetOf(family, WEB[family], DB[family], make({ sport, dport: to }), 63)),
  );
const back = (family: Family, make: Make, to = 8080, sport = 1000): Step =>
  received(packetOf(family, DB[family], WEB[family], make({ sport: to, dport: sport })), {
    cameBy: DB.ifindex,
  }).passes(given(packetOf(family, VIP[family], WEB[family], make({ sport: 80, dport: sport }))));

/** To somebody whom the host's routes know. */
export const away = (family: Family, dst: string, make: Make, sport = 1000): Step =>
  sent(packetOf(family, WEB[family], VIP[family], make({ sport, dport: 80 }))).passes(
    onLink(packetOf(family, WEB[family], dst, make({ sport, dport: 8080 }))),
  );
export const fromAway = (family: Family, src: string, make: Make): Step =>
  received(packetOf(family, src, WEB[family], make({ sport: 8080, dport: 1000 }))).passes(
    given(packetOf(family, VIP[family], WEB[family], make({ sport: 80, dport: 1000 }))),
  );

const wayCases = FAMILIES.flatMap((family): Case[] => [
  {
    name: `client ${family}: TCP to a workload of the host; flows name the service and show the backend`,
    policy: [{ egress: true, identity: DB.identity, protocol: TCP, port: 8080, id: 1 }],
    dbPolicy: [{ identity: WEB.identity, protocol: TCP, port: 8080, id: 2 }],
    setup: serving({ family }),
    steps: [
      {
        ...there(family, syn),
        flows: [
          { workload: WEB.id, direction: 'egress', rule: 1, destinationIdentity: DB.identity, frontend: 1 },
          { workload: DB.id, direction: 'ingress', rule: 2, sourceIdentity: WEB.identity, frontend: 1 },
        ],
      },
      { ...back(family, synAck), flows: [{ workload: WEB.id, reply: true, frontend: 1 }] },
      there(family, (ports) => tcp({ ...ports, flags: 'PA', data: 'an odd request' })),
      back(family, (ports) => tcp({ ...ports, flags: 'PA', data: 'answer' })),
    ],
  },
  {
    name: `client ${family}: UDP to a workload of the host`,
    setup: serving({ family, protocol: UDP }),
    steps: [there(family, query), back(family, query), there(family, query)],
  },
  {
    name: `client ${family}: SCTP keeps its port, and another one is refused`,
    setup: serving({ family, protocol: SCTP, to: 80 }),
    steps: [
      there(family, sctp, 80),
      back(family, sctp, 80),
      sent(packetOf(family, WEB[family], VIP[family], sctp({ sport: 1001, dport: 80 }))).drops(
        DROP.DROP_NAT_UNSUPPORTED_PROTO,
        { before: serving({ family, protocol: SCTP }) },
      ),
    ],
  },
  {
    name: `client ${family}: to a peer by the host's routes, and back`,
    policy: [{ egress: true, identity: PEER.identity, protocol: TCP, port: 8080, id: 1 }],
    setup: serving({ family, active: [3] }),
    steps: [away(family, PEER[family], syn), fromAway(family, PEER[family], synAck)],
  },
  {
    name: `client ${family}: to a peer by tunnel`,
    setup: (world) => {
      serving({ family, active: [3] })(world);
      world.managed(PEER[family], PEER.identity, ELSEWHERE);
      world.tunnel(ELSEWHERE, {
        ...{ remote: '172.16.0.5', local: '172.16.0.1' },
        ...{ flags: weir_tunnel_flags.TUNNEL_SEND, ifindex: 1 },
      });
    },
    steps: [
      sent(packetOf(family, WEB[family], VIP[family], syn({ sport: 1000, dport: 80 }))).redirects(
        onLink(packetOf(family, WEB[family], PEER[family], syn({ sport: 1000, dport: 8080 }), 63)),
      ),
      // as if it was there natively again, for the tables after this one
      {
        ...fromAway(family, PEER[family], synAck),
        before: (world) => {
          world.noTunnel(ELSEWHERE);
          world.managed(PEER[family], PEER.identity);
        },
      },
    ],
  },
  {
    name: `client ${family}: to a backend in the world`,
    setup: serving({ family, protocol: UDP, active: [4] }),
    steps: [away(family, WORLD[family], query), fromAway(family, WORLD[family], query)],
  },
  {
    name: `client ${family}: what policy refuses names the backend and the service`,
    policy: [{ egress: true, identity: PEER.identity, id: 1 }],
    setup: serving({ family }),
    steps: [
      sent(packetOf(family, WEB[family], VIP[family], syn({ sport: 1000, dport: 80 }))).drops(DROP.DROP_POLICY_DENIED, {
        flows: [
          {
            ...{ workload: WEB.id, destinationIdentity: DB.identity, frontend: 1 },
            to: family === 'ip4' ? `${DB.ip4}:8080` : `[${DB.ip6}]:8080`,
          },
        ],
      }),
    ],
  },
  {
    name: `client ${family}: what is refused is answered by the address that was asked for`,
    policy: [{ egress: true, identity: DB.identity, protocol: TCP, port: 8080, deny: true, response: 'RESET', id: 1 }],
    setup: serving({ family }),
    steps: [
      sent(packetOf(family, WEB[family], VIP[family], syn({ sport: 1000, dport: 80 }))).refused(
        DROP.DROP_POLICY_DENY,
        given(packetOf(family, VIP[family], WEB[family], resetOf(80, 1000, { ack: 1001 }))),
      ),
      ...(['WEB', 'DB'] as const).map((refuses) =>
        sent(packetOf(family, WEB[family], VIP[family], query({ sport: 1000, dport: 80 }))).refused(
          DROP.DROP_POLICY_DENY,
          {
            ...given(
              prohibited(
                family,
                ...([VIP[family], WEB[family]] as const),
                packetOf(family, WEB[family], VIP[family], query({ sport: 1000, dport: 80 })),
              ),
            ),
            before: async (world: World) => {
              serving({ family, protocol: UDP })(world);
              const denial = { deny: true, response: 'RESET', id: 1 } as const;
              await world.policy(
                WEB,
                refuses === 'WEB' ? [{ ...denial, egress: true }] : [{ egress: true, id: 2 }],
                CLOSED,
                2,
              );
              await world.policy(DB, refuses === 'DB' ? [denial] : [{ id: 2 }], CLOSED, 2);
            },
          },
        ),
      ),
    ],
  },
  {
    name: `client ${family}: with a priority tag`,
    setup: serving({ family, active: [3] }),
    steps: [
      sent(packetOf(family, WEB[family], VIP[family], syn({ sport: 1000, dport: 80 })), { vlans: [0] }).passes(
        onLink(packetOf(family, WEB[family], PEER[family], syn({ sport: 1000, dport: 8080 })), { vlans: [0] }),
      ),
    ],
  },
]);

const told = (family: Family, asked: Packet): { readonly out: Buffer } => {
  const data = asked.bytes.subarray(
    0,
    QUOTED.find((bytes) => bytes <= asked.bytes.length),
  );
  const error = family === 'ip4' ? icmp({ type: 3, code: 3, data }) : icmp6({ type: 1, code: 4, data });
  return given(packetOf(family, VIP[family], WEB[family], error));
};

const refusal = (family: Family, segment: Segment): Step => {
  const asked = packetOf(family, WEB[family], VIP[family], segment);
  return sent(asked).refused(DROP.DROP_NO_BACKEND, told(family, asked));
};

const toldCases = FAMILIES.flatMap((family): Case[] => [
  {
    name: `client ${family}: without a backend it is told, or not, as the service says; the flow names the service`,
    setup: serving({ family, active: [] }),
    steps: [
      { ...refusal(family, syn({ sport: 1000, dport: 80 })), flows: [{ workload: WEB.id, frontend: 1 }] },
      sent(packetOf(family, WEB[family], VIP[family], syn({ sport: 1000, dport: 80 }))).drops(DROP.DROP_NO_BACKEND, {
        before: serving({ family, active: [], flags: FLAG.SERVICE_NO_BACKEND_DROP }),
      }),
    ],
  },
  {
    name: `client ${family}: only terminating backends are better than none`,
    setup: serving({ family, active: [], terminating: [1] }),
    steps: [there(family, syn)],
  },
  {
    name: `client ${family}: other ports of an address for services are refused, pings are answered`,
    setup: (world) => {
      serving({ family })(world);
      const wildcard = { number: 9, address: VIP[family], port: 0, protocol: 0, active: [] };
      world.services.frontend({ ...wildcard, flags: FLAG.SERVICE_WILDCARD });
    },
    steps: [
      refusal(family, udp({ sport: 1000, dport: 53, data: 'x'.repeat(40) })),
      there(family, syn),
      sent(packetOf(family, WEB[family], VIP[family], family === 'ip4' ? ping() : ping6(), 9)).redirects(
        given(packetOf(family, VIP[family], WEB[family], family === 'ip4' ? pong() : pong6())),
      ),
    ],
  },
  {
    name: `client ${family}: NodePorts at addresses of hosts, and what the inside sees`,
    setup: (world) => {
      serving({ family, active: [] })(world);
      const any = family === 'ip4' ? '0.0.0.0' : '::';
      const flags = FLAG.SERVICE_TWO_SCOPES;
      const nodePort: Frontend = { number: 3, address: any, port: 30_080, flags, active: [3] };
      world.services.frontend(nodePort);
      world.services.frontend({ ...nodePort, internal: true, active: [1] });
      world.services.nodeAddress(ROUTER[family]);
    },
    steps: [
      sent(packetOf(family, WEB[family], ROUTER[family], syn({ sport: 1000, dport: 30_080 }))).redirects(
        delivered(packetOf(family, WEB[family], DB[family], syn({ sport: 1000, dport: 8080 }), 63)),
      ),
      sent(packetOf(family, WEB[family], ROUTER[family], syn({ sport: 1000, dport: 30_081 }))).passes(),
      sent(packetOf(family, WEB[family], WORLD[family], syn({ sport: 1000, dport: 30_080 }))).passes(),
    ],
  },
]);

const DATA = Buffer.from('0123456789'.repeat(200));
const fragmentsOf = (family: Family, src: string, dst: string, ports: Ports, ttl = 64): Packet[] =>
  family === 'ip4'
    ? ip4Fragments({ src, dst, id: 77, ttl }, udp({ ...ports, data: DATA }), [1000])
    : ip6Fragments({ src, dst, id: 77, hopLimit: ttl }, udp({ ...ports, data: DATA }), [1000]);

const stayingCases = FAMILIES.flatMap((family): Case[] => [
  {
    name: `client ${family}: fragments follow the first one, there and back`,
    setup: serving({ family, protocol: UDP, active: [3] }),
    steps: [
      ...fragmentsOf(family, WEB[family], VIP[family], { sport: 1000, dport: 80 }).map((packet, i) =>
        sent(packet).passes(
          onLink(fragmentsOf(family, WEB[family], PEER[family], { sport: 1000, dport: 8080 })[i] as Packet),
        ),
      ),
      ...fragmentsOf(family, PEER[family], WEB[family], { sport: 8080, dport: 1000 }).map((packet, i) =>
        received(packet).passes(
          given(fragmentsOf(family, VIP[family], WEB[family], { sport: 80, dport: 1000 })[i] as Packet),
        ),
      ),
    ],
  },
  {
    name: `client ${family}: a connection stays while its backend is there, and is sent to another when it is gone`,
    setup: serving({ family }),
    steps: [
      there(family, syn),
      back(family, synAck),
      {
        ...there(family, (ports) => tcp({ ...ports, flags: 'A' })),
        before: (world) => world.services.frontend(frontendOf({ family, active: [3] })),
      },
      away(family, PEER[family], syn, 1001),
      { ...away(family, PEER[family], syn), before: (world) => world.services.noBackend(1) },
    ],
  },
  {
    name: `client ${family}: a client stays with its backend by its address`,
    setup: serving({ family, flags: FLAG.SERVICE_AFFINITY, affinityS: 60, active: [3] }),
    steps: [
      away(family, PEER[family], syn),
      ...[1001, 1002, 1003, 1004, 1005, 1006].map((sport) => ({
        ...away(family, PEER[family], syn, sport),
        before: serving({ family, flags: FLAG.SERVICE_AFFINITY, affinityS: 60, active: [1, 3] }),
      })),
    ],
  },
  {
    name: `client ${family}: a service that begins where somebody has asked already`,
    setup: (world) => world.services.settings(0n),
    steps: [
      sent(packetOf(family, WEB[family], VIP[family], syn({ sport: 1000, dport: 80 }))).passes(
        onLink(packetOf(family, WEB[family], VIP[family], syn({ sport: 1000, dport: 80 }))),
      ),
      {
        ...there(family, syn),
        before: async (world) => {
          serving({ family })(world);
          await world.pass(6);
        },
      },
    ],
  },
]);

export const client: Case[] = [...wayCases, ...toldCases, ...stayingCases];
