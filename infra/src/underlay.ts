// SPDX-License-Identifier: Apache-2.0
/**
 * Several hosts on one machine: network namespaces joined by a bridge that lives in a namespace of its own. The
 * machine itself is a station on the same bridge (so that the control plane can be reached), with one veth.
 *
 *     machine (control plane) --+                      198.18.N.1, fd18:N::1
 *     host h1 (agent, uplink0) -+- bridge namespace    198.18.N.11, fd18:N::11
 *     host h2 (agent, uplink0) -+                      198.18.N.12 ...
 *
 * Hosts behind the router are in 198.19.N.0/24 and fd19:N::/64, on a second bridge; the namespace of both routes.
 *
 * 198.18.0.0/15 is set aside for such benches (RFC 2544); N is the first one free on this machine.
 */
import { weirError } from '@weir/errors';
import { setSysctl } from '@weir/loader';
import { makeNetns, netnsName, netnsPath } from './netns.ts';
import { ip, type Resources } from './resources.ts';

export interface UnderlayHost {
  readonly name: string;
  readonly netns: string;
  readonly uplink: string;
  readonly ip4: string;
  readonly ip6: string;
  /** Of a host behind the router: where the others' way to its subnet leads. */
  readonly router?: RouterAddresses;
}

export interface RouterAddresses {
  readonly ip4: string;
  readonly ip6: string;
}

export interface Underlay {
  /** Addresses of the machine on the bridge: where hosts find the control plane. */
  readonly machineIp4: string;
  /** For the namespace that plays the outside world (externals.ts). */
  readonly worldIp4: string;
  readonly worldIp6: string;
  readonly bridgeNetns: string;
  /** Third byte of its IPv4 networks. */
  readonly n: number;
  /** There when a host is behind it. */
  readonly router: RouterAddresses | undefined;
  readonly hosts: readonly UnderlayHost[];
}

const freeNumber = (): number => {
  const taken = ip('-4', '-o', 'addr', 'show');
  const first = process.pid % 250;
  for (let i = 0; i < 250; i++) {
    const n = 1 + ((first + i) % 250);
    if (!taken.includes(` 198.18.${n}.`)) return n;
  }
  throw weirError('CONFLICT', 'every network 198.18.1.0/24 to 198.18.250.0/24 is in use on this machine', {
    fix: 'stop the fleets that run (ip -4 addr shows them)',
  });
};

/** Joins `netns` to the bridge with interface `inside`. Without netns the machine itself is joined. */
export const plug = (bridgeNetns: string, port: string, inside: string, netns?: string, bridge = 'br0'): void => {
  ip(
    'link',
    'add',
    inside,
    ...(netns ? ['netns', netns] : []),
    'type',
    'veth',
    'peer',
    'name',
    port,
    'netns',
    bridgeNetns,
  );
  ip('-n', bridgeNetns, 'link', 'set', port, 'master', bridge, 'up');
};

/**
 * Of the bridges. Left to itself a bridge has the lowest address of its ports and may take another with a port that comes
 * later: hosts that know the router by the old one send to nobody until they ask anew, up to a minute with IPv6, where
 * a router that asks for them by its link-local address does not tell them its new one.
 */
const BRIDGE_MAC = '02:00:5e:00:53:fd';

const addBridge = (netns: string, name: string): void => {
  const settings = ['forward_delay', '0', 'mcast_snooping', '0'];
  ip('-n', netns, 'link', 'add', name, 'address', BRIDGE_MAC, 'type', 'bridge', ...settings);
  ip('-n', netns, 'link', 'set', name, 'up');
};

const addAddresses = (netns: string, device: string, ip4: string, ip6: string): void => {
  ip('-n', netns, 'addr', 'add', `${ip4}/24`, 'dev', device);
  ip('-n', netns, 'addr', 'add', `${ip6}/64`, 'dev', device, 'nodad');
};

/** Networks of the hosts behind the router. */
const farNetworks = (n: number): readonly string[] => [`198.19.${n}.0/24`, `fd19:${n}::/64`];

/** The namespace of the bridge becomes a router between it and a second bridge. */
const addRouter = async (bridgeNetns: string, n: number, near: RouterAddresses): Promise<void> => {
  addBridge(bridgeNetns, 'br1');
  addAddresses(bridgeNetns, 'br0', near.ip4, near.ip6);
  addAddresses(bridgeNetns, 'br1', `198.19.${n}.1`, `fd19:${n}::1`);
  for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'])
    await setSysctl(netnsPath(bridgeNetns), key, '1');
  const [far4 = ''] = farNetworks(n);
  // Only the bus is reached on the machine, by IPv4; the route goes with the link.
  ip('route', 'add', far4, 'via', near.ip4);
};

/** The way from a namespace on the first bridge to the hosts behind the router. */
export const routeBehindRouter = (netns: string, { n, router }: Pick<Underlay, 'n' | 'router'>): void => {
  if (!router) return;
  const [far4 = '', far6 = ''] = farNetworks(n);
  ip('-n', netns, 'route', 'add', far4, 'via', router.ip4);
  ip('-n', netns, '-6', 'route', 'add', far6, 'via', router.ip6);
};

export const createUnderlay = async (
  resources: Resources,
  fleet: string,
  hostNames: readonly string[],
  /** Of them those in a subnet of their own, behind a router. */
  routed: readonly string[] = [],
): Promise<Underlay> => {
  const n = freeNumber();
  const bridgeNetns = netnsName(fleet, 'underlay');
  const machineLink = `weir${n}`;
  await makeNetns(resources, bridgeNetns);
  addBridge(bridgeNetns, 'br0');
  resources.add({ kind: 'link', name: machineLink });
  plug(bridgeNetns, 'machine', machineLink);
  ip('addr', 'add', `198.18.${n}.1/24`, 'dev', machineLink);
  ip('link', 'set', machineLink, 'up');
  const router = routed.length > 0 ? { ip4: `198.18.${n}.253`, ip6: `fd18:${n}::fd` } : undefined;
  if (router) await addRouter(bridgeNetns, n, router);
  const hosts: UnderlayHost[] = [];
  for (const [i, name] of hostNames.entries()) {
    const isFar = routed.includes(name);
    const net = isFar ? 19 : 18;
    const host: UnderlayHost = {
      name,
      netns: netnsName(fleet, name),
      uplink: 'uplink0',
      ip4: `198.${net}.${n}.${11 + i}`,
      ip6: `fd${net}:${n}::${11 + i}`,
      ...(isFar && router ? { router } : {}),
    };
    await makeNetns(resources, host.netns);
    plug(bridgeNetns, name, host.uplink, host.netns, isFar ? 'br1' : 'br0');
    addAddresses(host.netns, host.uplink, host.ip4, host.ip6);
    ip('-n', host.netns, 'link', 'set', host.uplink, 'up');
    if (isFar) {
      ip('-n', host.netns, 'route', 'add', 'default', 'via', `198.19.${n}.1`);
      ip('-n', host.netns, '-6', 'route', 'add', 'default', 'via', `fd19:${n}::1`);
    } else routeBehindRouter(host.netns, { n, router });
    hosts.push(host);
  }
  const [worldIp4, worldIp6] = [`198.18.${n}.254`, `fd18:${n}::fe`];
  return { machineIp4: `198.18.${n}.1`, worldIp4, worldIp6, bridgeNetns, n, router, hosts };
};
