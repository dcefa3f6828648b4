// SPDX-License-Identifier: Apache-2.0
/** Strict encryption at the uplinks: what may not be in the clear is dropped on its way out and in, and in VXLAN too. */
import {
  weir_drop_reason as DROP,
  weir_marks as MARK,
  weir_tunnel_flags as TUNNEL,
  weir_identity,
} from '../../gen/index.ts';
import { ethernet, ip4, ip4Fragments, ip6, type Packet } from '../lib/packet.ts';
import { type Case, enters, leaves, received, sent } from '../lib/scenario.ts';
import { icmp6, type Segment, tcp, udp } from '../lib/transport.ts';
import { NAT, TUNNEL_PORT, type UplinkOptions, uplinkOf, WIREGUARD_PORT } from '../lib/uplink.ts';
import { PEER, WEB, WORLD, type World } from '../lib/world.ts';

const STRICT = ['10.0.0.0/8', 'fd00::/8'];
const PLAIN = DROP.DROP_UNENCRYPTED;
const UNDERLAY = { own: NAT.ip4, other: '198.51.100.2', own6: NAT.ip6, other6: '2001:db8:100::2' } as const;
const { MARK_WIREGUARD, MARK_DECRYPTED } = MARK;
const PEER_HOST = 3;

const syn = tcp({ sport: 1000, dport: 80 });
const out4 = ip4({ src: WEB.ip4, dst: PEER.ip4 }, syn);
const large = ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 1, dport: 2, data: Buffer.alloc(900) }));
const out6 = ip6({ src: WEB.ip6, dst: PEER.ip6 }, syn);
const in4 = ip4({ src: PEER.ip4, dst: WEB.ip4 }, syn);
const in6 = ip6({ src: PEER.ip6, dst: WEB.ip6 }, syn);

const vxlan = (inner: Buffer): Segment =>
  udp({ sport: 40_000, dport: TUNNEL_PORT, data: Buffer.concat([Buffer.from('0800000000000700', 'hex'), inner]) });
const framed = (packet: Packet): Buffer => ethernet({ from: WEB.mac, to: WEB.hostMac }, packet);
const wrapped = (packet: Packet): Packet => ip4({ src: UNDERLAY.own, dst: UNDERLAY.other }, vxlan(framed(packet)));
const arriving = (packet: Packet): Packet => ip4({ src: UNDERLAY.other, dst: UNDERLAY.own }, vxlan(framed(packet)));

/** Nothing is masqueraded: only what strict mode says is looked at. */
const strictly = (options: UplinkOptions = { strict: STRICT }) => uplinkOf({ ip4: '', ip6: '', ...options });
const knowsHosts = (world: World): void => {
  for (const address of [UNDERLAY.other, UNDERLAY.other6]) world.managed(address, weir_identity.IDENTITY_REMOTE_NODE);
  for (const address of [UNDERLAY.own, UNDERLAY.own6]) world.managed(address, weir_identity.IDENTITY_HOST);
};
const encryptedTo = (flags: number) => (world: World) => {
  for (const address of [PEER.ip4, PEER.ip6]) world.managed(address, PEER.identity, PEER_HOST);
  world.tunnel(PEER_HOST, { remote: UNDERLAY.other, local: UNDERLAY.own, flags, ifindex: 0 });
};

export const strict: Case[] = [
  {
    name: 'strict: what goes in the clear is dropped, and is a flow of its workload',
    setup: strictly(),
    steps: [
      leaves(out4).drops(PLAIN, {
        flows: [
          {
            ...{ workload: WEB.id, verdict: 'dropped', reason: PLAIN, direction: 'egress', encrypted: false },
            ...{ from: `${WEB.ip4}:1000`, to: `${PEER.ip4}:80`, destinationIdentity: PEER.identity },
          },
        ],
      }),
      leaves(out6).drops(PLAIN, { flows: [{ destinationIdentity: PEER.identity }] }),
      leaves(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, syn)).passes({ flows: [] }),
      leaves(ip4({ src: WORLD.ip4, dst: PEER.ip4 }, syn)).passes(),
      leaves(ip6({ src: 'fe80::1', dst: 'ff02::1' }, icmp6({ type: 135, data: Buffer.alloc(16) }))).passes(),
    ],
  },
  {
    name: 'strict: what comes in the clear is dropped, and is a flow of the workload it was for',
    setup: strictly(),
    steps: [
      enters(in4).drops(PLAIN, {
        flows: [
          {
            ...{ workload: WEB.id, verdict: 'dropped', reason: PLAIN, direction: 'ingress' },
            ...{ sourceIdentity: PEER.identity, destinationIdentity: WEB.identity },
          },
        ],
      }),
      enters(in6).drops(PLAIN),
      enters(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, syn)).passes(),
    ],
  },
  {
    name: 'strict: what WireGuard sends passes, and what comes for it; a workload that takes its port does not',
    setup: strictly({ strict: [...STRICT, '198.51.100.0/24'] }),
    steps: [
      leaves(ip4({ src: UNDERLAY.own, dst: UNDERLAY.other }, udp({ sport: 1, dport: WIREGUARD_PORT }))).passes({
        mark: MARK_WIREGUARD,
      }),
      leaves(ip4({ src: UNDERLAY.own, dst: UNDERLAY.other }, udp({ sport: 1, dport: WIREGUARD_PORT }))).drops(PLAIN),
      leaves(ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: WIREGUARD_PORT, dport: WIREGUARD_PORT }))).drops(PLAIN),
      enters(ip4({ src: UNDERLAY.other, dst: UNDERLAY.own }, udp({ sport: 9, dport: WIREGUARD_PORT }))).passes(),
      enters(ip4({ src: PEER.ip4, dst: WEB.ip4 }, udp({ sport: 9, dport: WIREGUARD_PORT }))).drops(PLAIN),
      enters(ip4({ src: UNDERLAY.other, dst: UNDERLAY.own }, syn)).drops(PLAIN),
    ],
  },
  {
    name: 'strict: of VXLAN the packet inside counts, and is the flow; what cannot be read is refused',
    setup: strictly(),
    steps: [
      leaves(wrapped(out4)).drops(PLAIN, {
        flows: [{ workload: WEB.id, from: `${WEB.ip4}:1000`, to: `${PEER.ip4}:80`, protocol: 6, reason: PLAIN }],
      }),
      leaves(wrapped(out6)).drops(PLAIN, { flows: [{ from: `[${WEB.ip6}]:1000`, to: `[${PEER.ip6}]:80` }] }),
      leaves(wrapped(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, syn))).passes({ flows: [] }),
      leaves(wrapped(out4)).passes({ mark: MARK_WIREGUARD }),
      enters(arriving(in4)).drops(PLAIN, { flows: [{ workload: WEB.id, direction: 'ingress', reason: PLAIN }] }),
      enters(arriving(in6)).drops(PLAIN),
      enters(arriving(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, syn))).passes(),
      leaves(ip4({ src: UNDERLAY.own, dst: UNDERLAY.other }, vxlan(Buffer.alloc(9)))).drops(PLAIN, { flows: [] }),
      ...ip4Fragments({ src: UNDERLAY.own, dst: UNDERLAY.other }, vxlan(framed(large)), [512]).map((fragment) =>
        leaves(fragment).drops(PLAIN),
      ),
      // to that port, but not of the tunnel
      leaves(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, udp({ sport: 1, dport: TUNNEL_PORT }))).passes(),
    ],
  },
  {
    name: "strict ingress: whatever the addresses, other hosts' workloads are heard encrypted only",
    setup: (world) => {
      strictly({ strictIngress: true })(world);
      knowsHosts(world);
    },
    steps: [
      enters(in4).drops(PLAIN),
      enters(in6).drops(PLAIN),
      enters(ip4({ src: UNDERLAY.other, dst: WEB.ip4 }, syn)).drops(PLAIN),
      enters(arriving(in4)).drops(PLAIN),
      enters(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, syn)).passes(),
      enters(ip4({ src: UNDERLAY.other, dst: UNDERLAY.own }, syn)).passes(),
      leaves(out4).passes(),
    ],
  },
  {
    name: "strict: hosts' own addresses can be excepted, what they carry cannot",
    setup: (world) => {
      strictly({ strict: ['0.0.0.0/0', '::/0'], strictIngress: true, exceptHosts: true })(world);
      knowsHosts(world);
    },
    steps: [
      leaves(ip4({ src: UNDERLAY.own, dst: UNDERLAY.other }, syn)).passes(),
      leaves(ip4({ src: WEB.ip4, dst: UNDERLAY.other }, syn)).passes(),
      enters(ip6({ src: UNDERLAY.other6, dst: WEB.ip6 }, syn)).passes(),
      leaves(out4).drops(PLAIN),
      leaves(wrapped(out4)).drops(PLAIN),
      leaves(out4).passes({ before: strictly({ strict: STRICT, ip4: NAT.ip4 }), mark: MARK_WIREGUARD }),
    ],
  },
  {
    name: 'encrypted: flows say what goes through WireGuard and what came out of it',
    setup: encryptedTo(TUNNEL.TUNNEL_ENCRYPTED),
    steps: [
      sent(out4).passes({ flows: [{ encrypted: true, point: 'to-stack' }] }),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, tcp({ sport: 80, dport: 1000, flags: 'SA' }))).passes({
        mark: MARK_DECRYPTED,
        flows: [{ encrypted: true, reply: true }],
      }),
      received(in4).passes({ flows: [{ encrypted: false, reply: false }] }),
      sent(out6).passes({ before: encryptedTo(0), flows: [{ encrypted: false }] }),
      received(in6).passes({ mark: MARK_DECRYPTED, flows: [{ encrypted: true }] }),
    ],
  },
];
