// SPDX-License-Identifier: Apache-2.0
/** Connections: replies, closing, opening anew, and what must not be taken for a reply. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { ip4, ip6 } from '../lib/packet.ts';
import { type Case, received, sent } from '../lib/scenario.ts';
import { icmp, ping, ping6, pong, pong6, sctp, tcp, udp } from '../lib/transport.ts';
import { CLOSED, PEER, WEB, WORLD } from '../lib/world.ts';

const out = (flags: string, data = '') =>
  sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, tcp({ sport: 1000, dport: 80, flags, data })));
const back = (flags: string, data = '') =>
  received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, tcp({ sport: 80, dport: 1000, flags, data })));
const out6 = (flags: string) => sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, tcp({ sport: 1000, dport: 80, flags })));
const back6 = (flags: string) => received(ip6({ src: PEER.ip6, dst: WEB.ip6 }, tcp({ sport: 80, dport: 1000, flags })));

const EGRESS_80 = [{ egress: true, protocol: 6, port: 80, id: 1 }];
const INGRESS_80 = [{ protocol: 6, port: 80, id: 2 }];

const handshake = [out('S').passes(), back('SA').passes(), out('A').passes()];

const tcpCases: Case[] = [
  {
    name: 'TCP: a connection from SYN to the last ACK, as flows',
    policy: EGRESS_80,
    steps: [
      out('S').passes({
        flows: [
          {
            from: `${WEB.ip4}:1000`,
            to: `${PEER.ip4}:80`,
            direction: 'egress',
            reply: false,
            why: 'new',
            report: 'first',
            flags: 'S',
            packets: 1,
            bytes: 40,
            rule: 1,
          },
        ],
      }),
      back('SA').passes({
        flows: [
          {
            from: `${PEER.ip4}:80`,
            to: `${WEB.ip4}:1000`,
            sourceIdentity: PEER.identity,
            destinationIdentity: WEB.identity,
            direction: 'egress',
            reply: true,
            why: 'reply',
            report: 'first',
            point: 'to-endpoint',
            flags: 'SA',
            packets: 1,
          },
        ],
      }),
      out('A').passes({ flows: [] }),
      out('PA', 'request').passes({ flows: [] }),
      back('A').passes({ flows: [] }),
      back('PA', 'response').passes({ flows: [] }),
      out('FA').passes({
        flows: [{ report: 'flags', flags: 'FPA', packets: 3, bytes: 127, why: 'established', reply: false }],
      }),
      back('FA').passes({
        flows: [{ report: 'close', flags: 'FPA', packets: 3, bytes: 128, why: 'reply', reply: true }],
      }),
      out('A').passes({ flows: [] }),
    ],
  },
  {
    name: 'TCP: closing reports what the other side still had',
    policy: EGRESS_80,
    steps: [
      ...handshake,
      out('FA').passes(),
      out('A').passes({ flows: [] }),
      back('FA').passes({
        flows: [
          { report: 'close', reply: true, packets: 1 },
          { report: 'close', reply: false, packets: 1 },
        ],
      }),
    ],
  },
  {
    name: 'TCP: a refused connection',
    policy: EGRESS_80,
    steps: [
      out('S').passes(),
      back('RA').passes({ flows: [{ report: 'close', flags: 'RA', reply: true, packets: 1 }] }),
    ],
  },
  {
    name: 'TCP: replies pass whatever ingress policy says, in both families',
    policy: EGRESS_80,
    steps: [
      ...handshake,
      out6('S').passes(),
      back6('SA').passes(),
      out6('A').passes(),
      back6('PA').passes(),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, tcp({ sport: 81, dport: 1000, flags: 'A' }))).drops(
        DROP.DROP_POLICY_DENIED,
      ),
    ],
  },
  {
    name: 'TCP: an unsolicited reply',
    policy: EGRESS_80,
    steps: [back('SA').drops(DROP.DROP_POLICY_DENIED), back('A').drops(DROP.DROP_POLICY_DENIED), back('RA').drops(133)],
  },
  {
    name: 'TCP: a connection towards the workload, and its replies',
    policy: INGRESS_80,
    steps: [
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, tcp({ sport: 1000, dport: 80 }))).passes({
        flows: [{ direction: 'ingress', reply: false, rule: 2, point: 'to-endpoint' }],
      }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, tcp({ sport: 80, dport: 1000, flags: 'SA' }))).passes({
        flows: [{ direction: 'ingress', reply: true, point: 'to-stack', sourceIdentity: WEB.identity }],
      }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, tcp({ sport: 80, dport: 1001, flags: 'SA' }))).drops(
        DROP.DROP_POLICY_DENIED,
      ),
    ],
  },
  {
    name: 'TCP: the answering side opens nothing of its own with a SYN',
    policy: EGRESS_80,
    steps: [
      ...handshake,
      back('S').drops(DROP.DROP_POLICY_DENIED, { flows: [{ direction: 'ingress', reply: false }] }),
      back('PA', 'still here').passes(),
      out('PA').passes(),
    ],
  },
  {
    name: 'TCP: both sides open at once (RFC 9293 3.5)',
    policy: EGRESS_80,
    steps: [out('S').passes(), back('S').passes(), out('SA').passes(), back('SA').passes()],
  },
  {
    name: 'TCP: a SYN on a closed connection is a new one, and judged',
    policy: EGRESS_80,
    steps: [
      ...handshake,
      out('FA').passes(),
      back('FA').passes(),
      out('A').passes({ flows: [] }),
      out('S').passes({
        flows: [
          { report: 'expired', packets: 1, flags: 'A', reply: false },
          { report: 'first', packets: 1, flags: 'S', why: 'new' },
        ],
      }),
      back('RA').passes(),
      back('S').drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'TCP: after a close the other side may open, when policy lets it',
    policy: [...EGRESS_80, { protocol: 6, port: 1000, id: 3 }],
    steps: [
      ...handshake,
      out('RA').passes(),
      back('S').passes({ flows: [{ direction: 'ingress', rule: 3, why: 'new' }] }),
      out('SA').passes({ flows: [{ direction: 'ingress', reply: true }] }),
    ],
  },
  {
    name: 'TCP: flags of the odd kind are seen once in each direction',
    steps: [
      ...handshake,
      out('A').passes({ flows: [] }),
      out('PAEC').passes({ flows: [] }),
      back('FA').passes({ flows: [{ report: 'flags', flags: 'FA' }] }),
      back('FA').passes({ flows: [] }),
    ],
  },
];

const otherCases: Case[] = [
  {
    name: 'UDP and SCTP: replies pass',
    policy: [
      { egress: true, protocol: 17, port: 53, id: 1 },
      { egress: true, protocol: 132, port: 9, id: 2 },
    ],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: WORLD.ip4 }, udp({ sport: 1000, dport: 53 }))).passes(),
      received(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, udp({ sport: 53, dport: 1000 }))).passes({
        flows: [{ reply: true, report: 'first', sourceIdentity: 9 }],
      }),
      received(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, udp({ sport: 53, dport: 1001 }))).drops(DROP.DROP_POLICY_DENIED),
      sent(ip6({ src: WEB.ip6, dst: WORLD.ip6 }, sctp({ sport: 1000, dport: 9 }))).passes(),
      received(ip6({ src: WORLD.ip6, dst: WEB.ip6 }, sctp({ sport: 9, dport: 1000 }))).passes(),
      received(ip6({ src: WORLD.ip6, dst: WEB.ip6 }, udp({ sport: 9, dport: 1000 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'a connection that has expired is judged anew, and what it had is reported first',
    policy: EGRESS_80,
    steps: [
      ...handshake,
      back('A').passes({ flows: [] }),
      out('A').passes({
        before: (world) => world.pass(8100),
        flows: [
          { report: 'expired', reply: false, packets: 1 },
          { report: 'expired', reply: true, packets: 1 },
          { report: 'first', reply: false, packets: 1, flags: 'A' },
        ],
      }),
      back('A').drops(DROP.DROP_POLICY_DENIED, { before: (world) => world.pass(100) }),
    ],
  },
  {
    name: 'an address that changed hands does not inherit its connections',
    policy: EGRESS_80,
    steps: [
      ...handshake,
      out('A').drops(DROP.DROP_POLICY_DENIED, {
        before: async (world) => {
          await world.policy(WEB, [], CLOSED, 1);
          for (const { key, entry } of await world.connections()) world.setConnection(key, { ...entry, ifindex: 77 });
        },
      }),
    ],
  },
];

const echoCases: Case[] = [
  {
    name: 'echo: the reply to a request passes',
    policy: [
      { egress: true, protocol: 1, port: 8 << 8, id: 1 },
      { egress: true, protocol: 58, port: 128 << 8, id: 2 },
    ],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, ping())).passes({
        flows: [{ icmp: '8/0', from: WEB.ip4, to: PEER.ip4, rule: 1, why: 'new' }],
      }),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, pong())).passes({
        flows: [{ icmp: '0/0', reply: true, rule: 1, why: 'reply' }],
      }),
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, ping6())).passes({ flows: [{ icmp: '128/0' }] }),
      received(ip6({ src: PEER.ip6, dst: WEB.ip6 }, pong6())).passes({ flows: [{ icmp: '129/0', reply: true }] }),
    ],
  },
  {
    name: 'echo: a reply with another identifier, from another host, or unasked',
    policy: [{ egress: true, protocol: 1, port: 8 << 8, id: 1 }],
    steps: [
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, pong())).drops(DROP.DROP_POLICY_DENIED, {
        flows: [{ icmp: '0/0' }],
      }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, ping())).passes(),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, pong(8))).drops(DROP.DROP_POLICY_DENIED),
      received(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, pong())).drops(DROP.DROP_POLICY_DENIED),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, pong())).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'echo: a request is no reply to a request with the same identifier',
    policy: [{ egress: true, protocol: 1, port: 8 << 8, id: 1 }],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, ping())).passes(),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, ping())).drops(DROP.DROP_POLICY_DENIED, {
        flows: [{ direction: 'ingress', icmp: '8/0' }],
      }),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, pong())).passes(),
    ],
  },
  {
    name: 'echo: an identifier is no port, and 0 is an identifier like others',
    policy: [{ egress: true, protocol: 17, port: 7, id: 1 }],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 7, dport: 7 }))).passes(),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, pong(7))).drops(DROP.DROP_POLICY_DENIED),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, ping(0))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'echo: an unasked reply that policy lets in is a connection of its own',
    policy: [{ protocol: 1, port: 0 << 8, portBits: 8, id: 3 }],
    steps: [
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, pong())).passes({
        flows: [{ icmp: '0/0', rule: 3, reply: false }],
      }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, ping())).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'other ICMP is allowed in one direction only, though allowed',
    policy: [{ egress: true, protocol: 1, port: 13 << 8, id: 4 }],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, icmp({ type: 13, id: 5 }))).passes({
        flows: [{ icmp: '13/0', rule: 4 }],
      }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, icmp({ type: 13, id: 6 }))).passes({ flows: [] }),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, icmp({ type: 13, id: 5 }))).drops(DROP.DROP_POLICY_DENIED),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, icmp({ type: 14, id: 5 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
];

export const conntrack: Case[] = [...tcpCases, ...otherCases, ...echoCases];
