// SPDX-License-Identifier: Apache-2.0
/** Which interfaces are uplinks, and which of their addresses is the host's towards the world. */
import { openNetlink, ROUTE_TABLE } from '@weir/loader';
import { LINK_NAME } from '../../plan/names.ts';
import type { DesiredUplinks } from '../../plan/uplinks.ts';

export interface UplinkInterface {
  readonly ifname: string;
  readonly ifindex: number;
  /** Text; empty = none. */
  readonly ip4: string;
  readonly ip6: string;
}

export interface WhereUplinksAre {
  /** Setting of this host. */
  readonly uplink?: string;
  readonly hostNetns?: string;
}

const isNamed = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => (pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));

/** Interfaces that the configuration names; else the setting; else those of the default routes. */
export const findUplinks = async (
  { interfaces, prefer }: Pick<DesiredUplinks, 'interfaces' | 'prefer'>,
  { uplink, hostNetns }: WhereUplinksAre,
): Promise<UplinkInterface[]> => {
  const netlink = openNetlink(hostNetns);
  try {
    const links = (await netlink.links()).filter(({ name }) => name !== 'lo' && !LINK_NAME.test(name));
    const named = interfaces.length > 0 ? interfaces : uplink ? [uplink] : undefined;
    const defaults = new Set(
      named
        ? []
        : (await netlink.routes({ table: ROUTE_TABLE.main }))
            .filter(({ dst }) => dst === '0.0.0.0/0' || dst === '::/0')
            .map(({ ifindex }) => ifindex),
    );
    const chosen = links.filter(({ name, ifindex }) => (named ? isNamed(name, named) : defaults.has(ifindex)));
    const all = (await netlink.addresses()).filter(({ scope, tentative }) => scope === 'universe' && !tentative);
    return chosen.map(({ name, ifindex }) => {
      const address = (family: 4 | 6): string => {
        const own = all
          .filter((one) => one.ifindex === ifindex && one.family === family)
          .map((one) => one.address.split('/')[0] as string);
        return own.find((one) => prefer.includes(one)) ?? own[0] ?? '';
      };
      return { ifname: name, ifindex, ip4: address(4), ip6: address(6) };
    });
  } finally {
    netlink.close();
  }
};
