// SPDX-License-Identifier: Apache-2.0
/** Network namespaces of a fleet, made without a process each: hundreds in seconds. */
import { execFileSync } from 'node:child_process';
import { createNetns, openNetlink, setSysctl } from '@weir/loader';
import type { Resources } from './resources.ts';

const LOOPBACK_IFINDEX = 1;

export const netnsName = (fleet: string, part: string): string => `weir-${fleet}-${part}`;

export const netnsPath = (name: string): string => `/run/netns/${name}`;

/** Runs a command inside a namespace. `ip netns exec` would hide bpffs, so nsenter it is. */
export const inNetns = (netns: string, ...command: string[]): string =>
  execFileSync('nsenter', [`--net=${netnsPath(netns)}`, '--', ...command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });

export interface Addresses {
  readonly ip4?: string;
  readonly ip6?: string;
}

/** Of the interface that an agent makes in a workload's namespace; none while it is not there. */
export const addressesIn = (netns: string): Addresses => {
  let shown: readonly {
    readonly addr_info: readonly { readonly family: string; readonly scope: string; readonly local: string }[];
  }[];
  try {
    shown = JSON.parse(inNetns(netns, 'ip', '-json', 'addr', 'show', 'eth0'));
  } catch {
    return {};
  }
  const global = shown.flatMap(({ addr_info }) => addr_info).filter(({ scope }) => scope === 'global');
  const of = (family: string) => global.find((address) => address.family === family)?.local;
  const [ip4, ip6] = [of('inet'), of('inet6')];
  return { ...(ip4 ? { ip4 } : {}), ...(ip6 ? { ip6 } : {}) };
};

export const makeNetns = async (resources: Resources, name: string): Promise<void> => {
  const path = netnsPath(name);
  resources.add({ kind: 'netns', name });
  await createNetns(path);
  const netlink = openNetlink(path);
  try {
    await netlink.setUp(LOOPBACK_IFINDEX);
  } finally {
    netlink.close();
  }
  // Addresses of a bench are unique by construction; detection would only delay them.
  for (const which of ['all', 'default']) await setSysctl(path, `net/ipv6/conf/${which}/accept_dad`, '0');
};
