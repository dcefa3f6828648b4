// SPDX-License-Identifier: Apache-2.0
/**
 * Everything that two workloads on different hosts may say to each other, and what the fleet recorded of it: on both
 * ends the verdict, and both identities, whatever way the packets went.
 */
import assert from 'node:assert/strict';
import { type ProbeRequest, until, type Workload } from '@weir/infra/fleet';
import { type Flow, flowsSince } from '../matrix/flows.ts';
import { FAMILIES, type Family, PATIENT_MS, REFUSED_MS, type Scene, TCP, UDP } from './scene.ts';

export interface Conversation {
  readonly from: Workload;
  readonly to: Workload;
  readonly allowed: boolean;
}

interface Saying extends Omit<ProbeRequest, 'host' | 'timeoutMs'> {
  readonly what: string;
}

/** The long ones are cut into fragments. */
const SAYINGS: readonly Saying[] = [
  { what: 'TCP', protocol: 'tcp', port: TCP },
  { what: 'UDP', protocol: 'udp', port: UDP },
  { what: 'UDP in fragments', protocol: 'udp', port: UDP, payloadBytes: 8_000 },
  { what: 'ICMP', protocol: 'icmp' },
  { what: 'ICMP in fragments', protocol: 'icmp', payloadBytes: 4_000 },
];

const nameOf = ({ from, to }: Conversation, what: string, family: Family): string =>
  `${from.id} -> ${to.id} ${what} ${family}`;

/** Fails with every saying that did not end as it should. */
const sayAll = async (all: readonly Conversation[], families: readonly Family[]): Promise<void> => {
  const wrong: string[] = [];
  await Promise.all(
    all.flatMap((conversation) =>
      families.flatMap((family) =>
        SAYINGS.map(async ({ what, ...request }) => {
          const { from, to, allowed } = conversation;
          const timeoutMs = allowed ? PATIENT_MS : REFUSED_MS;
          const { ok, outcome } = await from.probe({ ...request, host: to[family], timeoutMs });
          if (ok !== allowed) wrong.push(`${nameOf(conversation, what, family)}: ${outcome}`);
        }),
      ),
    ),
  );
  assert.deepEqual(wrong, []);
};

const PROTOCOLS: Readonly<Record<Family, readonly string[]>> = {
  ip4: ['TCP', 'UDP', 'ICMP'],
  ip6: ['TCP', 'UDP', 'ICMPv6'],
};

const problemsOf = (conversation: Conversation, family: Family, flows: readonly Flow[]): string[] => {
  const { from, to, allowed } = conversation;
  const asked = flows.filter(
    (flow) => !flow.is_reply && flow.source.ip === from[family] && flow.destination.ip === to[family],
  );
  return PROTOCOLS[family].flatMap((protocol) =>
    (['EGRESS', 'INGRESS'] as const).flatMap((direction) => {
      const mine = asked.filter((flow) => flow.protocol === protocol && flow.direction === direction);
      const name = `${nameOf(conversation, protocol, family)} ${direction}`;
      if (mine.length === 0) return [`${name}: no flow`];
      const verdict = direction === 'INGRESS' && !allowed ? 'DROPPED' : 'FORWARDED';
      const host = (direction === 'EGRESS' ? from : to).spec.host;
      return mine.flatMap((flow) => {
        const isRight =
          flow.verdict === verdict &&
          flow.host === host &&
          flow.source.identity === from.identity &&
          flow.destination.identity === to.identity &&
          (verdict === 'FORWARDED' || (flow.drop_reason?.code === 133 && flow.rule?.policy !== null));
        return isRight ? [] : [`${name}: ${JSON.stringify(flow)}`];
      });
    }),
  );
};

/** Who may and who may not, and that both ends recorded it so. */
export const converse = async (
  { fleet }: Pick<Scene, 'fleet'>,
  all: readonly Conversation[],
  families: readonly Family[] = FAMILIES,
): Promise<void> => {
  const since = Date.now();
  await sayAll(all, families);
  let problems: string[] = [];
  await until(
    'the flows to agree with the sockets',
    30_000,
    async () => {
      const flows = await flowsSince(fleet.control.urls.analytics, since);
      problems = all.flatMap((one) => families.flatMap((family) => problemsOf(one, family, flows)));
      return problems.length === 0;
    },
    () => `${problems.length} differ, such as:\n${problems.slice(0, 5).join('\n')}`,
  );
};

/** Everybody who is on another host than db, and the way back: on one subnet, and through the router. */
export const conversationsOf = ({ web, evil, db, shop, thief }: Scene): Conversation[] => [
  { from: web, to: db, allowed: true },
  { from: evil, to: db, allowed: false },
  { from: db, to: evil, allowed: true },
  { from: shop, to: db, allowed: true },
  { from: thief, to: db, allowed: false },
  { from: db, to: thief, allowed: true },
];
