// SPDX-License-Identifier: Apache-2.0
/** ICMP errors: related to a tracked connection, or not and then judged like any ICMP. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { destinationOptions, ip4, ip4Raw, ip6, ip6Raw, type Packet } from '../lib/packet.ts';
import { type Case, received, sent } from '../lib/scenario.ts';
import { icmp, icmp6, ping, ping6, pong, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { DB, PEER, WEB, WORLD } from '../lib/world.ts';

const ROUTER4 = '203.0.113.1';
const ROUTER6 = '2001:db8:ffff::1';

/** The quoted packet cut as RFC 792 allows: the IP header and 8 bytes. */
const quote = (packet: Packet, bytes = 28): Buffer => packet.bytes.subarray(0, bytes);
const error4 = (type: number, code: number, quoted: Buffer, from = ROUTER4, to = WEB.ip4) =>
  ip4({ src: from, dst: to }, icmp({ type, code, data: quoted }));
const error6 = (type: number, code: number, quoted: Buffer, from = ROUTER6, to = WEB.ip6) =>
  ip6({ src: from, dst: to }, icmp6({ type, code, data: quoted }));

const out4 = (segment: Segment, dst: string = PEER.ip4) => ip4({ src: WEB.ip4, dst }, segment);
const out6 = (segment: Segment, dst: string = PEER.ip6) => ip6({ src: WEB.ip6, dst }, segment);
const dns = udp({ sport: 1000, dport: 53, data: 'question' });
const syn = tcp({ sport: 1000, dport: 80 });

const EGRESS = [
  { egress: true, protocol: 17, port: 53, id: 1 },
  { egress: true, protocol: 6, port: 80, id: 2 },
  { egress: true, protocol: 132, port: 9, id: 3 },
  { egress: true, protocol: 1, port: 8 << 8, id: 4 },
  { egress: true, protocol: 58, port: 128 << 8, id: 5 },
];
const INGRESS_UDP = [{ protocol: 17, port: 53, id: 6 }];

const relatedCases: Case[] = [
  {
    name: 'related: every kind of error about every protocol, from anywhere on the path',
    policy: EGRESS,
    steps: [
      sent(out4(dns)).passes(),
      received(error4(3, 3, quote(out4(dns)), PEER.ip4)).passes({
        flows: [
          {
            icmp: '3/3',
            why: 'related',
            verdict: 'forwarded',
            direction: 'ingress',
            rule: 1,
            sourceIdentity: PEER.identity,
            destinationIdentity: WEB.identity,
            from: PEER.ip4,
            to: WEB.ip4,
          },
        ],
      }),
      received(error4(3, 4, quote(out4(dns)))).passes({ flows: [{ icmp: '3/4', sourceIdentity: 9 }] }),
      received(error4(11, 0, quote(out4(dns)))).passes({ flows: [{ icmp: '11/0', why: 'related' }] }),
      received(error4(12, 0, quote(out4(dns)))).passes(),
      sent(out4(syn)).passes(),
      received(error4(3, 4, quote(out4(syn)))).passes(),
      sent(out4(sctp({ sport: 1000, dport: 9 }))).passes(),
      received(error4(3, 2, quote(out4(sctp({ sport: 1000, dport: 9 }))))).passes(),
      sent(out4(ping())).passes(),
      received(error4(11, 0, quote(out4(ping())), '203.0.113.2')).passes({ flows: [{ rule: 4 }] }),
      sent(out6(dns)).passes(),
      received(error6(2, 0, quote(out6(dns), 48))).passes({ flows: [{ icmp: '2/0', why: 'related', rule: 1 }] }),
      received(error6(1, 4, quote(out6(dns), 56), PEER.ip6)).passes(),
      received(error6(3, 0, quote(out6(dns), 56))).passes(),
      received(error6(4, 1, quote(out6(dns), 56))).passes(),
      sent(out6(ping6())).passes(),
      received(error6(3, 0, quote(out6(ping6()), 60), '2001:db8:ffff::2')).passes({ flows: [{ rule: 5 }] }),
    ],
  },
  {
    name: 'related: a quoted packet with options or extension headers',
    policy: EGRESS,
    steps: [
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4, options: '94040000' }, dns)).passes(),
      received(error4(3, 4, quote(ip4({ src: WEB.ip4, dst: PEER.ip4, options: '94040000' }, dns), 32))).passes(),
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6, extensions: [destinationOptions()] }, dns)).passes(),
      received(
        error6(2, 0, quote(ip6({ src: WEB.ip6, dst: PEER.ip6, extensions: [destinationOptions()] }, dns), 64)),
      ).passes(),
    ],
  },
  {
    name: 'related: the workload itself answers with an error',
    policy: INGRESS_UDP,
    steps: [
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, dns)).passes(),
      sent(error4(3, 3, quote(ip4({ src: PEER.ip4, dst: WEB.ip4 }, dns)), WEB.ip4, PEER.ip4)).passes({
        flows: [{ icmp: '3/3', why: 'related', direction: 'egress', rule: 6, point: 'to-stack' }],
      }),
      received(ip6({ src: PEER.ip6, dst: WEB.ip6 }, dns)).passes(),
      sent(error6(1, 4, quote(ip6({ src: PEER.ip6, dst: WEB.ip6 }, dns), 56), WEB.ip6, PEER.ip6)).passes(),
    ],
  },
  {
    name: 'related: about a reply that the workload sent',
    policy: [...INGRESS_UDP, { protocol: 1, port: 8 << 8, id: 7 }],
    steps: [
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, dns)).passes(),
      received(error4(3, 4, quote(out4(udp({ sport: 53, dport: 1000 }))))).drops(DROP.DROP_POLICY_DENIED),
      sent(out4(udp({ sport: 53, dport: 1000, data: 'answer' }))).passes(),
      received(error4(3, 4, quote(out4(udp({ sport: 53, dport: 1000 }))))).passes(),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, ping())).passes(),
      sent(out4(pong())).passes(),
      received(error4(3, 1, quote(out4(pong())))).passes({ flows: [{ rule: 7 }] }),
    ],
  },
  {
    name: 'related: counted together, reported as one flow',
    policy: EGRESS,
    steps: [
      sent(out4(dns)).passes(),
      received(error4(3, 3, quote(out4(dns)))).passes({ flows: [{ packets: 1 }] }),
      received(error4(3, 3, quote(out4(dns)))).passes({ flows: [] }),
      received(error4(3, 3, quote(out4(dns)))).passes({ flows: [] }),
    ],
  },
];

const forgedCases: Case[] = [
  {
    name: 'forged: about a connection that does not exist',
    policy: EGRESS,
    steps: [
      received(error4(3, 3, quote(out4(dns)))).drops(DROP.DROP_POLICY_DENIED),
      sent(out4(dns)).passes(),
      received(error4(3, 3, quote(out4(udp({ sport: 1001, dport: 53 }))))).drops(DROP.DROP_POLICY_DENIED),
      received(error4(3, 3, quote(out4(dns, WORLD.ip4)))).drops(DROP.DROP_POLICY_DENIED),
      received(error4(3, 3, quote(out4(tcp({ sport: 1000, dport: 53 }))))).drops(DROP.DROP_POLICY_DENIED),
      received(error6(1, 4, quote(out6(dns), 56))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'forged: the quoted packet went the other way',
    policy: EGRESS,
    steps: [
      sent(out4(dns)).passes(),
      received(error4(3, 3, quote(ip4({ src: PEER.ip4, dst: WEB.ip4 }, udp({ sport: 53, dport: 1000 }))))).drops(
        DROP.DROP_POLICY_DENIED,
      ),
      sent(error4(3, 3, quote(out4(dns)), WEB.ip4, PEER.ip4)).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'forged: sent to somebody who did not send the quoted packet',
    policy: INGRESS_UDP,
    steps: [
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, dns)).passes(),
      sent(error4(3, 3, quote(ip4({ src: PEER.ip4, dst: WEB.ip4 }, dns)), WEB.ip4, WORLD.ip4)).drops(
        DROP.DROP_POLICY_DENIED,
      ),
      sent(error4(3, 3, quote(ip4({ src: PEER.ip4, dst: DB.ip4 }, dns)), WEB.ip4, PEER.ip4)).drops(
        DROP.DROP_POLICY_DENIED,
      ),
    ],
  },
  {
    name: 'forged: the quoted packet cut at every byte',
    policy: EGRESS,
    steps: [
      sent(out4(dns)).passes(),
      ...Array.from({ length: 28 }, (_, bytes) =>
        received(error4(3, 3, quote(out4(dns), bytes))).drops(DROP.DROP_POLICY_DENIED),
      ),
      sent(out6(dns)).passes(),
      ...Array.from({ length: 48 }, (_, bytes) =>
        received(error6(1, 4, quote(out6(dns), bytes))).drops(DROP.DROP_POLICY_DENIED),
      ),
    ],
  },
  {
    name: 'forged: a quoted fragment, a quoted error, a wrong family',
    policy: EGRESS,
    steps: [
      sent(out4(dns)).passes(),
      received(error4(3, 3, quote(ip4Raw({ src: WEB.ip4, dst: PEER.ip4, offset: 8 }, 17, dns.bytes)))).drops(133),
      received(error4(3, 3, quote(out4(icmp({ type: 3, code: 3, data: quote(out4(dns)) })), 56))).drops(133),
      received(error4(3, 3, quote(out6(dns), 56))).drops(DROP.DROP_POLICY_DENIED),
      received(error6(1, 4, quote(out4(dns), 28))).drops(DROP.DROP_POLICY_DENIED),
      received(error6(1, 4, quote(ip6Raw({ src: WEB.ip6, dst: PEER.ip6 }, 1, ping().bytes), 56))).drops(133),
    ],
  },
  {
    name: 'forged: about a connection that is over, or cut',
    policy: EGRESS,
    steps: [
      sent(out4(dns)).passes(),
      received(error4(3, 3, quote(out4(dns)))).drops(DROP.DROP_POLICY_DENIED, { before: (world) => world.pass(61) }),
      sent(out4(dns)).passes(),
      sent(out4(dns)).drops(DROP.DROP_POLICY_DENIED, { before: (world) => world.policy(WEB, [], undefined, 2) }),
      received(error4(3, 3, quote(out4(dns)))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'not related: a redirect, source quench, and router messages are ICMP like any other',
    policy: EGRESS,
    steps: [
      sent(out4(dns)).passes(),
      received(error4(5, 1, quote(out4(dns)))).drops(DROP.DROP_POLICY_DENIED, { flows: [{ icmp: '5/1' }] }),
      received(error4(4, 0, quote(out4(dns)))).drops(DROP.DROP_POLICY_DENIED),
      received(error4(9, 0, Buffer.alloc(8))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'not related, but allowed as ICMP by policy',
    policy: [{ protocol: 1, port: 3 << 8, portBits: 8, id: 8 }],
    steps: [
      received(error4(3, 3, quote(out4(dns)))).passes({ flows: [{ rule: 8, why: 'new' }] }),
      received(error4(11, 0, quote(out4(dns)))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
];

export const related: Case[] = [...relatedCases, ...forgedCases];
