// SPDX-License-Identifier: Apache-2.0
/** What a policy refuses and wants answered: by a reset or ICMP, where the packet came from; and what is never answered. */
import { weir_drop_reason as DROP, weir_workload_flags as FLAG, weir_marks as MARK } from '../../gen/index.ts';
import { ethernet, ip4Fragments, ip6Fragments, type Packet } from '../lib/packet.ts';
import { becomes, type Case, fromHost, leaves, received, type Step, sent } from '../lib/scenario.ts';
import { icmp, icmp6, ping, ping6, pong, pong6, type Segment, sctp, tcp, udp } from '../lib/transport.ts';
import { uplinkOf } from '../lib/uplink.ts';
import { CLOSED, DB, HOST, OPEN, PEER, type Rule, WEB, WORLD } from '../lib/world.ts';
import { FAMILIES, type Family, packetOf, QUOTED } from './services.ts';

const DENIED = DROP.DROP_POLICY_DENY;
const DEFAULT = DROP.DROP_POLICY_DENIED;

/** Into the workload; out of it, as if it had sent it. */
const given = (packet: Packet) => ({ out: ethernet({ from: WEB.hostMac, to: WEB.mac }, packet) });
const asIfSent = (packet: Packet) => ({ out: ethernet({ from: WEB.mac, to: WEB.hostMac }, packet) });

/** A segment of the other end: what answers ours, which begin with 1000. */
export const resetOf = (sport: number, dport: number, { seq = 0, ack }: { seq?: number; ack?: number }): Segment => {
  const reset = tcp({ sport, dport, flags: ack === undefined ? 'R' : 'RA' });
  reset.bytes.writeUInt32BE(seq, 4);
  reset.bytes.writeUInt32BE(ack ?? 0, 8);
  reset.bytes.writeUInt16BE(0, 14);
  return reset;
};

/** About a packet, to who has sent it. */
export const prohibited = (family: Family, src: string, dst: string, asked: Packet): Packet => {
  const data = asked.bytes.subarray(
    0,
    QUOTED.find((bytes) => bytes <= asked.bytes.length),
  );
  return packetOf(
    family,
    src,
    dst,
    family === 'ip4' ? icmp({ type: 3, code: 13, data }) : icmp6({ type: 1, code: 1, data }),
  );
};

const syn = (sport: number, dport: number) => tcp({ sport, dport });
const deny = (response?: Rule['response'], egress = true): Rule => ({
  ...(response ? { response } : {}),
  ...{ egress, deny: true, id: 5 },
});

const outOf = (family: Family, segment: Segment, dst: string = PEER[family]): Packet =>
  packetOf(family, WEB[family], dst, segment);
const into = (family: Family, segment: Segment, src: string = PEER[family]): Packet =>
  packetOf(family, src, WEB[family], segment);

/** Refused where the workload sends; it hears of it. */
const told = (asked: Packet, answer: Packet, reason: number = DENIED): Step =>
  sent(asked).refused(reason, given(answer));
const toldByIcmp = (family: Family, segment: Segment, reason: number = DENIED): Step => {
  const asked = outOf(family, segment);
  return told(asked, prohibited(family, PEER[family], WEB[family], asked), reason);
};
const silent = (packet: Packet, reason: number = DENIED): Step => sent(packet).drops(reason);
const echo = (family: Family) => (family === 'ip4' ? ping() : ping6());

const sending = FAMILIES.flatMap((family): Case[] => [
  {
    name: `answers ${family}: a workload that sends: TCP by a reset, all else by ICMP`,
    policy: [deny('RESET')],
    steps: [
      {
        ...told(outOf(family, syn(1000, 80)), into(family, resetOf(80, 1000, { ack: 1001 }))),
        flows: [{ workload: WEB.id, verdict: 'dropped', rule: 5 }],
      },
      told(
        outOf(family, tcp({ sport: 1001, dport: 80, data: 'early', options: '020405b4' })),
        into(family, resetOf(80, 1001, { ack: 1006 })),
      ),
      told(
        outOf(family, tcp({ sport: 1002, dport: 80, flags: 'PA', data: 'x'.repeat(900) })),
        into(family, resetOf(80, 1002, { seq: 0 })),
      ),
      toldByIcmp(family, udp({ sport: 1000, dport: 53, data: 'a question of some length' })),
      toldByIcmp(family, udp({ sport: 1000, dport: 53, data: 'x'.repeat(1200) })),
      toldByIcmp(family, sctp({ sport: 1000, dport: 80 })),
      toldByIcmp(family, echo(family)),
    ],
  },
  {
    name: `answers ${family}: by ICMP alone, when that is asked for`,
    policy: [deny('ICMP')],
    steps: [toldByIcmp(family, syn(1000, 80)), toldByIcmp(family, udp({ sport: 1000, dport: 53, data: 'a question' }))],
  },
  {
    name: `answers ${family}: an error, a reset, an answer, a group, a later fragment, and what is to be silent, are not answered`,
    policy: [deny('RESET')],
    steps: [
      silent(outOf(family, tcp({ sport: 1000, dport: 80, flags: 'R' }))),
      silent(outOf(family, tcp({ sport: 1000, dport: 80, flags: 'RA' }))),
      silent(
        outOf(
          family,
          family === 'ip4'
            ? icmp({ type: 3, code: 3, data: 'x'.repeat(28) })
            : icmp6({ type: 1, code: 4, data: 'x'.repeat(48) }),
        ),
      ),
      silent(outOf(family, family === 'ip4' ? pong() : pong6())),
      silent(outOf(family, udp({ sport: 1000, dport: 5353 }), family === 'ip4' ? '224.0.0.251' : 'ff02::fb')),
      ...fragments(family).map((packet, at) =>
        at === 0 ? told(packet, prohibited(family, PEER[family], WEB[family], packet)) : silent(packet),
      ),
      {
        ...silent(outOf(family, syn(1000, 80))),
        before: (world) => world.policy(WEB, [deny()], CLOSED, 2),
      },
    ],
  },
  {
    name: `answers ${family}: of a default deny, by direction`,
    policy: [],
    flags: CLOSED | FLAG.WORKLOAD_RESET_EGRESS | FLAG.WORKLOAD_ICMP_INGRESS,
    steps: [
      told(outOf(family, syn(1000, 80)), into(family, resetOf(80, 1000, { ack: 1001 })), DEFAULT),
      received(into(family, syn(1000, 80))).refused(
        DEFAULT,
        asIfSent(prohibited(family, WEB[family], PEER[family], into(family, syn(1000, 80)))),
      ),
      {
        ...silent(outOf(family, syn(1000, 80)), DEFAULT),
        before: (world) => world.workload(WEB, CLOSED | FLAG.WORKLOAD_LOCKDOWN | FLAG.WORKLOAD_RESET_EGRESS),
      },
    ],
  },
  {
    name: `answers ${family}: a connection that a change cuts ends at once`,
    policy: [{ egress: true, id: 1 }, { id: 2 }],
    steps: [
      sent(outOf(family, syn(1000, 80))).passes(),
      {
        ...received(into(family, tcp({ sport: 80, dport: 1000, flags: 'PA', data: 'more' }))).refused(
          DENIED,
          asIfSent(outOf(family, resetOf(1000, 80, { seq: 0 }))),
        ),
        before: (world) => world.policy(WEB, [deny('RESET'), { id: 2 }], CLOSED, 2),
      },
    ],
  },
  {
    name: `answers ${family}: a workload of the same host that refuses`,
    policy: [{ egress: true, id: 1 }],
    dbPolicy: [deny('RESET', false)],
    steps: [
      told(
        packetOf(family, WEB[family], DB[family], syn(1000, 80)),
        packetOf(family, DB[family], WEB[family], resetOf(80, 1000, { ack: 1001 })),
      ),
    ],
  },
  {
    name: `answers ${family}: no more than the allowance of the workload`,
    policy: [deny('RESET')],
    steps: [
      {
        ...silent(outOf(family, syn(1000, 80))),
        before: (world) => world.answersPaid(WEB, 60),
      },
      {
        ...told(outOf(family, syn(1000, 80)), into(family, resetOf(80, 1000, { ack: 1001 }))),
        before: (world) => world.answersPaid(WEB, -60),
      },
    ],
  },
]);

const receiving = FAMILIES.flatMap((family): Case[] => [
  {
    name: `answers ${family}: a peer that sends to a workload: the answer comes out as if the workload had sent it`,
    policy: [deny('RESET', false)],
    flags: OPEN,
    steps: [
      received(into(family, syn(1000, 80))).refused(DENIED, asIfSent(outOf(family, resetOf(80, 1000, { ack: 1001 })))),
      fromHost(into(family, syn(1000, 80), HOST[family])).refused(
        DENIED,
        asIfSent(outOf(family, resetOf(80, 1000, { ack: 1001 }), HOST[family])),
      ),
      received(into(family, udp({ sport: 1000, dport: 53, data: 'a question' }))).refused(
        DENIED,
        asIfSent(
          prohibited(
            family,
            WEB[family],
            PEER[family],
            into(family, udp({ sport: 1000, dport: 53, data: 'a question' })),
          ),
        ),
      ),
    ],
  },
]);

function fragments(family: Family): Packet[] {
  const data = Buffer.alloc(1600, 'x');
  const segment = udp({ sport: 1000, dport: 53, data });
  return family === 'ip4'
    ? ip4Fragments({ src: WEB.ip4, dst: PEER.ip4, id: 7 }, segment, [800])
    : ip6Fragments({ src: WEB.ip6, dst: PEER.ip6, id: 7 }, segment, [800]);
}

export const answers: Case[] = [...sending, ...receiving];

/** On the uplink by which an answer leaves. */
export const answersLeaving: Case[] = FAMILIES.flatMap((family): Case[] => {
  const answer = outOf(family, resetOf(80, 1000, { ack: 1001 }), WORLD[family]);
  const asked = packetOf(family, WORLD[family], WEB[family], syn(1000, 80));
  return [
    {
      name: `answers ${family}: what is made in a workload’s place is judged and masqueraded by nobody`,
      policy: [deny('RESET')],
      setup: uplinkOf({}),
      steps: [
        sent(answer).passes({ mark: MARK.MARK_ANSWER }),
        leaves(answer).passes({ mark: MARK.MARK_ANSWER, ...becomes(answer) }),
        leaves(prohibited(family, WEB[family], WORLD[family], asked)).passes({ mark: MARK.MARK_ANSWER }),
      ],
    },
  ];
});
