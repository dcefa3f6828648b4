// SPDX-License-Identifier: Apache-2.0
/**
 * What workloads send to hosts that are reached by tunnel, and what claims to come from there. That the headers are
 * right and what the other end makes of them: overlay.test.ts, with a real device.
 */
import { weir_drop_reason as DROP, weir_tunnel_flags as TUNNEL } from '../../gen/index.ts';
import { ip4, ip4Fragments, ip6, ip6Fragments } from '../lib/packet.ts';
import { type Case, received, sent } from '../lib/scenario.ts';
import { icmp, type Segment, tcp, udp } from '../lib/transport.ts';
import { PEER, WEB, WORLD, type World } from '../lib/world.ts';

const HOST_NUMBER = 3;
/** A test run's device is the loopback: it has an MTU of 65536. */
const DEVICE = 1;
const { TUNNEL_SEND, TUNNEL_ONLY } = TUNNEL;

const reached = (world: World, flags: number, remote = '198.51.100.2', local = '198.51.100.1'): void => {
  for (const address of [PEER.ip4, PEER.ip6]) world.managed(address, PEER.identity, HOST_NUMBER);
  world.tunnel(HOST_NUMBER, { remote, local, flags, ifindex: DEVICE });
};
const natively = (world: World): void => {
  for (const address of [PEER.ip4, PEER.ip6]) world.managed(address, PEER.identity);
  world.noTunnel(HOST_NUMBER);
};

const syn = tcp({ sport: 1000, dport: 80 });
const out4 = (segment: Segment, ttl = 64) => ip4({ src: WEB.ip4, dst: PEER.ip4, ttl }, segment);
const back4 = (segment: Segment) => ip4({ src: PEER.ip4, dst: WEB.ip4 }, segment);
const ALLOWED = [{ egress: true, identity: PEER.identity, protocol: 6, port: 80, id: 1 }];
const datagram = udp({ sport: 1, dport: 53, data: Buffer.alloc(100) });

export const overlay: Case[] = [
  {
    name: 'tunnel: what is allowed goes to the device, over either underlay, and its flow says so',
    policy: ALLOWED,
    setup: (world) => reached(world, TUNNEL_SEND),
    steps: [
      sent(out4(syn)).redirects({ flows: [{ point: 'to-network', rule: 1, destinationIdentity: PEER.identity }] }),
      sent(out4(tcp({ sport: 1000, dport: 80, flags: 'A' }))).redirects({ flows: [] }),
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, syn)).redirects({ flows: [{ point: 'to-network' }] }),
      sent(out4(syn)).redirects({ before: (world) => reached(world, TUNNEL_SEND, 'fd18::2', 'fd18::1') }),
      sent(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, syn)).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'tunnel: what policy refuses does not go there',
    policy: ALLOWED,
    setup: (world) => reached(world, TUNNEL_SEND),
    steps: [
      sent(out4(tcp({ sport: 1000, dport: 81 }))).drops(DROP.DROP_POLICY_DENIED),
      sent(out4(icmp({ type: 8 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'tunnel: a connection follows when its peer host is reached another way',
    setup: (world) => reached(world, 0),
    steps: [
      sent(out4(syn)).passes({ flows: [{ point: 'to-stack' }] }),
      sent(out4(syn)).redirects({ before: (world) => reached(world, TUNNEL_SEND) }),
      sent(out4(syn)).passes({ before: (world) => reached(world, 0) }),
    ],
  },
  {
    name: 'tunnel: the last hop is for the router, like any error',
    setup: (world) => reached(world, TUNNEL_SEND),
    steps: [sent(out4(syn, 1)).passes(), sent(out4(syn, 2)).redirects()],
  },
  {
    name: 'tunnel: later fragments go the way of the first',
    setup: (world) => reached(world, TUNNEL_SEND),
    steps: [
      ...ip4Fragments({ src: WEB.ip4, dst: PEER.ip4, id: 9 }, datagram, [40]).map((packet) => sent(packet).redirects()),
      ...ip6Fragments({ src: WEB.ip6, dst: PEER.ip6, id: 9 }, datagram, [40]).map((packet) => sent(packet).redirects()),
    ],
  },
  {
    name: 'tunnel: from the uplink, with the address of somebody who comes by tunnel',
    setup: (world) => reached(world, TUNNEL_SEND | TUNNEL_ONLY),
    steps: [
      received(back4(syn)).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(out4(syn)).redirects(),
      received(back4(tcp({ sport: 80, dport: 1000, flags: 'SA' }))).drops(DROP.DROP_INVALID_SOURCE_IP),
      // the device's own, which needed a router
      received(back4(tcp({ sport: 80, dport: 1000, flags: 'SA' })), { cameBy: DEVICE }).passes(),
      received(ip6({ src: PEER.ip6, dst: WEB.ip6 }, syn)).drops(DROP.DROP_INVALID_SOURCE_IP),
      received(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, syn)).passes(),
    ],
  },
  {
    name: 'tunnel: while a fleet changes over, both ways are taken',
    setup: (world) => reached(world, TUNNEL_SEND),
    steps: [received(back4(syn)).passes(), sent(out4(tcp({ sport: 80, dport: 1000, flags: 'SA' }))).redirects()],
  },
  {
    name: 'native: numbers of hosts without a tunnel change nothing',
    setup: natively,
    steps: [sent(out4(syn)).passes({ flows: [{ point: 'to-stack' }] }), received(back4(syn)).passes()],
  },
];
