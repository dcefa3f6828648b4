// SPDX-License-Identifier: Apache-2.0
/** Addresses of the host's interfaces that routers may hear of: those that mean the same everywhere, and may be used by now. */
import { withNetlink } from '../apply/kernel/netlink.ts';
import type { InterfaceAddresses } from './plan.ts';

const compare = (a: string, b: string): number => (a < b ? -1 : 1);

/** `names`: of interfaces; one that is not there has none. */
export const addressesOf = async (names: ReadonlySet<string>, hostNetns?: string): Promise<InterfaceAddresses> => {
  const found = new Map<string, string[]>();
  if (names.size === 0) return found;
  await withNetlink(hostNetns, async (netlink) => {
    const links = new Map((await netlink.links()).map(({ ifindex, name }) => [ifindex, name]));
    for (const { ifindex, address, scope, tentative } of await netlink.addresses()) {
      const name = links.get(ifindex) ?? '';
      if (!names.has(name) || scope !== 'universe' || tentative) continue;
      found.set(name, [...(found.get(name) ?? []), address.split('/')[0] ?? '']);
    }
  });
  return new Map([...found].sort(([a], [b]) => compare(a, b)).map(([name, all]) => [name, all.sort(compare)]));
};
