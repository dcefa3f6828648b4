// SPDX-License-Identifier: Apache-2.0
/** Ethernet, VLAN, ARP, neighbour and listener discovery. */
import { weir_drop_reason as DROP, weir_workload_flags } from '../../gen/index.ts';
import { ip } from '../lib/bytes.ts';
import { arp, ethernet, hopByHop, ip4, ip6, ip6Fragments } from '../lib/packet.ts';
import { type Case, fromHost, received, sent, sentFrame } from '../lib/scenario.ts';
import { icmp6, type Segment, udp } from '../lib/transport.ts';
import { DB, HOST, OPEN, PEER, WEB, WORLD } from '../lib/world.ts';

const datagram = ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 1000, dport: 53, data: 'q' }));
const datagram6 = ip6({ src: WEB.ip6, dst: PEER.ip6 }, udp({ sport: 1000, dport: 53, data: 'q' }));
const answer = ip4({ src: PEER.ip4, dst: WEB.ip4 }, udp({ sport: 53, dport: 1000, data: 'a' }));
const other = (ethertype: number) => ({ ethertype, bytes: Buffer.alloc(46) });

const ethernetCases: Case[] = [
  { name: 'untagged IPv4 and IPv6 pass', steps: [sent(datagram).passes(), sent(datagram6).passes()] },
  {
    name: 'a priority tag is no VLAN, one or two of them',
    steps: [sent(datagram, { vlans: [0] }).passes(), sent(datagram6, { vlans: [0, 0] }).passes()],
  },
  { name: 'a priority of its own makes no VLAN', steps: [sent(datagram, { vlans: [0xe000] }).passes()] },
  { name: 'VLAN 5', steps: [sent(datagram, { vlans: [5] }).drops(DROP.DROP_VLAN_FILTERED)] },
  { name: 'VLAN 4095', steps: [sent(datagram, { vlans: [4095] }).drops(DROP.DROP_VLAN_FILTERED)] },
  { name: 'QinQ with an inner id', steps: [sent(datagram, { vlans: [0, 7] }).drops(DROP.DROP_VLAN_FILTERED)] },
  { name: 'QinQ with an outer id', steps: [sent(datagram, { vlans: [7, 0] }).drops(DROP.DROP_VLAN_FILTERED)] },
  { name: 'three tags', steps: [sent(datagram, { vlans: [0, 0, 0] }).drops(DROP.DROP_VLAN_FILTERED)] },
  {
    name: 'a VLAN towards the workload',
    steps: [received(answer, { vlans: [5] }).drops(DROP.DROP_VLAN_FILTERED)],
  },
  { name: 'an 802.3 length is no ethertype', steps: [sent(other(46)).drops(DROP.DROP_UNSUPPORTED_L2)] },
  { name: 'LLDP', steps: [sent(other(0x88cc)).drops(DROP.DROP_UNSUPPORTED_L3)] },
  { name: 'MPLS', steps: [sent(other(0x8847)).drops(DROP.DROP_UNSUPPORTED_L3)] },
  { name: 'PPPoE', steps: [sent(other(0x8864)).drops(DROP.DROP_UNSUPPORTED_L3)] },
  { name: 'IPv6 under the ethertype of IPv4', steps: [sent(datagram6, { ethertype: 0x0800 }).drops(134)] },
  { name: 'IPv4 under the ethertype of IPv6', steps: [sent(datagram, { ethertype: 0x86dd, vlans: [0] }).drops(134)] },
  {
    name: 'another source MAC',
    steps: [sent(datagram, { from: DB.mac }).drops(DROP.DROP_INVALID_SOURCE_MAC)],
  },
  {
    name: 'a frame past the gateway',
    steps: [sent(datagram, { to: DB.mac }).drops(DROP.DROP_INVALID_DESTINATION_MAC)],
  },
  {
    name: 'one IP destination, all stations',
    steps: [sent(datagram, { to: 'ff:ff:ff:ff:ff:ff' }).drops(DROP.DROP_INVALID_DESTINATION_MAC)],
  },
  {
    name: 'a group of IP destinations, its group of stations',
    steps: [
      sent(ip4({ src: WEB.ip4, dst: '224.0.0.251' }, udp({ sport: 5353, dport: 5353 })), {
        to: '01:00:5e:00:00:fb',
      }).passes(),
      sent(ip6({ src: WEB.ip6, dst: 'ff02::fb' }, udp({ sport: 5353, dport: 5353 })), {
        to: '33:33:00:00:00:fb',
      }).passes(),
    ],
  },
  {
    name: 'MACs that are not known are not checked',
    setup: (world) => world.workload(WEB, OPEN, 1, { mac: Buffer.alloc(6), host_mac: Buffer.alloc(6) }),
    steps: [sent(datagram, { from: DB.mac, to: DB.hostMac }).passes()],
  },
];

const workloadCases: Case[] = [
  {
    name: 'no workload on that interface',
    setup: (world) => world.removeWorkload(WEB),
    steps: [
      sent(datagram).drops(DROP.DROP_EP_NOT_READY, { flows: [] }),
      received(answer).drops(DROP.DROP_EP_NOT_READY, { flows: [] }),
      sentFrame(ethernet({ from: WEB.mac, to: WEB.hostMac }, other(0x88cc))).drops(DROP.DROP_EP_NOT_READY),
    ],
  },
  {
    name: 'a workload whose policy is not known yet',
    flags: weir_workload_flags.WORKLOAD_ALLOW_HOST,
    steps: [
      sent(datagram).drops(DROP.DROP_EP_NOT_READY),
      received(answer).drops(DROP.DROP_EP_NOT_READY),
      fromHost(answer).drops(DROP.DROP_EP_NOT_READY),
      sent(arp({ senderMac: WEB.mac, senderIp: WEB.ip4, targetIp: HOST.ip4 })).drops(DROP.DROP_EP_NOT_READY),
    ],
  },
];

const own = { senderMac: WEB.mac, senderIp: WEB.ip4, targetIp: HOST.ip4 };
const broadcast = { to: 'ff:ff:ff:ff:ff:ff' };
const arpCases: Case[] = [
  {
    name: 'ARP: request, reply, probe and announcement of the own address',
    flags: OPEN | weir_workload_flags.WORKLOAD_ENFORCE_EGRESS,
    steps: [
      sent(arp(own), broadcast).passes(),
      sent(arp({ ...own, operation: 2 })).passes(),
      sent(arp({ ...own, senderIp: '0.0.0.0', targetIp: WEB.ip4 }), broadcast).passes(),
      sent(arp({ ...own, targetIp: WEB.ip4 }), broadcast).passes(),
    ],
  },
  {
    name: "ARP: another's address",
    steps: [
      sent(arp({ ...own, senderIp: HOST.ip4 }), broadcast).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(arp({ ...own, operation: 2, senderIp: DB.ip4 })).drops(DROP.DROP_INVALID_SOURCE_IP),
    ],
  },
  {
    name: "ARP: another's MAC inside",
    steps: [sent(arp({ ...own, senderMac: DB.mac }), broadcast).drops(DROP.DROP_INVALID_SOURCE_MAC)],
  },
  {
    name: 'ARP: not Ethernet, not request or reply',
    steps: [
      sent(arp({ ...own, hardware: 6 })).drops(DROP.DROP_INVALID_PACKET),
      sent(arp({ ...own, operation: 3 })).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'ARP towards a workload passes',
    flags: OPEN | weir_workload_flags.WORKLOAD_ENFORCE_INGRESS,
    steps: [fromHost(arp({ senderMac: WEB.hostMac, senderIp: HOST.ip4, targetIp: WEB.ip4 })).passes()],
  },
];

const LINK_LOCAL = 'fe80::ff:fe00:1';
const nd = (src: string, dst: string, segment: Segment, hopLimit = 255) => ip6({ src, dst, hopLimit }, segment);
const solicit = (target: string) => icmp6({ type: 135, data: ip(target) });
const advertise = (target: string) => icmp6({ type: 136, id: 0x6000, data: ip(target) });
const ROUTER_SOLICITATION = icmp6({ type: 133 });
const ROUTER_ADVERTISEMENT = icmp6({ type: 134, data: Buffer.alloc(8) });
const REDIRECT = icmp6({ type: 137, data: Buffer.alloc(32) });

const neighbourCases: Case[] = [
  {
    name: 'ND: solicitations, and advertisements of what is its own',
    flags: OPEN | weir_workload_flags.WORKLOAD_ENFORCE_EGRESS,
    steps: [
      sent(nd(WEB.ip6, 'ff02::1:ff00:1', solicit('fe80::1')), { to: '33:33:ff:00:00:01' }).passes(),
      sent(nd(LINK_LOCAL, 'fe80::1', solicit('fe80::1'))).passes(),
      sent(nd('::', 'ff02::1:ff00:1', solicit(WEB.ip6)), { to: '33:33:ff:00:00:01' }).passes(),
      sent(nd(WEB.ip6, 'fe80::1', advertise(WEB.ip6))).passes(),
      sent(nd(LINK_LOCAL, 'fe80::1', advertise(LINK_LOCAL))).passes(),
      sent(nd(LINK_LOCAL, 'ff02::2', ROUTER_SOLICITATION), { to: '33:33:00:00:00:02' }).passes(),
    ],
  },
  {
    name: 'ND: nobody advertises or asks for another',
    steps: [
      sent(nd(WEB.ip6, 'fe80::1', advertise(DB.ip6))).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(nd(WEB.ip6, 'fe80::1', advertise('fe80::1'))).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(nd('fe80::1', 'ff02::1', advertise('fe80::1')), { to: '33:33:00:00:00:01' }).drops(
        DROP.DROP_INVALID_SOURCE_IP,
      ),
      sent(nd(DB.ip6, 'fe80::1', solicit('fe80::1'))).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(nd('::', 'ff02::1', advertise(WEB.ip6)), { to: '33:33:00:00:00:01' }).drops(DROP.DROP_INVALID_SOURCE_IP),
    ],
  },
  {
    name: 'ND: a workload is no router',
    steps: [
      sent(nd(LINK_LOCAL, 'ff02::1', ROUTER_ADVERTISEMENT), { to: '33:33:00:00:00:01' }).drops(
        DROP.DROP_FORBIDDEN_ICMPV6,
      ),
      sent(nd(WEB.ip6, DB.ip6, ROUTER_ADVERTISEMENT)).drops(DROP.DROP_FORBIDDEN_ICMPV6),
      sent(nd(LINK_LOCAL, 'fe80::1', REDIRECT)).drops(DROP.DROP_FORBIDDEN_ICMPV6),
      sent(nd(WEB.ip6, 'ff02::1', icmp6({ type: 141, data: Buffer.alloc(16) }))).drops(DROP.DROP_FORBIDDEN_ICMPV6),
    ],
  },
  {
    name: 'ND: a hop limit below 255 says it was forwarded',
    steps: [
      sent(nd(WEB.ip6, 'fe80::1', solicit('fe80::1'), 254)).drops(DROP.DROP_FORBIDDEN_ICMPV6),
      received(nd(WORLD.ip6, WEB.ip6, advertise('fe80::1'), 254)).drops(DROP.DROP_FORBIDDEN_ICMPV6),
      received(nd(WORLD.ip6, WEB.ip6, ROUTER_ADVERTISEMENT, 64)).drops(DROP.DROP_FORBIDDEN_ICMPV6),
    ],
  },
  {
    name: 'ND: a code, a fragment header, a short advertisement',
    steps: [
      sent(nd(WEB.ip6, 'fe80::1', icmp6({ type: 135, code: 1, data: ip('fe80::1') }))).drops(
        DROP.DROP_FORBIDDEN_ICMPV6,
      ),
      ...ip6Fragments({ src: WEB.ip6, dst: 'fe80::1', hopLimit: 255, id: 9 }, solicit('fe80::1'), [16]).map(
        (piece, at) => sent(piece).drops(at === 0 ? DROP.DROP_FORBIDDEN_ICMPV6 : DROP.DROP_FRAGMENT_NOT_FOUND),
      ),
      sent(nd(WEB.ip6, 'fe80::1', icmp6({ type: 136, data: Buffer.alloc(12) }))).drops(DROP.DROP_CT_INVALID_HEADER),
    ],
  },
  {
    name: 'ND from the host passes',
    flags: OPEN | weir_workload_flags.WORKLOAD_ENFORCE_INGRESS,
    steps: [
      fromHost(nd('fe80::1', 'ff02::1:ff00:1', solicit(WEB.ip6))).passes(),
      fromHost(nd('fe80::1', WEB.ip6, advertise('fe80::1'))).passes(),
      fromHost(nd('fe80::1', 'ff02::1', ROUTER_ADVERTISEMENT)).passes(),
    ],
  },
];

const report = (src: string, type: number, hopLimit = 1) =>
  ip6({ src, dst: 'ff02::16', hopLimit, extensions: [hopByHop()] }, icmp6({ type, data: Buffer.alloc(16) }));
const listenerCases: Case[] = [
  {
    name: 'MLD: reports of a workload pass, also before it has an address',
    flags: OPEN | weir_workload_flags.WORKLOAD_ENFORCE_EGRESS,
    steps: [
      sent(report(LINK_LOCAL, 143), { to: '33:33:00:00:00:16' }).passes(),
      sent(report('::', 143), { to: '33:33:00:00:00:16' }).passes(),
      sent(report(LINK_LOCAL, 131), { to: '33:33:00:00:00:16' }).passes(),
      sent(report(LINK_LOCAL, 132), { to: '33:33:00:00:00:16' }).passes(),
    ],
  },
  {
    name: 'MLD: no queries, nothing that travels, nobody else',
    steps: [
      sent(report(LINK_LOCAL, 130)).drops(DROP.DROP_FORBIDDEN_ICMPV6),
      sent(report(LINK_LOCAL, 143, 64)).drops(DROP.DROP_FORBIDDEN_ICMPV6),
      sent(report(DB.ip6, 143)).drops(DROP.DROP_INVALID_SOURCE_IP),
      received(ip6({ src: WORLD.ip6, dst: WEB.ip6, hopLimit: 1 }, icmp6({ type: 130, data: Buffer.alloc(16) }))).drops(
        DROP.DROP_FORBIDDEN_ICMPV6,
      ),
    ],
  },
  {
    name: 'MLD: queries of the host pass',
    flags: OPEN | weir_workload_flags.WORKLOAD_ENFORCE_INGRESS,
    steps: [
      fromHost(
        ip6({ src: 'fe80::1', dst: 'ff02::1', hopLimit: 1 }, icmp6({ type: 130, data: Buffer.alloc(16) })),
      ).passes(),
    ],
  },
];

export const link: Case[] = [...ethernetCases, ...workloadCases, ...arpCases, ...neighbourCases, ...listenerCases];
