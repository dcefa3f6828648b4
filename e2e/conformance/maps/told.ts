// SPDX-License-Identifier: Apache-2.0
/** What the programs reported of connections: which end said what, and what its views said. */
import type { SeenFlow } from '@weir/bpf/testing/flows';
import { formatIp, parseIp, protocolNumber } from '@weir/net';
import type { Cell, View } from '../mode.ts';

/** `10.1.0.1:80`, `[fd01::1]:80`, or without a port. */
const END = /^\[?([0-9a-f.:]+?)\]?(?::([0-9]+))?$/;

const endOf = (text: string): { readonly ip: string; readonly port: string } => {
  const isBare = !text.startsWith('[') && text.split(':').length > 2;
  const [, ip = '', port = ''] = isBare ? ['', text] : (END.exec(text) ?? []);
  return { ip: formatIp(parseIp(ip)), port };
};

const keyOf = (workload: number, protocol: number, ends: readonly string[], number: number | string): string =>
  `${workload} ${protocol} ${ends.join(' ')} ${number}`;

const isIcmp = ({ protocol }: Cell): boolean => protocol.startsWith('ICMP');

/** By connection and end; of ICMP, whose identifiers are not reported, those of one type between two are as one. */
export class Told {
  readonly #flows = new Map<string, SeenFlow>();

  constructor(flows: readonly SeenFlow[]) {
    for (const flow of flows) {
      if (flow.reply) continue;
      const [from, to] = [endOf(flow.from), endOf(flow.to)];
      const number = from.port === '' ? `type ${flow.icmp.split('/')[0]}` : from.port;
      this.#flows.set(keyOf(flow.workload, flow.protocol, [from.ip, to.ip], number), flow);
    }
  }

  /** `number`: the port or identifier that the cell's frame had. */
  of(workload: number, cell: Cell, [from, to]: readonly [string, string], number: number): SeenFlow | undefined {
    const ends = [from, to].map((ip) => formatIp(parseIp(ip)));
    const last = isIcmp(cell) ? `type ${cell.port}` : number;
    return this.#flows.get(keyOf(workload, protocolNumber(cell.protocol), ends, last));
  }
}

/** What this end would do in a view, by its report. */
export const inView = (view: View, { verdict, pending }: SeenFlow): boolean => {
  if (view === 'audited') return verdict === 'forwarded';
  return pending === '-' ? verdict !== 'dropped' : pending !== 'dropped';
};
