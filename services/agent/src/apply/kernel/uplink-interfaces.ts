// SPDX-License-Identifier: Apache-2.0
/** Which interfaces are uplinks, and which of their addresses is the host's towards the world. */
import { type InterfaceAddress, type NetworkLink, ROUTE_TABLE } from '@weir/loader';
import type { WayOut } from '../../plan/egress.ts';
import { LINK_NAME, NAT64_NAME, NAT64_PEER, OVERLAY_NAME, WIREGUARD_NAME } from '../../plan/names.ts';
import type { DesiredUplinks } from '../../plan/uplinks.ts';
import { withNetlink } from './netlink.ts';

export interface UplinkInterface {
  readonly ifname: string;
  readonly ifindex: number;
  /** Text; empty = none. */
  readonly ip4: string;
  readonly ip6: string;
  /** No uplink, but a way out of the machine: in strict mode nothing may pass it in the clear either. */
  readonly isGuarded?: boolean;
}

export interface WhereUplinksAre {
  /** Setting of this host. */
  readonly uplink?: string;
  readonly hostNetns?: string;
}

/** Devices that agents make, and loopback. */
export const NEVER: ReadonlySet<string> = new Set(['lo', OVERLAY_NAME, NAT64_NAME, NAT64_PEER, WIREGUARD_NAME]);

const isNamed = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => (pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));

/** Of one interface: what the world can reach. */
const addressesOf = (all: readonly InterfaceAddress[], ifindex: number, family: 4 | 6): string[] =>
  all
    .filter((one) => one.ifindex === ifindex && one.family === family && one.scope === 'universe' && !one.tentative)
    .map((one) => one.address.split('/')[0] as string);

/**
 * Interfaces by which packets leave a gateway: the one that is named, with its first address of each family, or the one
 * that has the address. A way that this host does not have is left out.
 */
export const findWays = (
  ways: readonly WayOut[],
  hostNetns?: string,
): Promise<{ readonly way: WayOut; readonly found: UplinkInterface }[]> =>
  withNetlink(hostNetns, async (netlink) => {
    const links = (await netlink.links()).filter(({ name }) => !NEVER.has(name) && !LINK_NAME.test(name));
    const all = await netlink.addresses();
    return ways.flatMap((way) => {
      for (const { name, ifindex } of links) {
        const [own4, own6] = [addressesOf(all, ifindex, 4), addressesOf(all, ifindex, 6)];
        if (way.interface === name) {
          const [ip4 = '', ip6 = ''] = [own4[0], own6[0]];
          return [{ way, found: { ifname: name, ifindex, ip4, ip6 } }];
        }
        if (way.egressIp === '' || ![...own4, ...own6].includes(way.egressIp)) continue;
        const ip4 = own4.includes(way.egressIp) ? way.egressIp : '';
        return [{ way, found: { ifname: name, ifindex, ip4, ip6: ip4 === '' ? way.egressIp : '' } }];
      }
      return [];
    });
  });

/**
 * Interfaces that the configuration names; else the setting; else those of the default routes. In strict mode, and while the host has a policy, also every
 * other way out of the machine: hardware, and VLANs on it. What is built on those (bridges, bonds) ends in them.
 */
export const findUplinks = async (
  { interfaces, prefer, strict, guard }: Pick<DesiredUplinks, 'interfaces' | 'prefer' | 'strict' | 'guard'>,
  { uplink, hostNetns }: WhereUplinksAre,
): Promise<UplinkInterface[]> =>
  withNetlink(hostNetns, async (netlink) => {
    const links = (await netlink.links()).filter(({ name }) => !NEVER.has(name) && !LINK_NAME.test(name));
    const named = interfaces.length > 0 ? interfaces : uplink ? [uplink] : undefined;
    const defaults = new Set(
      named
        ? []
        : (await netlink.routes({ table: ROUTE_TABLE.main }))
            .filter(({ dst }) => dst === '0.0.0.0/0' || dst === '::/0')
            .map(({ ifindex }) => ifindex),
    );
    const isUplink = ({ name, ifindex }: NetworkLink): boolean =>
      named ? isNamed(name, named) : defaults.has(ifindex);
    const isWayOut = ({ kind }: NetworkLink): boolean =>
      (strict !== undefined || guard === true) && (kind === undefined || kind === 'vlan');
    const chosen = links.filter((link) => isUplink(link) || isWayOut(link));
    const all = await netlink.addresses();
    return chosen.map((link) => {
      const { name, ifindex } = link;
      const address = (family: 4 | 6): string => {
        const own = addressesOf(all, ifindex, family);
        return own.find((one) => prefer.includes(one)) ?? own[0] ?? '';
      };
      return { ifname: name, ifindex, ip4: address(4), ip6: address(6), isGuarded: !isUplink(link) };
    });
  });
