// SPDX-License-Identifier: Apache-2.0
/** What the fleet recorded of a conversation against what its sockets saw and the policies say. */
import { addressOf, type Cell, nameOf } from './cells.ts';
import { type Flow, seen } from './flows.ts';
import type { L4 } from './policies.ts';

const protocolName = ({ protocol, family }: L4): string =>
  protocol === 'icmp' ? (family === 4 ? 'ICMP' : 'ICMPv6') : protocol.toUpperCase();

/** What is wrong with the recorded flows of one conversation. */
export const compare = (cell: Cell, all: readonly Flow[]): string[] => {
  const { from, to, l4, expected } = cell;
  const source = addressOf(from, l4.family);
  const destination = addressOf(to, l4.family);
  const name = nameOf(cell);
  const mine = all.filter(
    (f) =>
      f.protocol === protocolName(l4) &&
      (f.is_reply
        ? f.source.ip === destination && f.destination.ip === source && f.source.port === l4.port
        : f.source.ip === source && f.destination.ip === destination && f.destination.port === l4.port),
  );
  const at = (direction: string, reply: boolean) =>
    seen(mine.filter((f) => f.direction === direction && f.is_reply === reply));
  const egress = at('EGRESS', false);
  const ingress = at('INGRESS', false);
  const problems: string[] = [];
  const check = (fact: boolean, text: string) => {
    if (!fact) problems.push(`${name}: ${text}`);
  };
  const verdictIs = (what: string, flows: readonly Flow[], allowed: boolean) => {
    check(flows.length > 0, `no ${what} flow`);
    check(
      flows.every((f) => f.verdict === (allowed ? 'FORWARDED' : 'DROPPED')),
      `${what} verdict ${flows.map((f) => f.verdict)}`,
    );
    if (!allowed) {
      check(
        flows.every((f) => f.drop_reason !== null && [133, 181].includes(f.drop_reason.code) && f.rule?.policy),
        `${what} drop without reason or rule: ${JSON.stringify(flows[0])}`,
      );
    }
  };
  verdictIs('egress', egress.flows, expected.egress);
  if (expected.egress) verdictIs('ingress', ingress.flows, expected.ingress);
  else check(ingress.flows.length === 0, 'seen at the callee although refused at the caller');
  check(
    [...egress.flows, ...ingress.flows].every((f) => f.source.workload !== null && f.destination.workload !== null),
    'a flow does not name its workloads',
  );
  if (!expected.allowed) return problems;
  check(egress.packets === ingress.packets, `${egress.packets} packets left, ${ingress.packets} arrived`);
  check(egress.bytes === ingress.bytes, `${egress.bytes} bytes left, ${ingress.bytes} arrived`);
  const reply = at('INGRESS', true);
  const header = l4.family === 4 ? 20 : 40;
  if (l4.protocol === 'tcp') {
    check(egress.packets >= 3 && reply.packets >= 2, `only ${egress.packets} and ${reply.packets} packets`);
  } else {
    const bytes = header + (l4.protocol === 'udp' ? 8 + 16 : 8 + 56);
    check(
      egress.packets === 1 && reply.packets === 1,
      `${egress.packets} packets and ${reply.packets} replies, not 1 and 1`,
    );
    check(egress.bytes === bytes && reply.bytes === bytes, `${egress.bytes} and ${reply.bytes} bytes, not ${bytes}`);
  }
  return problems;
};
