// SPDX-License-Identifier: Apache-2.0
/**
 * Where datagrams can be lost beside the datapath, as the kernel counts it: a socket that is full, a datagram of which a
 * fragment never came, a queue of the machine that ran over. Without these a busy machine looks like a broken network.
 */
import { readFileSync } from 'node:fs';
import { inNetns } from '@weir/infra/netns';

export interface DatagramLosses {
  /** The receiver was too slow for its buffer. */
  readonly full_socket: number;
  /** Not all fragments came, or too late. */
  readonly unassembled: number;
  /** Packets of all the machine, before any protocol saw them. */
  readonly full_queue: number;
}

/** The lines of names and of values of /proc/net/snmp, by protocol. */
const fourth = (text: string): ReadonlyMap<string, number> => {
  const found = new Map<string, number>();
  const lines = text.trim().split('\n');
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [names, values] = [lines[i], lines[i + 1]].map((line) => (line as string).split(/\s+/)) as [
      string[],
      string[],
    ];
    for (const [at, name] of names.entries()) if (at > 0) found.set(`${names[0]}${name}`, Number(values[at]));
  }
  return found;
};

const sixth = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/))
      .map(([name = '', value]) => [name, Number(value)]),
  );

/** So far, in these namespaces together. */
export const datagramLosses = (...namespaces: readonly string[]): DatagramLosses => {
  let [fullSocket, unassembled] = [0, 0];
  for (const netns of namespaces) {
    const four = fourth(inNetns(netns, 'cat', '/proc/net/snmp'));
    const six = sixth(inNetns(netns, 'cat', '/proc/net/snmp6'));
    fullSocket += (four.get('Udp:RcvbufErrors') ?? 0) + (six.get('Udp6RcvbufErrors') ?? 0);
    unassembled += (four.get('Ip:ReasmFails') ?? 0) + (six.get('Ip6ReasmFails') ?? 0);
  }
  const queues = readFileSync('/proc/net/softnet_stat', 'utf8').trim().split('\n');
  const fullQueue = queues.reduce((sum, line) => sum + Number.parseInt(line.split(' ')[1] as string, 16), 0);
  return { full_socket: fullSocket, unassembled, full_queue: fullQueue };
};

export const lossesSince = (before: DatagramLosses, after: DatagramLosses): DatagramLosses => ({
  full_socket: after.full_socket - before.full_socket,
  unassembled: after.unassembled - before.unassembled,
  full_queue: after.full_queue - before.full_queue,
});
