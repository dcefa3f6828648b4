// SPDX-License-Identifier: Apache-2.0
/**
 * Egress gateways where a workload sends, and on the uplink of a gateway and of others. What the other end of the
 * tunnel makes of it: overlay.test.ts, with a real device.
 */
import { weir_drop_reason as DROP, weir_tunnel_flags, weir_workload_flags } from '../../gen/index.ts';
import { choose, clearEgress, type Gateway, gateway, select } from '../lib/egress.ts';
import { ethernet, ip4, ip4Fragments, ip6, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, leaves, received, sent } from '../lib/scenario.ts';
import { icmp, ping, pong, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { keepAddressTo, NAT, uplinkOf } from '../lib/uplink.ts';
import { DB, HOST, OPEN, PEER, WEB, WORLD, type World } from '../lib/world.ts';

const SELECTED = OPEN | weir_workload_flags.WORKLOAD_EGRESS;
const GATE = { ip4: '198.51.100.77', ip6: '2001:db8:100::77' } as const;
const EXCLUDED = '192.0.2.20';
const ROUTER = '203.0.113.1';
const ELSEWHERE = 42;
/** A test run's device is the loopback. */
const DEVICE = 1;
const SET = 7;
const GROUP = 3;
/** Numbers of hosts: two can be reached by tunnel, one cannot. */
const HOSTS = { near: 3, silent: 4 } as const;
const PORT = 50_000;

const syn = tcp({ sport: 1000, dport: 80 });
const ack = tcp({ sport: 1000, dport: 80, flags: 'A' });
const from4 = (src: string, segment: Segment = syn, dst: string = WORLD.ip4, ttl = 64): Packet =>
  ip4({ src, dst, ttl }, segment);
const from6 = (src: string, segment: Segment = syn, dst: string = WORLD.ip6): Packet => ip6({ src, dst }, segment);
const ofWeb = (packet: Packet): { readonly out: Buffer } => ({
  out: ethernet({ from: WEB.mac, to: WEB.hostMac }, packet),
});
const here: Gateway = { ifindex: WEB.ifindex, ...GATE };

/** Both workloads' addresses, one of this host and one of another, are selected; gateway 1 is chosen. */
const gateways =
  (first: Gateway, own = 0) =>
  async (world: World): Promise<void> => {
    await clearEgress(world);
    uplinkOf({ isEgress: true })(world);
    for (const address of [PEER.ip4, PEER.ip6]) world.managed(address, PEER.identity, HOSTS.near);
    const flags = weir_tunnel_flags.TUNNEL_SEND;
    world.tunnel(HOSTS.near, { remote: '198.51.100.2', local: '198.51.100.1', flags, ifindex: DEVICE });
    world.noTunnel(HOSTS.silent);
    const groups = { '0.0.0.0/0': GROUP, [`${EXCLUDED}/32`]: 0, '::/0': GROUP };
    select(world, SET, [WEB.ip4, WEB.ip6, PEER.ip4, PEER.ip6], groups);
    gateway(world, 1, GROUP, first);
    choose(world, GROUP, 1, own);
  };
const error4 = (from: string, to: string, quoted: Packet): Packet =>
  ip4({ src: from, dst: to }, icmp({ type: 3, code: 3, data: quoted.bytes.subarray(0, 28) }));

const atWorkload: Case[] = [
  {
    name: 'egress: what is selected goes to the gateway’s tunnel, what is excluded or the fleet’s does not',
    flags: SELECTED,
    setup: gateways({ host: HOSTS.near }),
    steps: [
      sent(from4(WEB.ip4)).redirects({
        ...ofWeb(from4(WEB.ip4, syn, WORLD.ip4, 63)),
        flows: [{ point: 'to-network', encrypted: false }],
      }),
      sent(from4(WEB.ip4, ack)).redirects({ flows: [] }),
      sent(from6(WEB.ip6)).redirects(),
      sent(from4(WEB.ip4, ping(7))).redirects(),
      sent(from4(WEB.ip4, sctp({ sport: 1000, dport: 9 }))).redirects(),
      sent(from4(WEB.ip4, syn, EXCLUDED)).passes({ flows: [{ point: 'to-stack' }] }),
      sent(from4(WEB.ip4, syn, HOST.ip4)).passes(),
      // the last hop is the router's to answer
      sent(from4(WEB.ip4, udp({ sport: 5, dport: 5 }), WORLD.ip4, 1)).passes(),
      ...ip4Fragments(
        { src: WEB.ip4, dst: WORLD.ip4, id: 9 },
        udp({ sport: 1, dport: 53, data: Buffer.alloc(100) }),
        [40],
      ).map((packet) => sent(packet).redirects()),
    ],
  },
  {
    name: 'egress: what goes to a gateway whose host is reached encrypted says so',
    flags: SELECTED,
    setup: async (world) => {
      await gateways({ host: HOSTS.near })(world);
      const flags = weir_tunnel_flags.TUNNEL_ENCRYPTED;
      world.tunnel(HOSTS.near, { remote: '198.51.100.2', local: '198.51.100.1', flags, ifindex: DEVICE });
    },
    steps: [
      sent(from4(WEB.ip4)).redirects({ flows: [{ point: 'to-network', encrypted: true }] }),
      sent(from4(WEB.ip4, tcp({ sport: 1000, dport: 80, flags: 'FA' }))).redirects({ flows: [{ encrypted: true }] }),
      sent(from4(WEB.ip4, syn, EXCLUDED)).passes({ flows: [{ point: 'to-stack', encrypted: false }] }),
    ],
  },
  {
    name: 'egress: closed when unsure: no gateway is alive, none is known, the workload is not, the way there is not',
    flags: SELECTED,
    setup: gateways({ host: HOSTS.near }),
    steps: [
      sent(from4(WEB.ip4)).drops(DROP.DROP_NO_EGRESS_GATEWAY, { before: (world) => choose(world, GROUP, 0) }),
      sent(from4(WEB.ip4)).drops(DROP.DROP_NO_EGRESS_GATEWAY, { before: (world) => choose(world, GROUP, 5) }),
      sent(from4(WEB.ip4)).drops(DROP.DROP_NO_TUNNEL_ENDPOINT, {
        before: (world) => {
          gateway(world, 5, GROUP, { host: HOSTS.silent });
        },
      }),
      sent(from4(WEB.ip4)).drops(DROP.DROP_NO_EGRESS_GATEWAY, { before: (world) => world.clear('egress_sources') }),
    ],
  },
  {
    name: 'egress: a connection keeps its gateway while that is alive',
    flags: SELECTED,
    setup: gateways({ host: HOSTS.near }),
    steps: [
      sent(from4(WEB.ip4)).redirects(),
      sent(from4(WEB.ip4, ack)).redirects({
        before: (world) => {
          gateway(world, 2, GROUP, { host: HOSTS.silent });
          choose(world, GROUP, 2);
        },
      }),
      sent(from4(WEB.ip4, tcp({ sport: 1001, dport: 80 }))).drops(DROP.DROP_NO_TUNNEL_ENDPOINT),
      sent(from4(WEB.ip4, ack)).drops(DROP.DROP_NO_TUNNEL_ENDPOINT, {
        before: (world) => gateway(world, 1, GROUP, { host: HOSTS.near, isDead: true }),
      }),
    ],
  },
  {
    name: 'egress: by this host itself, and not without an address of the family',
    flags: SELECTED,
    setup: gateways({ ifindex: WEB.ifindex, ip4: GATE.ip4 }, 1),
    steps: [
      sent(from4(WEB.ip4)).redirects({ ...ofWeb(from4(WEB.ip4, syn, WORLD.ip4, 63)), flows: [{ point: 'to-stack' }] }),
      sent(from6(WEB.ip6)).drops(DROP.DROP_NO_EGRESS_IP),
    ],
  },
  {
    name: 'egress: answers of connections that the world opened, and errors about them, leave by no gateway',
    flags: SELECTED,
    setup: gateways({ host: HOSTS.near }),
    steps: [
      received(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, tcp({ sport: 9, dport: 80 }))).passes(),
      sent(from4(WEB.ip4, tcp({ sport: 80, dport: 9, flags: 'SA' }))).passes(),
      leaves(from4(WEB.ip4, tcp({ sport: 80, dport: 9, flags: 'SA' }))).passes(
        becomes(from4(WEB.ip4, tcp({ sport: 80, dport: 9, flags: 'SA' }))),
      ),
      sent(error4(WEB.ip4, WORLD.ip4, ip4({ src: WORLD.ip4, dst: WEB.ip4 }, tcp({ sport: 9, dport: 80 })))).passes(),
    ],
  },
];

const atUplink: Case[] = [
  {
    name: 'egress: nothing that is selected leaves past its gateway',
    setup: async (world) => {
      await gateways({ host: HOSTS.near })(world);
      keepAddressTo(world, `${PEER.ip4}/24`);
    },
    steps: [
      leaves(from4(WEB.ip4)).drops(DROP.DROP_NO_EGRESS_GATEWAY),
      leaves(from6(WEB.ip6)).drops(DROP.DROP_NO_EGRESS_GATEWAY),
      leaves(from4(PEER.ip4), { cameBy: ELSEWHERE }).drops(DROP.DROP_NO_EGRESS_GATEWAY),
      leaves(from4(DB.ip4)).passes(becomes(from4(NAT.ip4, tcp({ sport: PORT, dport: 80 })))),
      leaves(from4(WEB.ip4, syn, EXCLUDED)).passes(becomes(from4(NAT.ip4, tcp({ sport: PORT, dport: 80 }), EXCLUDED))),
      leaves(from4(WEB.ip4, syn, PEER.ip4)).passes(becomes(from4(WEB.ip4, syn, PEER.ip4))),
      leaves(from4(NAT.ip4), { cameBy: 0 }).passes(),
      leaves(from4('203.0.113.9'), { cameBy: ELSEWHERE }).passes(becomes(from4('203.0.113.9'))),
    ],
  },
  {
    name: 'egress: the gateway gives its address, whatever is excepted, and gives back by tunnel',
    setup: async (world) => {
      await gateways(here, 1)(world);
      keepAddressTo(world, `${WORLD.ip4}/24`);
    },
    steps: [
      leaves(from4(PEER.ip4), { cameBy: ELSEWHERE }).passes(becomes(from4(GATE.ip4, tcp({ sport: PORT, dport: 80 })))),
      enters(ip4({ src: WORLD.ip4, dst: GATE.ip4 }, tcp({ sport: 80, dport: PORT, flags: 'SA' }))).redirects(
        becomes(ip4({ src: WORLD.ip4, dst: PEER.ip4, ttl: 63 }, tcp({ sport: 80, dport: 1000, flags: 'SA' }))),
      ),
      leaves(from6(PEER.ip6), { cameBy: ELSEWHERE }).passes(becomes(from6(GATE.ip6, tcp({ sport: PORT, dport: 80 })))),
      enters(ip6({ src: WORLD.ip6, dst: GATE.ip6 }, tcp({ sport: 80, dport: PORT, flags: 'SA' }))).redirects(),
      // what ends here is the router's to answer
      enters(ip4({ src: WORLD.ip4, dst: GATE.ip4, ttl: 2 }, tcp({ sport: 80, dport: PORT, flags: 'A' }))).passes(),
      enters(ip4({ src: WORLD.ip4, dst: GATE.ip4 }, tcp({ sport: 80, dport: PORT, flags: 'A' }))).drops(
        DROP.DROP_NO_TUNNEL_ENDPOINT,
        { before: (world) => world.noTunnel(HOSTS.near) },
      ),
    ],
  },
  {
    name: 'egress: SCTP and ping through the gateway, SCTP with its own ports',
    setup: gateways(here, 1),
    steps: [
      leaves(from4(PEER.ip4, sctp({ sport: 1000, dport: 9 })), { cameBy: ELSEWHERE }).passes(
        becomes(from4(GATE.ip4, sctp({ sport: 1000, dport: 9 }))),
      ),
      enters(ip4({ src: WORLD.ip4, dst: GATE.ip4 }, sctp({ sport: 9, dport: 1000 }))).redirects(
        becomes(ip4({ src: WORLD.ip4, dst: PEER.ip4, ttl: 63 }, sctp({ sport: 9, dport: 1000 }))),
      ),
      leaves(from4(PEER.ip4, ping(7)), { cameBy: ELSEWHERE }).passes(becomes(from4(GATE.ip4, ping(PORT)))),
      enters(ip4({ src: WORLD.ip4, dst: GATE.ip4 }, pong(PORT))).redirects(
        becomes(ip4({ src: WORLD.ip4, dst: PEER.ip4, ttl: 63 }, pong(7))),
      ),
    ],
  },
  {
    name: 'egress: of this host’s own workload, answers go to the stack',
    setup: gateways(here, 1),
    steps: [
      leaves(from4(WEB.ip4)).passes(becomes(from4(GATE.ip4, tcp({ sport: PORT, dport: 80 })))),
      enters(ip4({ src: WORLD.ip4, dst: GATE.ip4 }, tcp({ sport: 80, dport: PORT, flags: 'SA' }))).passes(
        becomes(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, tcp({ sport: 80, dport: 1000, flags: 'SA' }))),
      ),
    ],
  },
  {
    name: 'egress: errors through the gateway’s mapping, both ways',
    setup: gateways(here, 1),
    steps: [
      leaves(from4(PEER.ip4, udp({ sport: 1000, dport: 53 })), { cameBy: ELSEWHERE }).passes(),
      enters(error4(ROUTER, GATE.ip4, from4(GATE.ip4, udp({ sport: PORT, dport: 53 })))).redirects(
        becomes(
          ip4(
            { src: ROUTER, dst: PEER.ip4, ttl: 63 },
            icmp({ type: 3, code: 3, data: from4(PEER.ip4, udp({ sport: 1000, dport: 53 })).bytes.subarray(0, 28) }),
          ),
        ),
      ),
      leaves(error4(PEER.ip4, WORLD.ip4, ip4({ src: WORLD.ip4, dst: PEER.ip4 }, udp({ sport: 53, dport: 1000 }))), {
        cameBy: ELSEWHERE,
      }).passes(
        becomes(error4(GATE.ip4, WORLD.ip4, ip4({ src: WORLD.ip4, dst: GATE.ip4 }, udp({ sport: 53, dport: PORT })))),
      ),
    ],
  },
  {
    name: 'egress: on an uplink that masquerades nobody, what is not selected stays as it is, errors too',
    setup: async (world) => {
      await gateways(here, 1)(world);
      uplinkOf({ isEgress: true, ip4: '', ip6: '' })(world);
    },
    steps: [
      from4(DB.ip4),
      error4(DB.ip4, WORLD.ip4, ip4({ src: WORLD.ip4, dst: DB.ip4 }, udp({ sport: 53, dport: 9 }))),
    ].map((packet) => leaves(packet).passes(becomes(packet))),
  },
  {
    name: 'egress: by another interface of the gateway, or before it has its address, nothing leaves',
    setup: gateways({ ...here, ifindex: WEB.ifindex + 1 }, 1),
    steps: [
      leaves(from4(PEER.ip4), { cameBy: ELSEWHERE }).drops(DROP.DROP_NO_EGRESS_GATEWAY),
      leaves(from4(PEER.ip4), { cameBy: ELSEWHERE }).drops(DROP.DROP_NO_EGRESS_IP, {
        before: (world) => gateway(world, 1, GROUP, {}),
      }),
      leaves(from4(PEER.ip4), { cameBy: ELSEWHERE }).drops(DROP.DROP_NO_EGRESS_GATEWAY, {
        before: (world) => choose(world, GROUP, 1, 0),
      }),
    ],
  },
];

export const egress: Case[] = [...atWorkload, ...atUplink];
