// SPDX-License-Identifier: Apache-2.0
/** Uplinks: tagged frames, and what is none of the programs' business. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { arp, ip4, ip4Raw, ip6 } from '../lib/packet.ts';
import { becomes, type Case, enters, leaves } from '../lib/scenario.ts';
import { raw, tcp, udp } from '../lib/transport.ts';
import { keepAddressTo, NAT, uplinkOf } from '../lib/uplink.ts';
import { HOST, PEER, WEB, WORLD } from '../lib/world.ts';

const dns = udp({ sport: 1000, dport: 53, data: 'question' });
const out = ip4({ src: WEB.ip4, dst: WORLD.ip4 }, dns);
const toHost = ip4({ src: WORLD.ip4, dst: NAT.ip4 }, dns);

export const uplink: Case[] = [
  {
    name: 'VLAN: listed ids pass unjudged, others do not; without a list all do',
    setup: uplinkOf({ vlans: [100, 200] }),
    steps: [
      enters(out, { vlans: [100] }).passes(),
      leaves(out, { vlans: [200] }).passes(),
      enters(out, { vlans: [101] }).drops(DROP.DROP_VLAN_FILTERED),
      leaves(out, { vlans: [300] }).drops(DROP.DROP_VLAN_FILTERED),
      enters(out, { vlans: [300, 100] }).drops(DROP.DROP_VLAN_FILTERED),
      enters(out, { vlans: [100, 300] }).passes(),
      enters(toHost, { vlans: [0] }).passes(),
      enters(toHost).passes({ before: uplinkOf() }),
      enters(out, { vlans: [101] }).passes(),
      leaves(out, { vlans: [101] }).passes(),
      enters(out, { vlans: [4094] }).passes({ before: uplinkOf({ vlans: [0] }) }),
    ],
  },
  {
    name: 'uplink: nothing is done without an entry',
    steps: [leaves(out).passes(becomes(out)), enters(out, { vlans: [101] }).passes()],
  },
  {
    name: 'uplink: others pass untouched',
    setup: (world) => {
      uplinkOf()(world);
      keepAddressTo(world, `${PEER.ip4}/24`);
      keepAddressTo(world, `${PEER.ip6}/64`);
    },
    steps: [
      arp({ senderMac: WEB.mac, senderIp: HOST.ip4, targetIp: WORLD.ip4 }),
      ip4({ src: NAT.ip4, dst: WORLD.ip4 }, dns),
      ip4({ src: '203.0.113.9', dst: WORLD.ip4 }, dns),
      ip4({ src: WEB.ip4, dst: PEER.ip4 }, dns),
      ip6({ src: WEB.ip6, dst: PEER.ip6 }, dns),
      ip4({ src: HOST.ip4, dst: WORLD.ip4 }, raw(47, Buffer.alloc(20))),
      ip4Raw({ src: HOST.ip4, dst: WORLD.ip4, version: 5 }, 17, dns.bytes),
    ].map((packet) => leaves(packet).passes(becomes(packet))),
  },
  {
    name: 'uplink: what nobody masqueraded is the host’s',
    setup: uplinkOf(),
    steps: [
      toHost,
      ip4({ src: WORLD.ip4, dst: NAT.ip4 }, tcp({ sport: 80, dport: 50_000, flags: 'SA' })),
      ip4({ src: WORLD.ip4, dst: WEB.ip4 }, dns),
      ip6({ src: WORLD.ip6, dst: NAT.ip6 }, dns),
    ].map((packet) => enters(packet).passes(becomes(packet))),
  },
];
