// SPDX-License-Identifier: Apache-2.0
/**
 * Several hosts on one machine: network namespaces joined by a bridge that lives in a namespace of its own. The
 * machine itself is a station on the same bridge (so that the control plane can be reached), with one veth.
 *
 *     machine (control plane) --+                      198.18.N.1, fd18:N::1
 *     host h1 (agent, uplink0) -+- bridge namespace    198.18.N.11, fd18:N::11
 *     host h2 (agent, uplink0) -+                      198.18.N.12 ...
 *
 * 198.18.0.0/15 is set aside for such benches (RFC 2544); N is the first one free on this machine.
 */
import { weirError } from '@weir/errors';
import { makeNetns, netnsName } from './netns.ts';
import { ip, type Resources } from './resources.ts';

export interface UnderlayHost {
  readonly name: string;
  readonly netns: string;
  readonly uplink: string;
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
export const plug = (bridgeNetns: string, port: string, inside: string, netns?: string): void => {
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
  ip('-n', bridgeNetns, 'link', 'set', port, 'master', 'br0', 'up');
};

export const createUnderlay = async (
  resources: Resources,
  fleet: string,
  hostNames: readonly string[],
): Promise<Underlay> => {
  const n = freeNumber();
  const bridgeNetns = netnsName(fleet, 'underlay');
  const machineLink = `weir${n}`;
  await makeNetns(resources, bridgeNetns);
  ip('-n', bridgeNetns, 'link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '0');
  ip('-n', bridgeNetns, 'link', 'set', 'br0', 'up');
  resources.add({ kind: 'link', name: machineLink });
  plug(bridgeNetns, 'machine', machineLink);
  ip('addr', 'add', `198.18.${n}.1/24`, 'dev', machineLink);
  ip('link', 'set', machineLink, 'up');
  const hosts: UnderlayHost[] = [];
  for (const [i, name] of hostNames.entries()) {
    const host = {
      name,
      netns: netnsName(fleet, name),
      uplink: 'uplink0',
      ip4: `198.18.${n}.${11 + i}`,
      ip6: `fd18:${n}::${11 + i}`,
    };
    await makeNetns(resources, host.netns);
    plug(bridgeNetns, name, host.uplink, host.netns);
    ip('-n', host.netns, 'addr', 'add', `${host.ip4}/24`, 'dev', host.uplink);
    ip('-n', host.netns, 'addr', 'add', `${host.ip6}/64`, 'dev', host.uplink, 'nodad');
    ip('-n', host.netns, 'link', 'set', host.uplink, 'up');
    hosts.push(host);
  }
  return { machineIp4: `198.18.${n}.1`, worldIp4: `198.18.${n}.254`, worldIp6: `fd18:${n}::fe`, bridgeNetns, hosts };
};
