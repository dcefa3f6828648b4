// SPDX-License-Identifier: Apache-2.0
/**
 * The ports of the masquerade belong to it: the kernel is told to choose none of them for the host's own connections
 * (net.ipv4.ip_local_reserved_ports, both families). Sockets that ask for one by number are seen by the program.
 */
import { getSysctl, setSysctl } from '@weir/loader';

/** Both included. */
export interface PortRange {
  readonly low: number;
  readonly high: number;
}

const RESERVED = 'net/ipv4/ip_local_reserved_ports';

/** `49152-65535,8080`, as the kernel writes it. */
export const parsePorts = (text: string): PortRange[] =>
  text
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [low = 0, high = low] = part.split('-').map(Number);
      return { low, high };
    });

const formatPorts = (ranges: readonly PortRange[]): string =>
  ranges.map(({ low, high }) => (low === high ? `${low}` : `${low}-${high}`)).join(',');

/** What is left of the ranges without this one. */
export const withoutPorts = (ranges: readonly PortRange[], { low, high }: PortRange): PortRange[] =>
  ranges.flatMap((range) =>
    [
      { low: range.low, high: Math.min(range.high, low - 1) },
      { low: Math.max(range.low, high + 1), high: range.high },
    ].filter((rest) => rest.low <= rest.high),
  );

export const reservePorts = async (netns: string | undefined, { low, high }: PortRange): Promise<void> => {
  const reserved = parsePorts(await getSysctl(netns, RESERVED));
  if (reserved.some((range) => range.low <= low && range.high >= high)) return;
  await setSysctl(netns, RESERVED, formatPorts([...withoutPorts(reserved, { low, high }), { low, high }]));
};

export const releasePorts = async (netns: string | undefined, range: PortRange): Promise<void> => {
  const reserved = parsePorts(await getSysctl(netns, RESERVED));
  const rest = withoutPorts(reserved, range);
  const [before, after] = [formatPorts(reserved), formatPorts(rest)];
  // An empty line would be no change at all.
  if (before !== after) await setSysctl(netns, RESERVED, after === '' ? '\n' : after);
};
