// SPDX-License-Identifier: Apache-2.0
/** NAT64, byte by byte: headers, ports and checksums of the other family, there and back; who may use it; what policy sees. */
import { weir_drop_reason as DROP, weir_identity, weir_tunnel_flags, weir_workload_flags } from '../../gen/index.ts';
import { clearEgress, select } from '../lib/egress.ts';
import { address64, becomes4, becomes6, comesIn, DEVICE, goesOut, HAIRPIN4, nat64Of, WORLD64 } from '../lib/nat64.ts';
import { destinationOptions, hopByHop, ip4, ip4Fragments, ip6, ip6Fragments, type Packet } from '../lib/packet.ts';
import { becomes, type Case, enters, leaves, received, sent, translated } from '../lib/scenario.ts';
import { icmp6, ping, ping6, pong, pong6, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { NAT } from '../lib/uplink.ts';
import { DB, OPEN, PEER, WEB, WORLD } from '../lib/world.ts';

const PORT = 50_000;
const noChecksum = ({ protocol, bytes }: Segment): Segment => ({ protocol, bytes });
const web = (dst: string, segment: Segment): Packet => ip6({ src: WEB.ip6, dst }, segment);
/** The same checksum error in both packets: one less. */
const spoilt = ({ ethertype, bytes }: Packet, at: number): Packet => {
  const out = Buffer.from(bytes);
  out.writeUInt16BE(out.readUInt16BE(at) - 1, at);
  return { ethertype, bytes: out };
};

const through: Case[] = [
  {
    name: 'nat64: TCP, with class, hop limit and options',
    setup: nat64Of(),
    steps: [
      goesOut(
        tcp({ sport: 1000, dport: 80, options: '020405b4' }),
        tcp({ sport: PORT, dport: 80, options: '020405b4' }),
        { hopLimit: 33, trafficClass: 0xb9 },
        { ttl: 33, tos: 0xb9 },
      ),
      comesIn(
        tcp({ sport: 80, dport: PORT, flags: 'SA' }),
        tcp({ sport: 80, dport: 1000, flags: 'SA' }),
        { ttl: 51, tos: 3, id: 77, dontFragment: true },
        { hopLimit: 51, trafficClass: 3 },
      ),
      goesOut(
        tcp({ sport: 1000, dport: 80, flags: 'PA', data: 'an odd request' }),
        tcp({ sport: PORT, dport: 80, flags: 'PA', data: 'an odd request' }),
      ),
    ],
  },
  {
    name: 'nat64: UDP; what is too long for a link of IPv6 is not cut behind it',
    setup: nat64Of(),
    steps: [
      goesOut(udp({ sport: 1000, dport: 53, data: 'ask' }), udp({ sport: PORT, dport: 53, data: 'ask' })),
      comesIn(udp({ sport: 53, dport: PORT, data: 'answer' }), udp({ sport: 53, dport: 1000, data: 'answer' })),
      ...([1232, 1233] as const).map((length) =>
        goesOut(
          udp({ sport: 1000, dport: 53, data: Buffer.alloc(length, 1) }),
          udp({ sport: PORT, dport: 53, data: Buffer.alloc(length, 1) }),
          {},
          { dontFragment: length > 1232 },
        ),
      ),
    ],
  },
  {
    name: 'nat64: UDP without a checksum gets one on the way in, and stays without on the way out',
    setup: nat64Of(),
    steps: [
      goesOut(
        noChecksum(udp({ sport: 1000, dport: 53, data: 'x' })),
        noChecksum(udp({ sport: PORT, dport: 53, data: 'x' })),
      ),
      ...[0, 1, 2, 3, 4, 55, 56, 57, 63, 120, 1400].map((length) => {
        const data = Buffer.alloc(length, 0x5a);
        return comesIn(noChecksum(udp({ sport: 53, dport: PORT, data })), udp({ sport: 53, dport: 1000, data }));
      }),
      enters(
        ip4Fragments(
          { src: WORLD.ip4, dst: NAT.ip4, id: 5 },
          noChecksum(udp({ sport: 53, dport: PORT, data: 'longer than eight' })),
          [16],
        )[0] as Packet,
      ).drops(DROP.DROP_NAT_UNSUPPORTED_PROTO),
      enters(
        ip4({ src: WORLD.ip4, dst: NAT.ip4 }, noChecksum(udp({ sport: 53, dport: PORT, data: 'trailer', length: 9 }))),
      ).drops(DROP.DROP_CT_INVALID_HEADER),
    ],
  },
  {
    name: 'nat64: ping',
    setup: nat64Of(),
    steps: [
      goesOut(ping6(7), ping(PORT)),
      comesIn(pong(PORT), pong6(7)),
      // a request of the world with that identifier is for the host
      enters(ip4({ src: WORLD.ip4, dst: NAT.ip4 }, ping(PORT))).passes(
        becomes(ip4({ src: WORLD.ip4, dst: NAT.ip4 }, ping(PORT))),
      ),
    ],
  },
  {
    name: 'nat64: SCTP keeps its ports and its checksum',
    setup: nat64Of({ low: 1000, high: 1000 }),
    steps: [
      goesOut(sctp({ sport: 1000, dport: 9 }), sctp({ sport: 1000, dport: 9 })),
      comesIn(sctp({ sport: 9, dport: 1000 }), sctp({ sport: 9, dport: 1000 })),
    ],
  },
  {
    name: 'nat64: options and extension headers are for the one family only',
    setup: nat64Of(),
    steps: [
      goesOut(udp({ sport: 1000, dport: 53 }), udp({ sport: PORT, dport: 53 }), {
        extensions: [hopByHop(1), destinationOptions()],
      }),
      comesIn(udp({ sport: 53, dport: PORT, data: 'x' }), udp({ sport: 53, dport: 1000, data: 'x' }), {
        options: '9404000001010101',
      }),
    ],
  },
  {
    name: 'nat64: a wrong checksum stays wrong, by as much',
    setup: nat64Of(),
    steps: [
      ...(
        [
          [udp({ sport: 1000, dport: 53, data: 'q' }), udp({ sport: PORT, dport: 53, data: 'q' }), 6],
          [tcp({ sport: 1000, dport: 80 }), tcp({ sport: PORT, dport: 80 }), 16],
          [ping6(7), ping(PORT), 2],
        ] as const
      ).map(([before, after, at]) =>
        translated(spoilt(web(WORLD64, before), 40 + at)).redirects(
          becomes4(spoilt(ip4({ src: NAT.ip4, dst: WORLD.ip4 }, after), 20 + at)),
        ),
      ),
      enters(spoilt(ip4({ src: WORLD.ip4, dst: NAT.ip4 }, pong(PORT)), 22)).redirects(
        becomes6(spoilt(ip6({ src: WORLD64, dst: WEB.ip6 }, pong6(7)), 42)),
      ),
    ],
  },
  {
    name: 'nat64: GSO',
    setup: nat64Of(),
    steps: [
      {
        ...goesOut(
          tcp({ sport: 1000, dport: 80, flags: 'A', data: Buffer.alloc(3000) }),
          tcp({ sport: PORT, dport: 80, flags: 'A', data: Buffer.alloc(3000) }),
          {},
          { dontFragment: true },
        ),
        gso: { segments: 3, size: 1000 },
      },
      {
        ...comesIn(
          tcp({ sport: 80, dport: PORT, flags: 'A', data: Buffer.alloc(3000) }),
          tcp({ sport: 80, dport: 1000, flags: 'A', data: Buffer.alloc(3000) }),
        ),
        gso: { segments: 3, size: 1000 },
      },
    ],
  },
  {
    name: 'nat64: fragments follow the first, there and back',
    setup: nat64Of(),
    steps: (() => {
      const body = (sport: number, dport: number) => udp({ sport, dport, data: Buffer.alloc(40, 'fragment') });
      const there = ip6Fragments({ src: WEB.ip6, dst: WORLD64, id: 0x70009 }, body(1000, 53), [24]);
      const thereOut = ip4Fragments({ src: NAT.ip4, dst: WORLD.ip4, id: 9 }, body(PORT, 53), [24]);
      const back = ip4Fragments({ src: WORLD.ip4, dst: NAT.ip4, id: 3 }, body(53, PORT), [16, 32]);
      const backIn = ip6Fragments({ src: WORLD64, dst: WEB.ip6, id: 3 }, body(53, 1000), [16, 32]);
      return [
        ...there.map((packet) => sent(packet).passes()),
        ...there.map((packet, i) => translated(packet).redirects(becomes(thereOut[i] as Packet))),
        ...back.map((packet, i) => enters(packet).redirects(becomes6(backIn[i] as Packet))),
      ];
    })(),
  },
  {
    name: 'nat64: no fragment says how long a ping was, and its checksum covers that',
    setup: nat64Of(),
    steps: [
      sent(ip6Fragments({ src: WEB.ip6, dst: WORLD64, id: 9 }, ping6(7), [8])[0] as Packet).passes(),
      translated(ip6Fragments({ src: WEB.ip6, dst: WORLD64, id: 9 }, ping6(7), [8])[0] as Packet).drops(
        DROP.DROP_FRAGMENT_UNSUPPORTED,
      ),
      goesOut(ping6(8), ping(PORT)),
      enters(ip4Fragments({ src: WORLD.ip4, dst: NAT.ip4, id: 9 }, pong(PORT), [8])[0] as Packet).drops(
        DROP.DROP_FRAGMENT_UNSUPPORTED,
      ),
    ],
  },
  {
    name: 'nat64: a prefix of one’s own',
    setup: nat64Of({ prefix: '2001:db8:64::' }),
    steps: [
      translated(web(address64(WORLD.ip4, '2001:db8:64::'), udp({ sport: 1000, dport: 53 }))).redirects(
        becomes4(ip4({ src: NAT.ip4, dst: WORLD.ip4 }, udp({ sport: PORT, dport: 53 }))),
      ),
      translated(web(WORLD64, udp({ sport: 1000, dport: 53 }))).drops(DROP.DROP_NAT_NO_MAPPING),
    ],
  },
];

const refused: Case[] = [
  {
    name: 'nat64: for workloads of this host, and for what can be answered',
    setup: nat64Of(),
    steps: [
      translated(ip6({ src: PEER.ip6, dst: WORLD64 }, udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_INVALID_SOURCE_IP),
      translated(web(WORLD64, udp({ sport: 1, dport: 2 })), { cameBy: DB.ifindex }).drops(DROP.DROP_INVALID_SOURCE_IP),
      translated(web(WORLD64, icmp6({ type: 200 }))).drops(DROP.DROP_NAT_UNSUPPORTED_PROTO, {
        flows: [{ workload: WEB.id, reason: DROP.DROP_NAT_UNSUPPORTED_PROTO, verdict: 'dropped' }],
      }),
      translated(web(address64('224.0.0.1'), udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_INVALID_PACKET),
      translated(web(address64('127.0.0.1'), udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_INVALID_PACKET),
      translated(web(WORLD.ip6, udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_NAT_NO_MAPPING),
    ],
  },
  {
    name: 'nat64: as many connections to one remote as there are ports; others of the host have their own',
    setup: nat64Of(),
    steps: [
      goesOut(udp({ sport: 1000, dport: 53 }), udp({ sport: PORT, dport: 53 })),
      translated(web(WORLD64, udp({ sport: 1001, dport: 53 }))).drops(DROP.DROP_NAT_NO_MAPPING, {
        flows: [{ workload: WEB.id, reason: DROP.DROP_NAT_NO_MAPPING, sourceIdentity: WEB.identity }],
      }),
      leaves(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, udp({ sport: 1000, dport: 53 }))).drops(DROP.DROP_NAT_NO_MAPPING),
      goesOut(udp({ sport: 1000, dport: 53 }), udp({ sport: PORT, dport: 53 })),
    ],
  },
  {
    name: 'nat64: without an uplink that has IPv4',
    setup: nat64Of({ uplink: 0 }),
    steps: [translated(web(WORLD64, udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_NAT_NO_MAPPING)],
  },
  {
    name: 'nat64: not to who is reached by tunnel or encrypted: no answer would find back',
    setup: (world) => {
      nat64Of()(world);
      world.managed('10.9.0.1', PEER.identity, 5);
      const flags = weir_tunnel_flags.TUNNEL_SEND;
      world.tunnel(5, { remote: '192.168.0.5', local: '192.168.0.1', flags, ifindex: 60 });
    },
    steps: [
      sent(web(address64('10.9.0.1'), udp({ sport: 1, dport: 2 }))).passes(),
      translated(web(address64('10.9.0.1'), udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_NO_TUNNEL_ENDPOINT, {
        before: () => {},
      }),
      translated(web(address64('10.9.0.1'), udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_NO_TUNNEL_ENDPOINT, {
        before: (world) => {
          const flags = weir_tunnel_flags.TUNNEL_ENCRYPTED;
          world.tunnel(5, { remote: '192.168.0.5', local: '192.168.0.1', flags, ifindex: 0 });
        },
      }),
    ],
  },
];

const gateways: Case[] = [
  {
    name: 'nat64: who is selected for an egress gateway there does not get past it',
    flags: OPEN | weir_workload_flags.WORKLOAD_EGRESS,
    setup: async (world) => {
      await clearEgress(world);
      nat64Of()(world);
      select(world, 1, [WEB.ip4, WEB.ip6], { '192.0.2.0/24': 1 });
    },
    steps: [
      translated(web(WORLD64, udp({ sport: 1, dport: 2 }))).drops(DROP.DROP_NO_EGRESS_GATEWAY, {
        flows: [{ workload: WEB.id, to: `[${WORLD64}]:2` }],
      }),
      translated(web(address64('203.0.113.1'), udp({ sport: 1, dport: 2 }))).redirects(),
    ],
  },
];

const hairpin: Case[] = [
  {
    name: 'nat64: to an IPv4 workload of this host, and its answer',
    setup: nat64Of(),
    steps: [
      translated(web(address64(DB.ip4), tcp({ sport: 1000, dport: 80 }))).redirects(
        becomes4(ip4({ src: HAIRPIN4, dst: DB.ip4 }, tcp({ sport: PORT, dport: 80 }))),
      ),
      translated(ip4({ src: DB.ip4, dst: HAIRPIN4 }, tcp({ sport: 80, dport: PORT, flags: 'SA' })), {
        cameBy: DB.ifindex,
      }).redirects(
        becomes6(ip6({ src: address64(DB.ip4), dst: WEB.ip6 }, tcp({ sport: 80, dport: 1000, flags: 'SA' }))),
      ),
      translated(ip4({ src: DB.ip4, dst: HAIRPIN4 }, tcp({ sport: 81, dport: PORT, flags: 'SA' })), {
        cameBy: DB.ifindex,
      }).drops(DROP.DROP_NAT_NO_MAPPING),
      translated(ip4({ src: DB.ip4, dst: '192.0.0.9' }, tcp({ sport: 80, dport: PORT, flags: 'SA' })), {
        cameBy: DB.ifindex,
      }).drops(DROP.DROP_NAT_NO_MAPPING),
    ],
  },
];

const CIDR4 = weir_identity.IDENTITY_SCOPE_CIDR | 4;
const CIDR6 = weir_identity.IDENTITY_SCOPE_CIDR | 6;
const ask = sent(web(WORLD64, udp({ sport: 1000, dport: 53 })));
const out = { egress: true, protocol: 17, port: 53 } as const;

const policies: Case[] = [
  {
    name: 'nat64: policy sees the IPv4 destination as the world',
    setup: nat64Of(),
    policy: [{ ...out, identity: weir_identity.IDENTITY_WORLD_IPV4, id: 5 }],
    steps: [
      ask.passes({ flows: [{ destinationIdentity: weir_identity.IDENTITY_WORLD_IPV4, rule: 5 }] }),
      sent(web(WORLD.ip6, udp({ sport: 1000, dport: 53 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'nat64: a prefix of either form allows',
    setup: (world) => {
      nat64Of()(world);
      world.cidr('64:ff9b::/96', CIDR6);
    },
    policy: [{ ...out, identity: CIDR6, id: 6 }],
    steps: [ask.passes({ flows: [{ destinationIdentity: weir_identity.IDENTITY_WORLD_IPV4, rule: 6 }] })],
  },
  {
    name: 'nat64: a prefix of either form denies what the other allows',
    setup: (world) => {
      nat64Of()(world);
      world.cidr('64:ff9b::/96', CIDR6);
      world.cidr('192.0.2.0/24', CIDR4);
    },
    policy: [
      { ...out, identity: CIDR4, id: 4 },
      { ...out, identity: CIDR6, id: 6, deny: true },
    ],
    steps: [ask.drops(DROP.DROP_POLICY_DENY, { flows: [{ rule: 6 }] })],
  },
  {
    name: 'nat64: the IPv4 form denies too',
    setup: (world) => {
      nat64Of()(world);
      world.cidr('64:ff9b::/96', CIDR6);
      world.cidr('192.0.2.0/24', CIDR4);
    },
    policy: [
      { ...out, identity: CIDR6, id: 6 },
      { ...out, identity: CIDR4, id: 4, deny: true },
    ],
    steps: [ask.drops(DROP.DROP_POLICY_DENY, { flows: [{ destinationIdentity: CIDR4, rule: 4 }] })],
  },
  {
    name: 'nat64: a workload is its identity, not a prefix',
    setup: (world) => {
      nat64Of()(world);
      world.cidr('::/0', CIDR6);
    },
    policy: [
      { ...out, identity: CIDR6, id: 6 },
      { ...out, identity: PEER.identity, id: 7 },
    ],
    steps: [
      sent(web(address64(PEER.ip4), udp({ sport: 1, dport: 53 }))).passes({
        flows: [{ destinationIdentity: PEER.identity, rule: 7 }],
      }),
      sent(web(address64(DB.ip4), udp({ sport: 1, dport: 53 }))).drops(DROP.DROP_POLICY_DENIED, {
        flows: [{ destinationIdentity: DB.identity }],
      }),
    ],
  },
  {
    name: 'nat64: nobody comes from the prefix but out of the device',
    setup: nat64Of(),
    steps: [
      received(ip6({ src: address64(PEER.ip4), dst: WEB.ip6 }, udp({ sport: 1, dport: 2 }))).drops(
        DROP.DROP_INVALID_SOURCE_IP,
      ),
      received(ip6({ src: address64(PEER.ip4), dst: WEB.ip6 }, udp({ sport: 1, dport: 2 })), { cameBy: DEVICE }).passes(
        { flows: [{ sourceIdentity: PEER.identity }] },
      ),
    ],
  },
  {
    name: 'nat64: IPv4 that is not masqueraded stays so',
    setup: nat64Of({ ip4: '' }),
    steps: [
      leaves(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, udp({ sport: 1, dport: 2 }))).passes(
        becomes(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, udp({ sport: 1, dport: 2 }))),
      ),
      goesOut(udp({ sport: 1000, dport: 53 }), udp({ sport: PORT, dport: 53 })),
      comesIn(udp({ sport: 53, dport: PORT }), udp({ sport: 53, dport: 1000 })),
    ],
  },
  {
    name: 'nat64: off, an address is an address',
    policy: [{ ...out, identity: weir_identity.IDENTITY_WORLD_IPV6, id: 5 }],
    steps: [ask.passes({ flows: [{ destinationIdentity: weir_identity.IDENTITY_WORLD_IPV6, rule: 5 }] })],
  },
];

export const nat64: Case[] = [...through, ...refused, ...gateways, ...hairpin, ...policies];
