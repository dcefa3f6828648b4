// SPDX-License-Identifier: Apache-2.0
/** IPv4 and IPv6 headers, options, extension headers, and who may send from where. */
import { weir_drop_reason as DROP, weir_workload_flags } from '../../gen/index.ts';
import {
  authentication,
  destinationOptions,
  type Extension,
  fragment,
  hopByHop,
  type Ip4Options,
  type Ip6Options,
  ip4,
  ip4Raw,
  ip6,
  ip6Raw,
  routing,
} from '../lib/packet.ts';
import { type Case, fromHost, received, sent } from '../lib/scenario.ts';
import { raw, tcp, udp } from '../lib/transport.ts';
import { DB, HOST, OPEN, PEER, UPLINK, WEB, WORLD } from '../lib/world.ts';

const dns = udp({ sport: 1000, dport: 53, data: 'question' });
const out4 = (change: Partial<Ip4Options> = {}) => ip4({ src: WEB.ip4, dst: PEER.ip4, ...change }, dns);
const out6 = (change: Partial<Ip6Options> = {}) => ip6({ src: WEB.ip6, dst: PEER.ip6, ...change }, dns);
const in4 = (src: string, dst: string = WEB.ip4) => ip4({ src, dst }, dns);
const in6 = (src: string, dst: string = WEB.ip6) => ip6({ src, dst }, dns);

const ip4Cases: Case[] = [
  {
    name: 'IPv4: lengths that cannot be',
    steps: [
      sent(out4({ length: 19 })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ length: 1000 })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ headerWords: 4 })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ headerWords: 15 })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ version: 5 })).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'IPv4: a length of 0 is for GSO packets that do not fit into 16 bits',
    steps: [
      sent(out4({ length: 0 })).drops(DROP.DROP_INVALID_PACKET),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4, length: 0 }, tcp({ sport: 1, dport: 2, data: 'x'.repeat(200) }))).passes({
        gso: { segments: 2, size: 100 },
        flows: [{ packets: 2, bytes: 240 }],
      }),
    ],
  },
  {
    name: 'IPv4: padding behind the packet is not part of it',
    steps: [
      sent({ ethertype: 0x0800, bytes: Buffer.concat([out4().bytes, Buffer.alloc(20)]) }).passes({
        flows: [{ bytes: 36 }],
      }),
      sent({
        ethertype: 0x0800,
        bytes: Buffer.concat([ip4Raw({ src: WEB.ip4, dst: PEER.ip4 }, 17, Buffer.alloc(4)).bytes, Buffer.alloc(20)]),
      }).drops(DROP.DROP_CT_INVALID_HEADER),
    ],
  },
  {
    name: 'IPv4 options: no-ops, timestamps, record route and router alert pass',
    steps: [
      sent(out4({ options: '01010100' })).passes(),
      sent(out4({ options: '4408050000000000' })).passes(),
      sent(out4({ options: '0707040000000000' })).passes(),
      sent(out4({ options: '94040000' })).passes(),
      sent(out4({ options: `01${'07270400000000'.padEnd(78, '0')}` })).passes(),
      sent(out4({ options: '00ffffff' })).passes(),
    ],
  },
  {
    name: 'IPv4 options: source routes are refused wherever they stand',
    steps: [
      sent(out4({ options: '83070400000000'.padEnd(16, '0') })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ options: '0189070400000000' })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ options: '9404000083070400000000'.padEnd(24, '0') })).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'IPv4 options: lengths that lead nowhere',
    steps: [
      sent(out4({ options: '44000000' })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ options: '44010000' })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ options: '44050000' })).drops(DROP.DROP_INVALID_PACKET),
      sent(out4({ options: '01010144' })).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'IPv4: protocols that are not tracked',
    steps: [2, 4, 41, 47, 50, 51, 58, 89, 112, 255].map((protocol) =>
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, raw(protocol, Buffer.alloc(40)))).drops(DROP.DROP_CT_UNKNOWN_PROTO),
    ),
  },
];

const chain = (extensions: readonly Extension[]) => out6({ extensions });
const ip6Cases: Case[] = [
  {
    name: 'IPv6: lengths that cannot be',
    steps: [
      sent(out6({ length: 1000 })).drops(DROP.DROP_INVALID_PACKET),
      sent(out6({ version: 4 })).drops(DROP.DROP_INVALID_PACKET),
      sent(out6({ length: 0 })).drops(DROP.DROP_CT_INVALID_HEADER),
      sent(out6({ length: 7 })).drops(DROP.DROP_CT_INVALID_HEADER),
    ],
  },
  {
    name: 'IPv6: a jumbogram made by GSO',
    steps: [
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6, length: 0 }, tcp({ sport: 1, dport: 2, data: 'x'.repeat(200) }))).passes({
        gso: { segments: 2, size: 100 },
        flows: [{ packets: 2, bytes: 260 }],
      }),
    ],
  },
  {
    name: 'IPv6 extension headers: each kind, alone and together',
    steps: [
      sent(chain([authentication()])).passes({ flows: [{ from: `[${WEB.ip6}]:1000`, to: `[${PEER.ip6}]:53` }] }),
      sent(chain([hopByHop()])).passes(),
      sent(chain([destinationOptions(3)])).passes(),
      sent(chain([routing(2, 0)])).passes(),
      sent(chain([fragment(0, false, 1)])).passes(),
      sent(
        chain([
          hopByHop(1),
          destinationOptions(),
          routing(4, 0),
          fragment(0, false, 2),
          authentication(2),
          destinationOptions(2),
        ]),
      ).passes(),
    ],
  },
  {
    name: 'IPv6 extension headers: eight are enough',
    steps: [
      sent(chain(Array(8).fill(destinationOptions()))).passes(),
      sent(chain(Array(9).fill(destinationOptions()))).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
    ],
  },
  {
    name: 'IPv6 extension headers: orders and contents that are refused',
    steps: [
      sent(chain([destinationOptions(), hopByHop()])).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
      sent(chain([routing(0, 0)])).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
      sent(chain([routing(0, 1)])).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
      sent(chain([routing(4, 1)])).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
      sent(chain([fragment(0, false, 1), fragment(0, false, 1)])).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, raw(59))).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
    ],
  },
  {
    name: 'IPv6 extension headers: longer than the packet',
    steps: [
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, raw(0, Buffer.from([17, 9, 1, 4, 0, 0, 0, 0])))).drops(
        DROP.DROP_INVALID_IPV6_EXTENSION,
      ),
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, raw(60, Buffer.alloc(7)))).drops(DROP.DROP_INVALID_IPV6_EXTENSION),
    ],
  },
  {
    name: 'IPv6: protocols that are not tracked',
    steps: [1, 2, 4, 41, 47, 50, 89, 135, 139, 255].map((protocol) =>
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, raw(protocol, Buffer.alloc(40)))).drops(DROP.DROP_CT_UNKNOWN_PROTO),
    ),
  },
];

const martians4 = ['127.0.0.1', '127.255.255.254', '0.0.0.0', '0.1.2.3', '224.0.0.1', '239.1.2.3', '255.255.255.255'];
const martians6 = ['::1', '::ffff:10.2.0.1', 'ff02::1', '::'];
const sourceCases: Case[] = [
  {
    name: "another's source address",
    steps: [
      sent(out4({ src: DB.ip4 })).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(out4({ src: WORLD.ip4 })).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(out6({ src: DB.ip6 })).drops(DROP.DROP_INVALID_SOURCE_IP),
      sent(out6({ src: 'fe80::ff:fe00:1' })).drops(DROP.DROP_INVALID_SOURCE_IP),
    ],
  },
  {
    name: 'a workload without an address of that family',
    setup: (world) => world.workload(WEB, OPEN, 1, { ip4: Buffer.alloc(16), ip6: Buffer.alloc(16) }),
    steps: [sent(out4()).drops(DROP.DROP_INVALID_SOURCE_IP), sent(out6()).drops(DROP.DROP_INVALID_SOURCE_IP)],
  },
  {
    name: 'a workload that routes for others',
    flags: OPEN | weir_workload_flags.WORKLOAD_NO_SOURCE_CHECK,
    steps: [
      sent(out4({ src: WORLD.ip4 }), { from: DB.mac }).passes(),
      sent(out6({ src: WORLD.ip6 })).passes(),
      sent(out4({ src: '127.0.0.1' })).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'martian sources, in and out',
    flags: OPEN | weir_workload_flags.WORKLOAD_NO_SOURCE_CHECK,
    steps: [
      ...martians4.map((src) => sent(out4({ src })).drops(DROP.DROP_INVALID_PACKET)),
      ...martians4.map((src) => received(in4(src)).drops(DROP.DROP_INVALID_PACKET)),
      ...martians6.map((src) => sent(out6({ src })).drops(DROP.DROP_INVALID_PACKET)),
      ...martians6.map((src) => received(in6(src)).drops(DROP.DROP_INVALID_PACKET)),
    ],
  },
  {
    name: 'martian destinations',
    steps: [
      ...['127.0.0.1', '0.0.0.0'].map((dst) => sent(out4({ dst })).drops(DROP.DROP_INVALID_PACKET)),
      ...['::1', '::', '::ffff:127.0.0.1'].map((dst) => sent(out6({ dst })).drops(DROP.DROP_INVALID_PACKET)),
    ],
  },
  {
    name: 'source equals destination (land)',
    steps: [
      sent(out4({ dst: WEB.ip4 })).drops(DROP.DROP_INVALID_PACKET),
      received(in4(WEB.ip4)).drops(DROP.DROP_INVALID_PACKET),
      received(in6(WEB.ip6)).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'from outside with the address of a workload of this host',
    steps: [
      received(in4(DB.ip4)).drops(DROP.DROP_INVALID_SOURCE_IP),
      received(in6(DB.ip6)).drops(DROP.DROP_INVALID_SOURCE_IP),
      received(in4(DB.ip4), { cameBy: DB.ifindex }).passes(),
      fromHost(in4(DB.ip4)).passes(),
    ],
  },
  {
    name: "the host's address proves nothing unless the host made the packet",
    flags: OPEN | weir_workload_flags.WORKLOAD_ENFORCE_INGRESS | weir_workload_flags.WORKLOAD_ALLOW_HOST,
    steps: [
      received(in4(HOST.ip4), { cameBy: UPLINK }).drops(DROP.DROP_POLICY_DENIED, {
        flows: [{ sourceIdentity: 9, rule: 901 }],
      }),
      received(in6(HOST.ip6), { cameBy: UPLINK }).drops(DROP.DROP_POLICY_DENIED, { flows: [{ sourceIdentity: 10 }] }),
      fromHost(in4(HOST.ip4)).passes({ flows: [{ sourceIdentity: 1, rule: 0 }] }),
      fromHost(in6(HOST.ip6)).passes(),
    ],
  },
  {
    name: 'broadcast and multicast are judged like the world',
    steps: [
      sent(out4({ dst: '255.255.255.255' }), { to: 'ff:ff:ff:ff:ff:ff' }).passes({
        flows: [{ destinationIdentity: 9 }],
      }),
      sent(ip6Raw({ src: WEB.ip6, dst: 'ff05::1' }, 17, Buffer.from('03e8003500080000', 'hex'))).passes({
        flows: [{ destinationIdentity: 10 }],
      }),
    ],
  },
];

export const internet: Case[] = [...ip4Cases, ...ip6Cases, ...sourceCases];
