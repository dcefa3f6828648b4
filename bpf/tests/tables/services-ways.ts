// SPDX-License-Identifier: Apache-2.0
/**
 * Clients outside whose backend is another host's: the way there and back by the host's routes, with the host's address. To
 * be run in the namespace that `makeWays` makes.
 */
import { createNetns, deleteNetns, openNetlink, setSysctl } from '@weir/loader';
import { weir_drop_reason as DROP, weir_tunnel_flags } from '../../gen/index.ts';
import { ip4, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, type Step } from '../lib/scenario.ts';
import { TCP, UDP } from '../lib/service-tables.ts';
import { type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { NAT } from '../lib/uplink.ts';
import { PEER, WORLD, type World } from '../lib/world.ts';
import {
  FAMILIES,
  type Family,
  type Made,
  type Ports,
  packetOf,
  quoting,
  ROUTER,
  SCTP,
  serving,
  told,
  VIP,
} from './services.ts';

const PORT = 50_000;
/** Of the link that leads to backends and clients. */
const MTU = 1400;
const LINK_MAC = '02:00:00:00:77:01';
const TOO_BIG = { four: [3, 4], six: [2, 0] } as const;

export interface Ways {
  readonly netns: string;
  remove(): Promise<void>;
}

/** Clients and backends are behind one link, nobody else is anywhere. */
export const makeWays = async (): Promise<Ways> => {
  const netns = `/run/netns/ww${process.pid}`;
  await createNetns(netns);
  const netlink = openNetlink(netns);
  try {
    for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding']) await setSysctl(netns, key, '1');
    await netlink.setUp(1);
    const link = await netlink.addVeth({ name: 'way', peer: 'end' });
    const end = await netlink.linkByName('end');
    await netlink.setMtu(link.ifindex, MTU);
    await netlink.setUp(link.ifindex);
    await netlink.setUp(end?.ifindex ?? 0);
    for (const dst of [`${PEER.ip4}/32`, `${PEER.ip6}/128`, `${WORLD.ip4}/32`, `${WORLD.ip6}/128`]) {
      await netlink.replaceRoute({ dst, ifindex: link.ifindex });
      const ip = dst.split('/')[0] as string;
      await netlink.addNeighbour({ ifindex: link.ifindex, ip, mac: LINK_MAC, permanent: true });
    }
    linkOf = link.ifindex;
  } finally {
    netlink.close();
  }
  return { netns, remove: () => deleteNetns(netns) };
};
let linkOf = 0;

/** The backend is reached by the host's routes. */
const native =
  (made: Made) =>
  (world: World): void => {
    serving({ active: [2], ...made })(world);
    const { family = 'ip4', protocol = TCP, to = 8080 } = made;
    world.services.backend(2, PEER[family], to, protocol);
  };

/** By a tunnel whose device is the link. */
const tunnelled =
  (made: Made) =>
  (world: World): void => {
    serving({ active: [2], ...made })(world);
    const flags = weir_tunnel_flags.TUNNEL_SEND;
    world.tunnel(5, { remote: '172.16.0.5', local: '172.16.0.1', flags, ifindex: linkOf });
  };

type Make = (ports: Ports) => Segment;
const syn: Make = (ports) => tcp(ports);
const synAck: Make = (ports) => tcp({ ...ports, flags: 'SA' });
const query: Make = (ports) => udp({ ...ports, data: 'a question' });
const long: Make = (ports) => udp({ ...ports, data: Buffer.alloc(MTU, 7) });
const chunk: Make = (ports) => sctp(ports);

const asked = (family: Family, make: Make, ttl = 64): Packet =>
  packetOf(family, WORLD[family], VIP[family], make({ sport: PORT, dport: 80 }), ttl);
const answered = (family: Family, make: Make, to = 8080): Packet =>
  packetOf(family, PEER[family], NAT[family], make({ sport: to, dport: PORT }));

const there = (family: Family, make: Make, to = 8080): Step =>
  enters(asked(family, make)).redirects(
    becomes(packetOf(family, NAT[family], PEER[family], make({ sport: PORT, dport: to }), 63)),
  );
const back = (family: Family, make: Make, to = 8080): Step =>
  enters(answered(family, make, to)).redirects(
    becomes(packetOf(family, VIP[family], WORLD[family], make({ sport: 80, dport: PORT }), 63)),
  );

/** Each side about what the other has sent: it sees what it knows, and the address that it knows. */
const errors = (family: Family): Step[] => {
  const [client, vip, host, peer] = [WORLD[family], VIP[family], NAT[family], PEER[family]];
  const segment = (sport: number, dport: number) => query({ sport, dport });
  const step = (from: string, to: string, quoted: Packet, as: string, whom: string, seen: Packet): Step =>
    enters(quoting(family, from, to, quoted)).redirects(becomes(quoting(family, as, whom, seen, 63)));
  const sent = packetOf(family, host, peer, segment(PORT, 8080));
  const sentAsKnown = packetOf(family, client, vip, segment(PORT, 80));
  const given = packetOf(family, vip, client, segment(80, PORT));
  const givenAsKnown = packetOf(family, peer, host, segment(8080, PORT));
  return [
    step(peer, host, sent, vip, client, sentAsKnown),
    // a router on the way, which the client could not know
    step(ROUTER[family], host, sent, vip, client, sentAsKnown),
    step(client, vip, given, host, peer, givenAsKnown),
    step(ROUTER[family], vip, given, host, peer, givenAsKnown),
  ];
};

const tooBig = (family: Family, packet: Packet, src: string, dst: string): Step =>
  enters(packet).refused(DROP.DROP_FRAGMENTATION_NEEDED, told(family, src, dst, TOO_BIG, packet, MTU));

const bigAsked = (family: Family): Packet =>
  family === 'ip4'
    ? ip4({ src: WORLD.ip4, dst: VIP.ip4, dontFragment: true }, long({ sport: PORT, dport: 80 }))
    : asked(family, long);
const bigAnswered = (family: Family): Packet =>
  family === 'ip4'
    ? ip4({ src: PEER.ip4, dst: NAT.ip4, dontFragment: true }, long({ sport: 8080, dport: PORT }))
    : answered(family, long);

/** What the driver of a link has put together is as long as its pieces. */
const together = (family: Family): Step => ({
  ...there(family, (ports) => udp({ ...ports, data: Buffer.alloc(2400, 7) })),
  gso: { segments: 2, size: 1200 },
});

export const servicesWays: Case[] = FAMILIES.flatMap((family): Case[] => [
  {
    name: `ways ${family}: TCP by the host's routes, and the answer`,
    setup: native({ family }),
    steps: [there(family, syn), back(family, synAck), there(family, (ports) => tcp({ ...ports, flags: 'A' }))],
  },
  {
    name: `ways ${family}: SCTP keeps its ports and its checksum, and another port is refused`,
    setup: native({ family, protocol: SCTP, to: 80 }),
    steps: [
      there(family, chunk, 80),
      back(family, chunk, 80),
      there(family, chunk, 80),
      // nobody else may have the port
      enters(packetOf(family, ROUTER[family], VIP[family], chunk({ sport: PORT, dport: 80 }))).drops(
        DROP.DROP_NAT_NO_MAPPING,
      ),
      enters(packetOf(family, WORLD[family], VIP[family], chunk({ sport: 1001, dport: 80 }))).drops(
        DROP.DROP_NAT_UNSUPPORTED_PROTO,
        { before: native({ family, protocol: SCTP }) },
      ),
    ],
  },
  {
    name: `ways ${family}: ICMP errors of both sides and of routers`,
    setup: native({ family, protocol: UDP }),
    steps: [there(family, query), back(family, query), ...errors(family)],
  },
  {
    name: `ways ${family}: 169, the host has no route to the backend, and has one again`,
    setup: (world) => {
      native({ family })(world);
      world.services.backend(2, ROUTER[family], 8080, TCP);
    },
    steps: [
      enters(asked(family, syn)).drops(DROP.DROP_NO_FIB),
      enters(asked(family, syn)).drops(DROP.DROP_NO_FIB),
      {
        ...there(family, syn),
        before: async (world) => {
          await world.clear('nat_in');
          native({ family })(world);
        },
      },
    ],
  },
  {
    name: `ways ${family}: 136, too long for the way by routes, and for that of the answer`,
    setup: native({ family, protocol: UDP }),
    steps: [
      there(family, query),
      tooBig(family, bigAsked(family), VIP[family], WORLD[family]),
      tooBig(family, bigAnswered(family), NAT[family], PEER[family]),
      // nobody would cut it behind the program
      tooBig(family, asked(family, long), VIP[family], WORLD[family]),
      together(family),
      there(family, query),
    ],
  },
  {
    name: `ways ${family}: 136, too long for the tunnel`,
    setup: tunnelled({ family, protocol: UDP }),
    steps: [
      there(family, query),
      tooBig(family, bigAsked(family), VIP[family], WORLD[family]),
      // outside the tunnel it may be cut
      ...(family === 'ip4' ? [there(family, long)] : []),
      there(family, query),
    ],
  },
  {
    name: `ways ${family}: a tag is another network's, and no tag is a priority`,
    setup: native({ family }),
    steps: [
      enters(asked(family, syn), { vlans: [7] }).passes(),
      enters(asked(family, syn), { vlans: [8, 7] }).passes(),
      enters(asked(family, syn), { vlans: [7] }).drops(DROP.DROP_VLAN_FILTERED, {
        before: native({ family, uplink: { vlans: [9] } }),
      }),
      enters(asked(family, syn), { vlans: [9] }).passes(),
      there(family, syn),
      enters(answered(family, synAck), { vlans: [7] }).drops(DROP.DROP_VLAN_FILTERED),
      enters(answered(family, synAck), { vlans: [9] }).passes(),
      back(family, synAck),
    ],
  },
]);
