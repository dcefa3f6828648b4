// SPDX-License-Identifier: Apache-2.0
/** From workload to workload of the same host: both ends judged in one pass, and what the receiver gets. */
import { weir_drop_reason as DROP } from '../../gen/index.ts';
import { ethernet, ip4, ip4Fragments, ip6, type Packet } from '../lib/packet.ts';
import { type Case, received, sent } from '../lib/scenario.ts';
import { icmp, ping, tcp, udp } from '../lib/transport.ts';
import { CLOSED, DB, DEFAULT_RULE, OPEN, PEER, WEB } from '../lib/world.ts';

const syn = tcp({ sport: 1000, dport: 5432 });
const to4 = (ttl = 64) => ip4({ src: WEB.ip4, dst: DB.ip4, ttl }, syn);
const to6 = (hopLimit = 64) => ip6({ src: WEB.ip6, dst: DB.ip6, hopLimit }, syn);
/** What leaves towards the second workload. */
const delivered = (packet: Packet, vlans: number[] = []) => ethernet({ from: DB.hostMac, to: DB.mac, vlans }, packet);

const ALLOW_OUT = [{ egress: true, identity: DB.identity, protocol: 6, port: 5432, id: 1 }];
const ALLOW_IN = [{ identity: WEB.identity, protocol: 6, port: 5432, id: 2 }];

const deliveryCases: Case[] = [
  {
    name: 'delivery: one hop less, the MACs of the last link, nothing else changed',
    steps: [
      sent(to4()).redirects({ out: delivered(to4(63)) }),
      sent(to6()).redirects({ out: delivered(to6(63)) }),
      sent(to4(2)).redirects({ out: delivered(to4(1)) }),
      sent(to4(255)).redirects({ out: delivered(to4(254)) }),
    ],
  },
  {
    name: 'delivery: the IPv4 checksum stays right wherever it stands',
    steps: Array.from({ length: 64 }, (_, id) => {
      const packet = (ttl: number) => ip4({ src: WEB.ip4, dst: DB.ip4, ttl, id: 0x5f00 + id * 0x0100 }, syn);
      return sent(packet(64)).redirects({ out: delivered(packet(63)) });
    }),
  },
  {
    name: 'delivery: with options and priority tags',
    steps: [
      sent(ip4({ src: WEB.ip4, dst: DB.ip4, options: '94040000' }, syn), { vlans: [0] }).redirects({
        out: delivered(ip4({ src: WEB.ip4, dst: DB.ip4, ttl: 63, options: '94040000' }, syn), [0]),
      }),
    ],
  },
  {
    name: 'delivery: the last hop is for the stack, which says time exceeded',
    steps: [sent(to4(1)).passes(), sent(to6(1)).passes(), sent(to4(0)).passes()],
  },
];

const judgementCases: Case[] = [
  {
    name: 'both ends allow: two flows, one at each workload',
    policy: ALLOW_OUT,
    dbPolicy: ALLOW_IN,
    steps: [
      sent(to4()).redirects({
        flows: [
          {
            workload: WEB.id,
            direction: 'egress',
            rule: 1,
            point: 'to-endpoint',
            sourceIdentity: WEB.identity,
            destinationIdentity: DB.identity,
            verdict: 'forwarded',
          },
          {
            workload: DB.id,
            direction: 'ingress',
            rule: 2,
            point: 'to-endpoint',
            sourceIdentity: WEB.identity,
            destinationIdentity: DB.identity,
            verdict: 'forwarded',
          },
        ],
      }),
      sent(to4()).redirects({ flows: [] }),
      sent(to6()).redirects(),
    ],
  },
  {
    name: 'the sender may not: the receiver is not asked',
    policy: [],
    dbPolicy: ALLOW_IN,
    steps: [
      sent(to4()).drops(DROP.DROP_POLICY_DENIED, {
        flows: [{ workload: WEB.id, direction: 'egress', rule: DEFAULT_RULE.egress, verdict: 'dropped' }],
      }),
    ],
  },
  {
    name: 'the receiver refuses: egress forwarded, ingress dropped',
    policy: ALLOW_OUT,
    dbPolicy: [],
    steps: [
      sent(to4()).drops(DROP.DROP_POLICY_DENIED, {
        flows: [
          { workload: WEB.id, direction: 'egress', verdict: 'forwarded', rule: 1 },
          {
            workload: DB.id,
            direction: 'ingress',
            verdict: 'dropped',
            rule: DEFAULT_RULE.ingress,
            point: 'to-endpoint',
            sourceIdentity: WEB.identity,
            destinationIdentity: DB.identity,
          },
        ],
      }),
    ],
  },
  {
    name: 'the receiver is not ready, or gone',
    setup: (world) => world.workload(DB, CLOSED & ~OPEN),
    steps: [
      sent(to4()).drops(DROP.DROP_EP_NOT_READY),
      sent(to4()).drops(DROP.DROP_EP_NOT_READY, { before: (world) => world.removeWorkload(DB) }),
    ],
  },
  {
    name: 'the connection of two local workloads takes nothing from outside',
    policy: ALLOW_OUT,
    dbPolicy: ALLOW_IN,
    steps: [
      sent(to4()).redirects(),
      received(ip4({ src: DB.ip4, dst: WEB.ip4 }, tcp({ sport: 5432, dport: 1000, flags: 'SA' }))).drops(
        DROP.DROP_INVALID_SOURCE_IP,
        { flows: [{ reply: true, direction: 'egress', reason: DROP.DROP_INVALID_SOURCE_IP }] },
      ),
      received(ip4({ src: DB.ip4, dst: WEB.ip4 }, tcp({ sport: 5432, dport: 1000, flags: 'SA' })), {
        cameBy: DB.ifindex,
      }).passes(),
    ],
  },
  {
    name: 'an address that moved to this host after the connection was made',
    policy: [{ egress: true, identity: 0, id: 1 }],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, syn)).passes({ flows: [{ point: 'to-stack' }] }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, syn)).passes({ before: (world) => world.local(PEER.ip4, DB.ifindex) }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, syn)).redirects({
        before: (world) => world.pass(6),
        flows: [{ workload: WEB.id, point: 'to-endpoint' }, { workload: DB.id }],
      }),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, syn)).passes({ before: (world) => world.notLocal(PEER.ip4) }),
    ],
  },
  {
    name: 'fragments and ICMP',
    policy: [
      { egress: true, protocol: 17, id: 1 },
      { egress: true, protocol: 1, id: 2 },
    ],
    dbPolicy: [
      { protocol: 17, port: 53, id: 3 },
      { protocol: 1, port: 8 << 8, id: 4 },
    ],
    steps: [
      ...ip4Fragments(
        { src: WEB.ip4, dst: DB.ip4, id: 1 },
        udp({ sport: 1, dport: 53, data: 'x'.repeat(64) }),
        [32],
      ).map((piece) => sent(piece).redirects()),
      ...ip4Fragments(
        { src: WEB.ip4, dst: DB.ip4, id: 2 },
        udp({ sport: 1, dport: 54, data: 'x'.repeat(64) }),
        [32],
      ).map((piece) => sent(piece).drops(DROP.DROP_POLICY_DENIED)),
      sent(ip4({ src: WEB.ip4, dst: DB.ip4 }, ping())).redirects({
        flows: [{ icmp: '8/0' }, { icmp: '8/0', rule: 4 }],
      }),
      sent(ip4({ src: WEB.ip4, dst: DB.ip4 }, icmp({ type: 13 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'an error that one end knows and the other does not',
    policy: [],
    dbPolicy: [],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: DB.ip4 }, icmp({ type: 3, code: 3, data: to4().bytes.subarray(0, 28) }))).drops(
        DROP.DROP_POLICY_DENIED,
      ),
    ],
  },
];

export const local: Case[] = [...deliveryCases, ...judgementCases];
