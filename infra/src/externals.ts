// SPDX-License-Identifier: Apache-2.0
/**
 * The world outside: peers whose addresses are no workload's and no host's. One namespace on the underlay is every
 * host's default gateway and holds all their addresses; a peer speaks from its own.
 *
 * The world knows the way back to each workload; hosts know it from their agents.
 */
import { join } from 'node:path';
import { openNetlink, setSysctl } from '@weir/loader';
import { makeNetns, netnsName, netnsPath } from './netns.ts';
import { ip, type Resources } from './resources.ts';
import { Station, type StationProgram, startProgram } from './station.ts';
import type { Listening } from './traffic.ts';
import { plug, type RouterAddresses, routeBehindRouter, type Underlay, type UnderlayHost } from './underlay.ts';

const LOOPBACK_IFINDEX = 1;

export interface ExternalSpec extends Listening {
  readonly name: string;
  readonly ip4?: string;
  readonly ip6?: string;
  /** In a namespace of its own, to which the world routes over an interface of its name (at most 15 characters). */
  readonly isBehindWorld?: boolean;
}

/** Served counts are those of all externals: they share a program. */
export class External extends Station {
  readonly name: string;
  readonly ip4: string | undefined;
  readonly ip6: string | undefined;

  constructor(program: StationProgram, { name, ip4, ip6 }: ExternalSpec) {
    super(program, { ip4, ip6 });
    this.name = name;
    this.ip4 = ip4;
    this.ip6 = ip6;
  }
}

export interface WorldPlace {
  readonly fleet: string;
  readonly resources: Resources;
  readonly runDir: string;
  readonly logDir: string;
  readonly underlay: Underlay;
}

export class OutsideWorld {
  readonly program: StationProgram;
  readonly netns: string;
  readonly #place: WorldPlace;

  private constructor(program: StationProgram, netns: string, place: WorldPlace) {
    this.program = program;
    this.netns = netns;
    this.#place = place;
  }

  static async create(place: WorldPlace): Promise<OutsideWorld> {
    const { underlay, resources, runDir, logDir } = place;
    const netns = netnsName(place.fleet, 'world');
    await makeNetns(resources, netns);
    plug(underlay.bridgeNetns, 'world', 'uplink0', netns);
    ip('-n', netns, 'addr', 'add', `${underlay.worldIp4}/24`, 'dev', 'uplink0');
    ip('-n', netns, 'addr', 'add', `${underlay.worldIp6}/64`, 'dev', 'uplink0', 'nodad');
    ip('-n', netns, 'link', 'set', 'uplink0', 'up');
    for (const key of ['net/ipv4/ip_forward', 'net/ipv6/conf/all/forwarding'])
      await setSysctl(netnsPath(netns), key, '1');
    routeBehindRouter(netns, underlay);
    // Hosts behind the router have it for that, and it the world.
    const near = underlay.hosts.filter((host) => host.router === undefined).map((host) => host.netns);
    for (const leaf of [...near, ...(underlay.router ? [underlay.bridgeNetns] : [])]) {
      ip('-n', leaf, 'route', 'replace', 'default', 'via', underlay.worldIp4);
      ip('-n', leaf, '-6', 'route', 'replace', 'default', 'via', underlay.worldIp6);
    }
    const program = await startProgram({
      resources,
      logDir,
      name: 'world',
      control: join(runDir, 'world.sock'),
      netns,
    });
    return new OutsideWorld(program, netns, place);
  }

  async add(spec: ExternalSpec): Promise<External> {
    if (spec.isBehindWorld) return this.#addBehind(spec);
    const netlink = openNetlink(netnsPath(this.netns));
    try {
      if (spec.ip4) await netlink.addAddress(LOOPBACK_IFINDEX, `${spec.ip4}/32`);
      if (spec.ip6) await netlink.addAddress(LOOPBACK_IFINDEX, `${spec.ip6}/128`);
    } finally {
      netlink.close();
    }
    const external = new External(this.program, spec);
    await external.listen(spec);
    return external;
  }

  async #addBehind(spec: ExternalSpec): Promise<External> {
    const { fleet, resources, runDir, logDir } = this.#place;
    const { name, ip4, ip6 } = spec;
    const netns = netnsName(fleet, `x-${name}`);
    await makeNetns(resources, netns);
    ip('-n', this.netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
    ip('-n', this.netns, 'link', 'set', name, 'up');
    ip('-n', netns, 'link', 'set', 'eth0', 'up');
    for (const [family, address, gateway] of [
      ['-4', ip4, '169.254.7.1'],
      ['-6', ip6, 'fe80::7'],
    ] as const) {
      if (address === undefined) continue;
      ip('-n', this.netns, 'addr', 'add', gateway, 'dev', name, ...(family === '-6' ? ['scope', 'link'] : []));
      ip('-n', this.netns, family, 'route', 'add', address, 'dev', name);
      ip('-n', netns, 'addr', 'add', address, 'dev', 'eth0', ...(family === '-6' ? ['nodad'] : []));
      ip('-n', netns, family, 'route', 'add', 'default', 'via', gateway, 'dev', 'eth0', 'onlink');
    }
    const control = join(runDir, `x-${name}.sock`);
    const external = new External(await startProgram({ resources, logDir, name: `x-${name}`, control, netns }), spec);
    await external.listen(spec);
    return external;
  }

  async remove({ ip4, ip6 }: External): Promise<void> {
    const netlink = openNetlink(netnsPath(this.netns));
    try {
      if (ip4) await netlink.delAddress(LOOPBACK_IFINDEX, `${ip4}/32`);
      if (ip6) await netlink.delAddress(LOOPBACK_IFINDEX, `${ip6}/128`);
    } finally {
      netlink.close();
    }
  }

  /** The way to addresses or prefixes of workloads on a host. */
  async route(destinations: readonly string[], host: UnderlayHost): Promise<void> {
    await this.#route(this.netns, destinations, host.router ?? host);
    if (host.router) await this.#route(this.#place.underlay.bridgeNetns, destinations, host);
  }

  async #route(netns: string, destinations: readonly string[], via: RouterAddresses): Promise<void> {
    const netlink = openNetlink(netnsPath(netns));
    try {
      for (const text of destinations.filter((one) => one !== '')) {
        const isV6 = text.includes(':');
        const dst = text.includes('/') ? text : `${text}/${isV6 ? 128 : 32}`;
        await netlink.replaceRoute({ dst, via: isV6 ? via.ip6 : via.ip4 });
      }
    } finally {
      netlink.close();
    }
  }
}
