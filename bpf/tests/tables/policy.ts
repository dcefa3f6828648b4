// SPDX-License-Identifier: Apache-2.0
/** Verdicts: which identity a peer has, which entry decides, which rule is named. */
import { weir_drop_reason as DROP, weir_workload_flags as FLAG, weir_identity } from '../../gen/index.ts';
import { allowedBy, connect, connected } from '../lib/connections.ts';
import { ip4, ip6 } from '../lib/packet.ts';
import { type Case, fromHost, received, sent } from '../lib/scenario.ts';
import { icmp, icmp6, sctp, tcp, udp } from '../lib/transport.ts';
import { CLOSED, DEFAULT_RULE, HOST, OPEN, PEER, WEB, WORLD } from '../lib/world.ts';

const TCP = 6;
const UDP = 17;
const SCTP = 132;
const CIDR = weir_identity.IDENTITY_SCOPE_CIDR;
const IPBLOCK = weir_identity.IDENTITY_SCOPE_IPBLOCK;

const refusedBy = (rule: number) => ({ flows: [{ verdict: 'dropped', rule, report: 'drop' }] });

const defaults: Case[] = [
  {
    name: 'without enforcement and without entries all passes, by no rule',
    policy: [],
    flags: OPEN,
    steps: [connect(80).passes(allowedBy(0)), connected(80).passes(allowedBy(0))],
  },
  {
    name: 'a workload without a policy map is like one with an empty one',
    flags: CLOSED,
    steps: [connect(80).drops(DROP.DROP_POLICY_DENIED), connected(80).drops(DROP.DROP_POLICY_DENIED)],
  },
  {
    name: 'default deny names the rule that made it so, by direction',
    policy: [],
    steps: [
      connect(80).drops(DROP.DROP_POLICY_DENIED, {
        flows: [
          {
            workload: WEB.id,
            rule: DEFAULT_RULE.egress,
            direction: 'egress',
            sourceIdentity: WEB.identity,
            destinationIdentity: PEER.identity,
            point: 'from-endpoint',
            why: 'new',
            reason: DROP.DROP_POLICY_DENIED,
            packets: 1,
            bytes: 40,
            flags: 'S',
            connection: 0n,
          },
        ],
      }),
      connected(80).drops(DROP.DROP_POLICY_DENIED, {
        flows: [
          {
            rule: DEFAULT_RULE.ingress,
            direction: 'ingress',
            sourceIdentity: PEER.identity,
            destinationIdentity: WEB.identity,
            point: 'to-endpoint',
          },
        ],
      }),
    ],
  },
  {
    name: 'one direction enforced leaves the other alone',
    policy: [],
    flags: OPEN | FLAG.WORKLOAD_ENFORCE_INGRESS,
    steps: [connect(80).passes(), connected(80).drops(DROP.DROP_POLICY_DENIED)],
  },
  {
    name: 'a deny acts where nothing is enforced',
    policy: [{ egress: true, protocol: TCP, port: 80, deny: true, id: 3 }],
    flags: OPEN,
    steps: [connect(80).drops(DROP.DROP_POLICY_DENY, refusedBy(3)), connect(81).passes(allowedBy(0))],
  },
  {
    name: 'lockdown refuses all, whatever a rule says',
    policy: [{ id: 1 }, { egress: true, id: 2 }],
    flags: CLOSED | FLAG.WORKLOAD_LOCKDOWN | FLAG.WORKLOAD_ALLOW_HOST,
    steps: [
      connect(80).drops(DROP.DROP_POLICY_DENIED, refusedBy(DEFAULT_RULE.egress)),
      connected(80).drops(DROP.DROP_POLICY_DENIED, refusedBy(DEFAULT_RULE.ingress)),
      fromHost(ip4({ src: HOST.ip4, dst: WEB.ip4 }, tcp({ sport: 1, dport: 2 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
];

const matching: Case[] = [
  {
    name: 'protocol and port of the destination, in either direction',
    policy: [
      { identity: PEER.identity, protocol: TCP, port: 80, id: 1 },
      { egress: true, identity: PEER.identity, protocol: UDP, port: 53, id: 2 },
      { egress: true, identity: PEER.identity, protocol: SCTP, port: 9, id: 3 },
    ],
    steps: [
      connected(80).passes(allowedBy(1)),
      connected(81).drops(DROP.DROP_POLICY_DENIED),
      connect(80).drops(DROP.DROP_POLICY_DENIED),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 80, dport: 53 }))).passes(allowedBy(2)),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 53, dport: 80 }))).drops(DROP.DROP_POLICY_DENIED),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, sctp({ sport: 80, dport: 9 }))).passes(allowedBy(3)),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, udp({ sport: 5, dport: 80 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'a port range is a prefix',
    policy: [{ egress: true, protocol: TCP, port: 8000, portBits: 13, id: 4 }],
    steps: [
      connect(7999).drops(DROP.DROP_POLICY_DENIED),
      connect(8000).passes(allowedBy(4)),
      connect(8007).passes(allowedBy(4)),
      connect(8008).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'a protocol without port, and nothing but an identity',
    policy: [
      { egress: true, identity: PEER.identity, id: 1 },
      { protocol: UDP, id: 2 },
    ],
    steps: [
      connect(1).passes(allowedBy(1)),
      connect(1, WORLD.ip4).drops(DROP.DROP_POLICY_DENIED),
      received(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, udp({ sport: 5, dport: 7 }))).passes(allowedBy(2)),
      connected(7, WORLD.ip4).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'both families by the same entries',
    policy: [{ egress: true, identity: PEER.identity, protocol: TCP, port: 80, id: 1 }],
    steps: [
      connect(80, PEER.ip6).passes(allowedBy(1)),
      connect(81, PEER.ip6).drops(DROP.DROP_POLICY_DENIED),
      connect(80, WORLD.ip6).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'ICMP by type',
    policy: [
      { egress: true, protocol: 1, port: 8 << 8, id: 1 },
      { egress: true, protocol: 58, port: 128 << 8, id: 2 },
      { protocol: 1, port: 13 << 8, id: 3 },
    ],
    steps: [
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, icmp({ type: 8, id: 1 }))).passes(allowedBy(1)),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, icmp({ type: 13, id: 1 }))).drops(DROP.DROP_POLICY_DENIED),
      received(ip4({ src: PEER.ip4, dst: WEB.ip4 }, icmp({ type: 13, id: 1 }))).passes(allowedBy(3)),
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, icmp6({ type: 128, id: 1 }))).passes(allowedBy(2)),
      sent(ip6({ src: WEB.ip6, dst: PEER.ip6 }, icmp6({ type: 139, id: 1 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
];

const precedence: Case[] = [
  {
    name: 'a deny of any identity beats an allow of one',
    policy: [
      { egress: true, identity: PEER.identity, protocol: TCP, port: 80, id: 1 },
      { egress: true, protocol: TCP, deny: true, id: 2 },
    ],
    steps: [connect(80).drops(DROP.DROP_POLICY_DENY, refusedBy(2))],
  },
  {
    name: 'a deny of one identity beats an allow of any',
    policy: [
      { egress: true, protocol: TCP, port: 80, id: 1 },
      { egress: true, identity: PEER.identity, deny: true, id: 2 },
    ],
    steps: [connect(80).drops(DROP.DROP_POLICY_DENY, refusedBy(2)), connect(80, WORLD.ip4).passes(allowedBy(1))],
  },
  {
    name: 'of two allows the one with more bits is named, on a tie the one of the identity',
    policy: [
      { egress: true, identity: PEER.identity, protocol: TCP, id: 1 },
      { egress: true, protocol: TCP, port: 80, id: 2 },
      { egress: true, identity: PEER.identity, protocol: UDP, port: 53, id: 3 },
      { egress: true, protocol: UDP, port: 53, id: 4 },
    ],
    steps: [
      connect(80).passes(allowedBy(2)),
      connect(81).passes(allowedBy(1)),
      sent(ip4({ src: WEB.ip4, dst: PEER.ip4 }, udp({ sport: 1, dport: 53 }))).passes(allowedBy(3)),
    ],
  },
  {
    name: 'inside one identity the longest port prefix is named',
    policy: [
      { egress: true, protocol: TCP, id: 1 },
      { egress: true, protocol: TCP, port: 8000, portBits: 13, id: 2 },
      { egress: true, protocol: TCP, port: 8001, id: 3 },
    ],
    steps: [connect(8001).passes(allowedBy(3)), connect(8002).passes(allowedBy(2)), connect(9000).passes(allowedBy(1))],
  },
];

const admin = { egress: true, tier: 'Admin' } as const;
const baseline = { egress: true, tier: 'Baseline' } as const;
const TIERED = CLOSED | FLAG.WORKLOAD_TIERS;

const tiers: Case[] = [
  {
    name: 'Admin goes before Normal, whichever way, and its pass leaves it to Normal',
    policy: [
      { ...admin, protocol: TCP, port: 80, rank: 3, id: 1 },
      { ...admin, protocol: TCP, port: 81, deny: true, rank: 2, id: 2 },
      { ...admin, protocol: TCP, port: 82, pass: true, rank: 1, id: 3 },
      { egress: true, protocol: TCP, port: 80, deny: true, id: 4 },
      { egress: true, protocol: TCP, port: 81, id: 5 },
      { egress: true, protocol: TCP, port: 82, id: 6 },
    ],
    flags: TIERED,
    steps: [
      connect(80).passes(allowedBy(1)),
      connect(81).drops(DROP.DROP_POLICY_DENY, refusedBy(2)),
      connect(82).passes(allowedBy(6)),
      connect(83).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'the higher rank decides between an identity and any, though the other denies or is longer',
    policy: [
      { ...admin, identity: PEER.identity, rank: 2, id: 1 },
      { ...admin, protocol: TCP, port: 80, deny: true, rank: 1, id: 2 },
    ],
    flags: TIERED,
    steps: [connect(80).passes(allowedBy(1)), connect(80, WORLD.ip4).drops(DROP.DROP_POLICY_DENY, refusedBy(2))],
  },
  {
    name: 'a pass of the higher rank hides a deny of the same tier',
    policy: [
      { ...admin, identity: PEER.identity, pass: true, rank: 2, id: 1 },
      { ...admin, deny: true, rank: 1, id: 2 },
      { egress: true, protocol: TCP, port: 80, id: 3 },
    ],
    flags: TIERED,
    steps: [connect(80).passes(allowedBy(3)), connect(80, WORLD.ip4).drops(DROP.DROP_POLICY_DENY, refusedBy(2))],
  },
  {
    name: 'Baseline is asked when the Normal tier passes, not when it isolates',
    policy: [
      { egress: true, pass: true, id: 0 },
      { ...baseline, protocol: TCP, port: 80, deny: true, rank: 2, id: 1 },
      { ...baseline, protocol: TCP, port: 81, rank: 1, id: 2 },
      { tier: 'Baseline', rank: 1, id: 3 },
    ],
    flags: TIERED,
    steps: [
      connect(80).drops(DROP.DROP_POLICY_DENY, refusedBy(1)),
      connect(81).passes(allowedBy(2)),
      connect(82).passes(allowedBy(0)),
      connected(80).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'entries of other tiers are not looked at without the flag',
    policy: [{ ...admin, deny: true, rank: 1, id: 1 }],
    flags: OPEN,
    steps: [connect(80).passes(allowedBy(0))],
  },
];

const identities: Case[] = [
  {
    name: 'world by family; a prefix of a policy; the longest prefix',
    policy: [
      { egress: true, identity: 9, id: 1 },
      { egress: true, identity: 10, id: 2 },
      { egress: true, identity: CIDR | 1, id: 3 },
      { egress: true, identity: CIDR | 2, id: 4 },
    ],
    setup: (world) => {
      world.cidr('198.51.100.0/24', CIDR | 1);
      world.cidr('198.51.100.128/25', CIDR | 2);
      world.cidr('2001:db8:1::/48', CIDR | 2);
    },
    steps: [
      connect(1, WORLD.ip4).passes({ flows: [{ destinationIdentity: 9, rule: 1 }] }),
      connect(1, WORLD.ip6).passes({ flows: [{ destinationIdentity: 10, rule: 2 }] }),
      connect(1, '198.51.100.1').passes({ flows: [{ destinationIdentity: CIDR | 1, rule: 3 }] }),
      connect(1, '198.51.100.129').passes({ flows: [{ destinationIdentity: CIDR | 2, rule: 4 }] }),
      connect(1, '2001:db8:1::5').passes({ flows: [{ rule: 4 }] }),
    ],
  },
  {
    name: 'what is managed is not the world, though a prefix covers it',
    policy: [
      { egress: true, identity: CIDR | 1, id: 3 },
      { egress: true, identity: IPBLOCK | 1, id: 4 },
    ],
    setup: (world) => world.cidr('10.2.0.0/16', CIDR | 1),
    steps: [connect(1).drops(DROP.DROP_POLICY_DENIED), connect(1, '10.2.0.99').passes(allowedBy(3))],
  },
  {
    name: 'ipBlock matches managed peers too, and its deny wins',
    policy: [
      { egress: true, identity: CIDR | 1, id: 3 },
      { egress: true, identity: IPBLOCK | 1, protocol: TCP, port: 80, id: 4 },
      { egress: true, identity: IPBLOCK | 1, protocol: TCP, port: 81, deny: true, id: 5 },
      { egress: true, identity: PEER.identity, protocol: TCP, port: 81, id: 6 },
    ],
    flags: CLOSED | FLAG.WORKLOAD_IPBLOCK,
    setup: (world) => world.cidr('10.2.0.0/16', CIDR | 1),
    steps: [
      connect(80).passes({ flows: [{ rule: 4, destinationIdentity: PEER.identity }] }),
      connect(81).drops(DROP.DROP_POLICY_DENY, refusedBy(5)),
      connect(82).drops(DROP.DROP_POLICY_DENIED),
      connect(80, '10.2.0.99').passes(allowedBy(3)),
    ],
  },
  {
    name: 'the host may always connect in, when allowed to',
    policy: [{ deny: true, id: 1 }],
    flags: CLOSED | FLAG.WORKLOAD_ALLOW_HOST,
    steps: [
      fromHost(ip4({ src: HOST.ip4, dst: WEB.ip4 }, tcp({ sport: 1, dport: 22 }))).passes({
        flows: [{ sourceIdentity: 1, rule: 0 }],
      }),
      connected(22).drops(DROP.DROP_POLICY_DENY),
      connect(22, HOST.ip4).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'without that the host is a peer like others',
    policy: [{ identity: HOST.identity, protocol: TCP, port: 80, id: 1 }],
    steps: [
      fromHost(ip4({ src: HOST.ip4, dst: WEB.ip4 }, tcp({ sport: 1, dport: 80 }))).passes(allowedBy(1)),
      fromHost(ip4({ src: HOST.ip4, dst: WEB.ip4 }, tcp({ sport: 1, dport: 22 }))).drops(DROP.DROP_POLICY_DENIED),
    ],
  },
  {
    name: 'to the host goes to-host, to others to-stack',
    steps: [
      connect(80, HOST.ip4).passes({ flows: [{ point: 'to-host', destinationIdentity: 1 }] }),
      connect(80).passes({ flows: [{ point: 'to-stack' }] }),
    ],
  },
];

export const policy: Case[] = [...defaults, ...matching, ...precedence, ...tiers, ...identities];
