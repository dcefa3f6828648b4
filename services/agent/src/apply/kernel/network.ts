// SPDX-License-Identifier: Apache-2.0
/**
 * Interfaces and routes of the real kernel. A workload has its addresses as /32 and /128 and nothing on its link: all
 * goes to the gateway, an address of the host side that is the same on every host side. Neighbours are set for ever
 * on both ends, so that no packet waits for, and nobody can answer, a question about them.
 */

import { isWeirError, weirError } from '@weir/errors';
import {
  getSysctl,
  type Netlink,
  type NetworkLink,
  netnsId,
  openNetlink,
  ROUTE_TABLE,
  type RouteOptions,
  setSysctl,
} from '@weir/loader';
import { canonicalCidr } from '@weir/net';
import { OVERLAY, type Route, UNREACHABLE, type Wiring } from '../../plan/model.ts';
import {
  GATEWAY4,
  GATEWAY6,
  LINK_NAME,
  NAT64_NAME,
  NAT64_PEER,
  OVERLAY_NAME,
  PEER_NAME,
  WIREGUARD_NAME,
} from '../../plan/names.ts';
import type { HostLink, MtuFit, Network } from '../ports.ts';
import { removeWireguard } from './encryption.ts';

/** Never in the place of a route that somebody else made: those have another metric, and a lower one wins. */
const POOL_METRIC = 87;
/** Marks the routes of this agent among those of the host (rtm_protocol); unassigned in the kernel's list. */
export const ROUTE_PROTOCOL = 87;

/** As many as the thread pool of libuv has threads. */
const SOCKETS = 4;
/** Of an uplink that is not named. */
const DEFAULT_MTU = 1500;

export interface NetworkOptions {
  /** Interface to the other hosts; its MTU is the workloads'. */
  readonly uplink?: string;
  /** Path of the host's namespace; this process's own unless told. */
  readonly hostNetns?: string;
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
const hasErrno = (error: unknown, ...names: readonly string[]): boolean =>
  isWeirError(error) && names.includes(String(error.facts.details?.errnoName));

/** A setting that this kernel or namespace does not have (IPv6 off, say) changes nothing. */
const sysctls = async (netns: string | undefined, settings: Readonly<Record<string, string>>): Promise<void> => {
  await Promise.all(
    Object.entries(settings).map(async ([key, value]) => {
      try {
        await setSysctl(netns, key, value);
      } catch (error) {
        if (!hasErrno(error, 'ENOENT')) throw error;
      }
    }),
  );
};

/**
 * What a router needs, once for the host's namespace. A router ignores router advertisements unless told otherwise: an
 * uplink that lived by them goes on to.
 */
export const prepareHost = async ({ hostNetns, uplink }: NetworkOptions): Promise<void> => {
  const advertised = `net/ipv6/conf/${uplink}/accept_ra`;
  const accepts = uplink ? await getSysctl(hostNetns, advertised).catch(() => '') : '';
  await sysctls(hostNetns, {
    ...(accepts.trim() === '1' ? { [advertised]: '2' } : {}),
    'net/ipv4/ip_forward': '1',
    'net/ipv6/conf/all/forwarding': '1',
  });
};

const hostSideSettings = (ifname: string): Record<string, string> => ({
  // The program checks sources; the stack's own check would ask for routes that point back.
  [`net/ipv4/conf/${ifname}/rp_filter`]: '0',
  // Answer for addresses of this side only: every host side has the same gateway address.
  [`net/ipv4/conf/${ifname}/arp_ignore`]: '1',
  // A host may have IPv6 off for interfaces to come, as a container engine's namespaces do.
  [`net/ipv6/conf/${ifname}/disable_ipv6`]: '0',
  [`net/ipv4/conf/${ifname}/send_redirects`]: '0',
  [`net/ipv4/conf/${ifname}/accept_redirects`]: '0',
  [`net/ipv6/conf/${ifname}/accept_ra`]: '0',
  [`net/ipv6/conf/${ifname}/accept_dad`]: '0',
  [`net/ipv6/conf/${ifname}/accept_redirects`]: '0',
});

const PEER_SETTINGS = {
  [`net/ipv6/conf/${PEER_NAME}/disable_ipv6`]: '0',
  [`net/ipv6/conf/${PEER_NAME}/accept_ra`]: '0',
  [`net/ipv6/conf/${PEER_NAME}/accept_dad`]: '0',
  [`net/ipv6/conf/${PEER_NAME}/autoconf`]: '0',
};

/** Inside the workload's namespace. The host side is still down or its program knows a closed workload. */
const configurePeer = async (wiring: Wiring): Promise<void> => {
  const { netns, ip4, ip6, hostMac } = wiring;
  const inside = openNetlink(netns);
  try {
    const lo = await inside.linkByName('lo');
    if (lo && !lo.up) await inside.setUp(lo.ifindex);
    const eth = await inside.linkByName(PEER_NAME);
    if (!eth) throw weirError('KERNEL', `${netns} has no ${PEER_NAME}: somebody renamed or removed it`);
    await sysctls(netns, PEER_SETTINGS);
    const ifindex = eth.ifindex;
    if (ip4) await inside.addAddress(ifindex, `${ip4}/32`, { noprefixroute: true });
    if (ip6) await inside.addAddress(ifindex, `${ip6}/128`, { nodad: true, noprefixroute: true });
    await inside.setUp(ifindex);
    if (ip4) {
      await inside.addNeighbour({ ifindex, ip: GATEWAY4, mac: hostMac });
      await inside.replaceRoute({ dst: `${GATEWAY4}/32`, ifindex, scope: 'link' });
      await inside.replaceRoute({ dst: '0.0.0.0/0', via: GATEWAY4, ifindex, onlink: true });
    }
    if (ip6) {
      await inside.addNeighbour({ ifindex, ip: GATEWAY6, mac: hostMac });
      await inside.replaceRoute({ dst: '::/0', via: GATEWAY6, ifindex });
    }
  } finally {
    inside.close();
  }
};

const poolRoute = ({ dst, via }: Route): RouteOptions => ({
  dst,
  metric: POOL_METRIC,
  protocol: ROUTE_PROTOCOL,
  ...(via === UNREACHABLE ? { type: 'unreachable' } : { via }),
});

export interface KernelNetwork extends Network {
  /** The tunnel device that routes lead through; 0: there is none. */
  overlayIfindex: number;
  /** Undefined: no uplink is known. */
  uplinkMtu(): Promise<number | undefined>;
  fitMtu(fit: MtuFit, wirings: Iterable<Wiring>): Promise<void>;
  removeOverlay(): Promise<void>;
  removeEncryption(): Promise<void>;
  /** Networks on the links of the host, workloads' excepted; CIDRs. */
  hostSubnets(): Promise<string[]>;
  /** Addresses of the host's own interfaces, workloads' excepted; text without prefix length. */
  hostAddresses(): Promise<string[]>;
  monitor(onChange: () => void): { stop(): Promise<void> };
  close(): void;
}

const OUR_DEVICES: readonly string[] = [OVERLAY_NAME, NAT64_NAME, NAT64_PEER, WIREGUARD_NAME];
const isOurs = (name: string): boolean => LINK_NAME.test(name) || OUR_DEVICES.includes(name);

export const kernelNetwork = (options: NetworkOptions = {}): KernelNetwork => {
  // Requests on one socket wait for each other, and some wait for RCU.
  const sockets = Array.from({ length: SOCKETS }, () => openNetlink(options.hostNetns));
  const [host] = sockets as [Netlink];
  let turn = 0;
  const anySocket = (): Netlink => sockets[++turn % SOCKETS] as Netlink;
  /** Host sides that were seen or made here: what happens to their addresses is our own doing. */
  const own = new Set<number>();
  const workloadLinks = async (): Promise<NetworkLink[]> => {
    const found = (await host.links()).filter(({ name }) => LINK_NAME.test(name));
    for (const { ifindex } of found) own.add(ifindex);
    return found;
  };
  const uplinkMtu = async (): Promise<number | undefined> =>
    options.uplink ? (await host.linkByName(options.uplink))?.mtu : undefined;
  let fit: MtuFit = { overheadBytes: 0, mtu: 0 };
  /** Of workloads' interfaces. */
  const workloadMtu = async (): Promise<number | undefined> => {
    if (fit.mtu) return fit.mtu;
    const mtu = (await uplinkMtu()) ?? (fit.overheadBytes ? DEFAULT_MTU : undefined);
    return mtu === undefined ? undefined : mtu - fit.overheadBytes;
  };
  /** Undefined: somebody took its path away. The pair of interfaces goes when the kernel comes to it. */
  const openWorkload = (netns: string): Netlink | undefined => {
    try {
      return openNetlink(netns);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT', 'EINVAL')) throw error;
      return undefined;
    }
  };
  /** Both ends of one that is there; a smaller one first where packets come from. */
  const setWorkloadMtu = async (netns: string, ifindex: number, mtu: number): Promise<void> => {
    const inside = openWorkload(netns);
    if (!inside) return;
    try {
      const eth = await inside.linkByName(PEER_NAME);
      if (eth && eth.mtu !== mtu) await inside.setMtu(eth.ifindex, mtu);
    } finally {
      inside.close();
    }
    try {
      await host.setMtu(ifindex, mtu);
    } catch (error) {
      if (!hasErrno(error, 'ENODEV')) throw error;
    }
  };
  let overlayIfindex = 0;
  const overlayRoute = async ({ dst }: Route): Promise<RouteOptions> => {
    const src = dst.includes(':') ? await sourceAddress6() : await sourceAddress();
    return {
      dst,
      metric: POOL_METRIC,
      protocol: ROUTE_PROTOCOL,
      ifindex: overlayIfindex,
      ...(dst.includes(':') ? {} : { scope: 'link' as const }),
      ...(src ? { src } : {}),
    };
  };

  /** Where the host's own packets to workloads come from; otherwise the gateway's address would be chosen. */
  let source: { readonly address: string | undefined } | undefined;
  const sourceAddress = async (): Promise<string | undefined> => {
    if (source) return source.address;
    const uplink = options.uplink ? await host.linkByName(options.uplink) : undefined;
    const candidates = (await host.addresses()).filter(({ family, scope }) => family === 4 && scope === 'universe');
    const best = candidates.find(({ ifindex }) => ifindex === uplink?.ifindex) ?? candidates[0];
    source = { address: best?.address.split('/')[0] };
    return source.address;
  };

  /** The host's own address on its uplink, which others know it by. */
  const sourceAddress6 = async (): Promise<string | undefined> => {
    const uplink = options.uplink ? await host.linkByName(options.uplink) : undefined;
    const candidates = (await host.addresses()).filter(
      ({ family, scope, ifindex }) => family === 6 && scope === 'universe' && !own.has(ifindex),
    );
    const best = candidates.find(({ ifindex }) => ifindex === uplink?.ifindex) ?? candidates[0];
    return best?.address.split('/')[0];
  };

  const configureHostSide = async ({ ifname, ip4, ip6, mac }: Wiring, ifindex: number): Promise<void> => {
    const socket = anySocket();
    await sysctls(options.hostNetns, hostSideSettings(ifname));
    await socket.addAddress(ifindex, `${GATEWAY4}/32`, { scope: 'link', noprefixroute: true });
    // An interface whose MTU is below 1,280 has no IPv6: then no workload has an address of it.
    if (ip6) await socket.addAddress(ifindex, `${GATEWAY6}/64`, { nodad: true });
    await socket.setUp(ifindex);
    if (ip4) {
      await socket.addNeighbour({ ifindex, ip: ip4, mac });
      const src = await sourceAddress();
      await socket.replaceRoute({
        dst: `${ip4}/32`,
        ifindex,
        scope: 'link',
        protocol: ROUTE_PROTOCOL,
        ...(src ? { src } : {}),
      });
    }
    if (ip6) {
      await socket.addNeighbour({ ifindex, ip: ip6, mac });
      await socket.replaceRoute({ dst: `${ip6}/128`, ifindex, protocol: ROUTE_PROTOCOL });
    }
  };

  return {
    links: async () =>
      (await workloadLinks()).map(({ name, ifindex, up }): HostLink => ({ ifname: name, ifindex, up })),

    netnsId: async (path) => {
      try {
        return String(await netnsId(path));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },

    create: async ({ ifname, netns, mac, hostMac }) => {
      const mtu = await workloadMtu();
      try {
        const link = await anySocket().addVeth({
          name: ifname,
          peer: PEER_NAME,
          peerNetns: netns,
          mac: hostMac,
          peerMac: mac,
          ...(mtu ? { mtu } : {}),
        });
        own.add(link.ifindex);
        return link.ifindex;
      } catch (error) {
        if (!hasErrno(error, 'EEXIST')) throw error;
        throw weirError(
          'CONFLICT',
          `${netns} has an interface ${PEER_NAME} already, or the host one called ${ifname}`,
          {
            field: 'netns',
            value: netns,
            fix: 'give each workload a network namespace of its own and let the agent make its interface',
            cause: error,
          },
        );
      }
    },

    configure: async (wiring, ifindex) => {
      await configurePeer(wiring);
      await configureHostSide(wiring, ifindex);
    },

    remove: async (ifname) => {
      const socket = anySocket();
      const link = await socket.linkByName(ifname);
      if (!link) return;
      try {
        await socket.deleteLink(link.ifindex);
      } catch (error) {
        if (!hasErrno(error, 'ENODEV')) throw error;
      }
    },

    routes: async () => {
      const found = new Map<string, Route>();
      const overlay = (await host.linkByName(OVERLAY_NAME))?.ifindex;
      for (const { dst, via, protocol, type, ifindex } of await host.routes({ table: ROUTE_TABLE.main })) {
        if (protocol !== ROUTE_PROTOCOL) continue;
        if (overlay !== undefined && ifindex === overlay) found.set(dst, { dst, via: OVERLAY });
        else if (type === 'unreachable') found.set(dst, { dst, via: UNREACHABLE });
        else if (via !== undefined) found.set(dst, { dst, via });
      }
      return found;
    },
    putRoute: async (route) => {
      await host.replaceRoute(route.via === OVERLAY ? await overlayRoute(route) : poolRoute(route));
    },
    removeRoute: async (route) => {
      try {
        await host.delRoute(
          route.via === OVERLAY ? { dst: route.dst, metric: POOL_METRIC, protocol: ROUTE_PROTOCOL } : poolRoute(route),
        );
      } catch (error) {
        if (!hasErrno(error, 'ESRCH')) throw error;
      }
    },

    get overlayIfindex() {
      return overlayIfindex;
    },
    set overlayIfindex(ifindex) {
      overlayIfindex = ifindex;
    },
    uplinkMtu,
    fitMtu: async (wanted, wirings) => {
      fit = wanted;
      const mtu = await workloadMtu();
      if (mtu === undefined) return;
      const links = new Map((await workloadLinks()).map((link) => [link.name, link]));
      for (const { ifname, netns } of wirings) {
        const link = links.get(ifname);
        if (link && link.mtu !== mtu) await setWorkloadMtu(netns, link.ifindex, mtu);
      }
    },
    removeOverlay: async () => {
      const link = await host.linkByName(OVERLAY_NAME);
      if (link) await host.deleteLink(link.ifindex);
    },
    removeEncryption: async () => {
      await removeWireguard(host);
    },
    hostSubnets: async () => {
      await workloadLinks();
      return (await host.addresses())
        .filter(({ ifindex, scope }) => !own.has(ifindex) && scope === 'universe')
        .map(({ address }) => canonicalCidr(address))
        .sort();
    },

    hostAddresses: async () => {
      await workloadLinks();
      return (
        (await host.addresses())
          // Multicast: groups that an interface joins.
          .filter(({ ifindex, scope, address }) => !own.has(ifindex) && scope !== 'host' && !address.startsWith('ff'))
          .map(({ address }) => address.split('/')[0] as string)
          .sort()
      );
    },

    monitor: (onChange) =>
      host.monitor((change) => {
        if (change.kind === 'route') return;
        if (change.kind === 'link' && (change.action === 'add' || !isOurs(change.link.name))) return;
        if (change.kind === 'address' && own.has(change.address.ifindex)) return;
        source = undefined;
        onChange();
      }),

    close: () => {
      for (const socket of sockets) socket.close();
    },
  };
};
