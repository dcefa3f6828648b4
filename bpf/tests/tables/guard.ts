// SPDX-License-Identifier: Apache-2.0
/** The host as an endpoint: what it gets and sends, at uplinks and from workloads, by its own policy. */
import { weir_drop_reason as DROP, weir_workload_flags as FLAG, weir_host_endpoint } from '../../gen/index.ts';
import { arp, ip4, ip4Fragments, ip4Raw, ip6 } from '../lib/packet.ts';
import { type Case, enters, leaves, received, sent } from '../lib/scenario.ts';
import { icmp, icmp6, ping, ping6, pong, raw, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { NAT, uplinkOf } from '../lib/uplink.ts';
import {
  CLOSED,
  DEFAULT_RULE,
  HOST,
  OPEN,
  PEER,
  type Rule,
  WEB,
  WORLD,
  type Workload,
  type World,
} from '../lib/world.ts';

const OWN: Workload = {
  ...{ ifindex: weir_host_endpoint.HOST_IFINDEX, id: 9, identity: HOST.identity, ip4: HOST.ip4, ip6: HOST.ip6 },
  ...{ mac: '00:00:00:00:00:00', hostMac: '00:00:00:00:00:00' },
};
const FAMILIES = ['ip4', 'ip6'] as const;
const make = { ip4, ip6 } as const;

/** The host's policy, on an uplink that masquerades too unless `bare`. */
const guarded =
  (rules: readonly Rule[], { flags = CLOSED, bare = false, revision = 1 } = {}) =>
  async (world: World): Promise<void> => {
    uplinkOf({ guard: true, ...(bare ? { ip4: '', ip6: '' } : {}) })(world);
    await world.policy(OWN, rules, flags, revision);
  };
const rejudged = (rules: readonly Rule[]) => ({ before: (world: World) => world.policy(OWN, rules, CLOSED, 2) });

const to = (family: 'ip4' | 'ip6', segment: Segment, from: string = WORLD[family]) =>
  enters(make[family]({ src: from, dst: HOST[family] }, segment));
const from = (family: 'ip4' | 'ip6', segment: Segment, dst: string = WORLD[family]) =>
  leaves(make[family]({ src: HOST[family], dst }, segment), { cameBy: 0 });

const SSH: Rule = { protocol: 6, port: 22, id: 1 };
const DNS: Rule = { egress: true, protocol: 17, port: 53, id: 2 };
const BY_PEER: Rule = { identity: PEER.identity, protocol: 6, port: 80, id: 3 };
const ssh = (sport: number, flags?: string) => tcp({ sport, dport: 22, ...(flags ? { flags } : {}) });
const answer = (dport: number) => tcp({ sport: 22, dport, flags: 'SA' });
const dns = udp({ sport: 1000, dport: 53, data: 'question' });
const refused = DROP.DROP_POLICY_DENIED;

const directions: Case[] = FAMILIES.flatMap((family): Case[] => [
  {
    name: `guard ${family}: connections in and out, answers, and what no rule allows`,
    setup: guarded([SSH, DNS, BY_PEER], { bare: true }),
    steps: [
      to(family, ssh(1000)).passes({
        flows: [
          {
            ...{ workload: OWN.id, rule: 1, direction: 'ingress', destinationIdentity: HOST.identity },
            sourceIdentity: family === 'ip4' ? 9 : 10,
          },
        ],
      }),
      from(family, answer(1000)).passes({ flows: [{ reply: true, verdict: 'forwarded' }] }),
      to(family, tcp({ sport: 1000, dport: 23 })).drops(refused, {
        flows: [{ workload: OWN.id, rule: DEFAULT_RULE.ingress, verdict: 'dropped', direction: 'ingress' }],
      }),
      to(family, sctp({ sport: 1000, dport: 22 })).drops(refused),
      from(family, dns).passes({ flows: [{ rule: 2, direction: 'egress', sourceIdentity: HOST.identity }] }),
      to(family, udp({ sport: 53, dport: 1000, data: 'answer' })).passes({ flows: [{ reply: true }] }),
      from(family, tcp({ sport: 1000, dport: 443 })).drops(refused, {
        flows: [{ rule: DEFAULT_RULE.egress, direction: 'egress', verdict: 'dropped' }],
      }),
      to(family, tcp({ sport: 1001, dport: 80 })).drops(refused),
      to(family, tcp({ sport: 1001, dport: 80 }), PEER[family]).passes({
        flows: [{ rule: 3, sourceIdentity: PEER.identity }],
      }),
    ],
  },
  {
    name: `guard ${family}: what is routed through, and what workloads are masqueraded for, is not the host’s`,
    setup: guarded([]),
    steps: [
      enters(make[family]({ src: WORLD[family], dst: WEB[family] }, dns)).passes(),
      leaves(make[family]({ src: WEB[family], dst: WORLD[family] }, dns)).passes(),
      enters(make[family]({ src: WORLD[family], dst: NAT[family] }, udp({ sport: 53, dport: 50_000 }))).passes(),
    ],
  },
  {
    name: `guard ${family}: a workload of the host asks the host, and answers what the host asked`,
    setup: async (world) => {
      await guarded([BY_PEER, { identity: WEB.identity, protocol: 17, port: 53, id: 4 }])(world);
      world.workload(WEB, OPEN | FLAG.WORKLOAD_GUARD_HOST);
    },
    steps: [
      sent(make[family]({ src: WEB[family], dst: HOST[family] }, dns)).passes({
        flows: [{ workload: WEB.id }, { workload: OWN.id, rule: 4, sourceIdentity: WEB.identity }],
      }),
      sent(make[family]({ src: WEB[family], dst: HOST[family] }, tcp({ sport: 1000, dport: 80 }))).drops(refused),
      received(make[family]({ src: HOST[family], dst: WEB[family] }, tcp({ sport: 2000, dport: 80 })), {
        cameBy: 0,
      }).passes(),
      sent(
        make[family]({ src: WEB[family], dst: HOST[family] }, tcp({ sport: 80, dport: 2000, flags: 'SA' })),
      ).passes(),
      sent(make[family]({ src: WEB[family], dst: WORLD[family] }, dns)).passes(),
    ],
  },
]);

const fragments = ip4Fragments(
  { src: WORLD.ip4, dst: HOST.ip4, id: 77 },
  udp({ sport: 9, dport: 22, data: Buffer.alloc(64) }),
  [24, 48],
);
const [first, second, last] = fragments;
if (!first || !second || !last) throw new Error('three fragments');
const errorAbout = (quoted: Buffer, src: string = WORLD.ip4) =>
  enters(ip4({ src, dst: HOST.ip4 }, icmp({ type: 3, code: 3, data: quoted.subarray(0, 28) })));
const question = ip4({ src: HOST.ip4, dst: WORLD.ip4 }, dns);

export const guard: Case[] = [
  ...directions,
  {
    name: 'guard: ICMP by its type, answers with their question, errors with their connection',
    setup: guarded([{ protocol: 1, port: 8 << 8, id: 1 }, { egress: true, protocol: 58, port: 128 << 8, id: 2 }, DNS]),
    steps: [
      to('ip4', ping()).passes({ flows: [{ rule: 1 }] }),
      from('ip4', pong()).passes({ flows: [{ reply: true }] }),
      to('ip4', pong(99)).drops(refused),
      to('ip6', ping6()).drops(refused),
      from('ip6', ping6()).passes(),
      to('ip6', icmp6({ type: 129, id: 7, data: 'ping' })).passes({ flows: [{ reply: true }] }),
      leaves(question, { cameBy: 0 }).passes(),
      errorAbout(question.bytes, '203.0.113.9').passes({ flows: [{ why: 'related', rule: 2 }] }),
      errorAbout(ip4({ src: HOST.ip4, dst: WORLD.ip4 }, udp({ sport: 5, dport: 53 })).bytes).drops(refused),
    ],
  },
  {
    name: 'guard: fragments go the way of their first one',
    setup: guarded([{ protocol: 17, port: 22, id: 1 }], { bare: true }),
    steps: [
      enters(second).drops(DROP.DROP_FRAGMENT_NOT_FOUND),
      enters(first).passes(),
      enters(last).passes(),
      enters(second).passes(),
    ],
  },
  {
    name: 'guard: a change of policy cuts, and lets in again',
    setup: guarded([SSH]),
    steps: [
      to('ip4', ssh(1000)).passes(),
      from('ip4', answer(1000)).passes(),
      to('ip4', ssh(1000, 'A')).drops(refused, rejudged([])),
      from('ip4', tcp({ sport: 22, dport: 1000, flags: 'A' })).drops(refused),
      to('ip4', ssh(1000, 'A')).passes(rejudged([SSH])),
    ],
  },
  {
    name: 'guard: what keeps the link running passes, what no rule can name does not',
    setup: guarded([{ id: 1, protocol: 6 }], { bare: true }),
    steps: [
      enters(arp({ senderMac: WEB.mac, senderIp: WORLD.ip4, targetIp: HOST.ip4 })).passes(),
      enters(
        ip6({ src: 'fe80::1', dst: HOST.ip6, hopLimit: 255 }, icmp6({ type: 135, data: Buffer.alloc(20) })),
      ).passes(),
      enters(ip4({ src: WORLD.ip4, dst: '224.0.0.22' }, raw(2, Buffer.alloc(8)))).passes(),
      enters(ip4({ src: WORLD.ip4, dst: HOST.ip4 }, raw(47, Buffer.alloc(20)))).drops(DROP.DROP_CT_UNKNOWN_PROTO),
      leaves(ip4({ src: HOST.ip4, dst: WORLD.ip4 }, raw(47, Buffer.alloc(20))), { cameBy: 0 }).drops(
        DROP.DROP_CT_UNKNOWN_PROTO,
      ),
      enters(ip4({ src: WORLD.ip4, dst: WEB.ip4 }, raw(47, Buffer.alloc(20)))).passes(),
      enters(ip4Raw({ src: WORLD.ip4, dst: HOST.ip4, version: 5 }, 17, dns.bytes)).passes(),
      enters(ip4({ src: WORLD.ip4, dst: '224.0.0.251' }, udp({ sport: 5353, dport: 5353 }))).drops(refused),
      enters(ip4({ src: WORLD.ip4, dst: '255.255.255.255' }, udp({ sport: 67, dport: 68 }))).drops(refused),
    ],
  },
  {
    name: 'guard: nobody outside has the address of a workload of this host, nor the host’s own',
    setup: guarded([
      { identity: WEB.identity, id: 1 },
      { identity: HOST.identity, id: 2 },
    ]),
    steps: [
      to('ip4', dns, WEB.ip4).drops(DROP.DROP_INVALID_SOURCE_IP),
      to('ip6', dns, WEB.ip6).drops(DROP.DROP_INVALID_SOURCE_IP),
      to('ip4', dns, HOST.ip4).drops(DROP.DROP_INVALID_PACKET),
    ],
  },
  {
    name: 'guard: a host without a policy, or one that enforces nothing, lets everything pass',
    setup: (world) => uplinkOf({ guard: true })(world),
    steps: [
      to('ip4', dns).passes({ flows: [] }),
      from('ip4', dns).passes({ flows: [] }),
      to('ip4', tcp({ sport: 3, dport: 3 })).passes({ before: guarded([], { flags: OPEN }), flows: [{ rule: 0 }] }),
      to('ip4', raw(47, Buffer.alloc(20))).passes(),
    ],
  },
];
