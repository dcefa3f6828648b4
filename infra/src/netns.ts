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
