// SPDX-License-Identifier: Apache-2.0
/**
 * The world outside: peers whose addresses are no workload's and no host's. One namespace on the underlay is every
 * host's default gateway and holds all their addresses; a peer speaks from its own.
 *
 * The world knows the way back to each workload; hosts know it from their agents.
 */
import { join } from 'node:path';
import { openNetlink } from '@weir/loader';
import { makeNetns, netnsName, netnsPath } from './netns.ts';
import { ip, type Resources } from './resources.ts';
import { Station, type StationProgram, startProgram } from './station.ts';
import type { Listening } from './traffic.ts';
import { plug, type Underlay, type UnderlayHost } from './underlay.ts';

const LOOPBACK_IFINDEX = 1;

export interface ExternalSpec extends Listening {
  readonly name: string;
  readonly ip4?: string;
  readonly ip6?: string;
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
  readonly #netns: string;

  private constructor(program: StationProgram, netns: string) {
    this.program = program;
    this.#netns = netns;
  }

  static async create(place: WorldPlace): Promise<OutsideWorld> {
    const { underlay, resources, runDir, logDir } = place;
    const netns = netnsName(place.fleet, 'world');
    await makeNetns(resources, netns);
    plug(underlay.bridgeNetns, 'world', 'uplink0', netns);
    ip('-n', netns, 'addr', 'add', `${underlay.worldIp4}/24`, 'dev', 'uplink0');
    ip('-n', netns, 'addr', 'add', `${underlay.worldIp6}/64`, 'dev', 'uplink0', 'nodad');
    ip('-n', netns, 'link', 'set', 'uplink0', 'up');
    for (const host of underlay.hosts) {
      ip('-n', host.netns, 'route', 'replace', 'default', 'via', underlay.worldIp4);
      ip('-n', host.netns, '-6', 'route', 'replace', 'default', 'via', underlay.worldIp6);
    }
    const program = await startProgram({
      resources,
      logDir,
      name: 'world',
      control: join(runDir, 'world.sock'),
      netns,
    });
    return new OutsideWorld(program, netns);
  }

  async add(spec: ExternalSpec): Promise<External> {
    const netlink = openNetlink(netnsPath(this.#netns));
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

  async remove({ ip4, ip6 }: External): Promise<void> {
    const netlink = openNetlink(netnsPath(this.#netns));
    try {
      if (ip4) await netlink.delAddress(LOOPBACK_IFINDEX, `${ip4}/32`);
      if (ip6) await netlink.delAddress(LOOPBACK_IFINDEX, `${ip6}/128`);
    } finally {
      netlink.close();
    }
  }

  /** The way to addresses or prefixes of workloads on a host. */
  async route(destinations: readonly string[], host: UnderlayHost): Promise<void> {
    const netlink = openNetlink(netnsPath(this.#netns));
    try {
      for (const text of destinations) {
        const isV6 = text.includes(':');
        const dst = text.includes('/') ? text : `${text}/${isV6 ? 128 : 32}`;
        await netlink.replaceRoute({ dst, via: isV6 ? host.ip6 : host.ip4 });
      }
    } finally {
      netlink.close();
    }
  }
}
