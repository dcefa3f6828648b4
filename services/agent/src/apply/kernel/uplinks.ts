// SPDX-License-Identifier: Apache-2.0
/**
 * Uplinks of the real kernel: which interfaces they are, and what of their programs and devices is there. The object is
 * loaded when something is wanted of an uplink and gone, with its maps, when nothing is.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { WayOut } from '../../plan/egress.ts';
import type { DesiredUplinks } from '../../plan/uplinks.ts';
import type { AccelerationFacts } from '../../platform.ts';
import type { Uplinks } from '../ports.ts';
import { type Nat, natOf } from './nat.ts';
import { releasePorts, reservePorts } from './nat-ports.ts';
import { Nat64Device } from './nat64.ts';
import { NextHops } from './next-hops.ts';
import { type Prefilter, PrefilterSet } from './prefilter.ts';
import { findUplinks, findWays, type UplinkInterface } from './uplink-interfaces.ts';
import type { UplinkOptions } from './uplink-objects.ts';
import { type UplinkFacts, UplinkPrograms } from './uplink-programs.ts';

export interface KernelUplinks extends Uplinks {
  /** Undefined while nothing is masqueraded. */
  readonly nat: Nat | undefined;
  readonly interfaces: readonly UplinkFacts[];
  prefilter(): Promise<Prefilter | undefined>;
  /** Undefined while none is wanted. */
  acceleration(): AccelerationFacts | undefined;
  close(): void;
}

const wayKey = (way: WayOut): string => `${way.interface} ${way.egressIp}`;

const isUplink = ({ isGuarded }: UplinkInterface): boolean => !isGuarded;

const isOnlyGateway = (desired: DesiredUplinks): boolean => {
  const { masquerade4, masquerade6, nat64, vlans, services, strict, guard, prefilter } = desired;
  return !guard && !masquerade4 && !masquerade6 && !nat64 && !vlans && !services && !strict && !prefilter;
};

export const kernelUplinks = (options: UplinkOptions): KernelUplinks => {
  const { bpffsDir, hostNetns, natPorts } = options;
  let programs: UplinkPrograms | undefined;
  let interfaces: readonly UplinkFacts[] = [];
  let nat: Nat | undefined;
  const prefilter = new PrefilterSet(options);
  const nextHops = new NextHops(hostNetns);
  let ways = new Map<string, UplinkInterface>();
  const nat64Device = new Nat64Device(options);

  const findFacts = async (desired: DesiredUplinks): Promise<{ facts: UplinkFacts[]; failures: string[] }> => {
    const found = isOnlyGateway(desired) ? [] : await findUplinks(desired, options);
    const facts = found.map((one) => ({
      ...one,
      masquerade4: desired.masquerade4 && !one.isGuarded && one.ip4 !== '',
      masquerade6: desired.masquerade6 && !one.isGuarded && one.ip6 !== '',
    }));
    const failures: string[] = [];
    if (isOnlyGateway(desired)) return { facts, failures };
    if (!facts.some(isUplink)) {
      const wanted = desired.interfaces.length > 0 ? `of ${desired.interfaces.join(', ')}` : 'that is the uplink';
      failures.push(
        `this host has no interface ${wanted}; name it in the network's configuration or in WEIR_AGENT_UPLINK`,
      );
    } else {
      if (desired.masquerade4 && !facts.some(({ masquerade4 }) => masquerade4))
        failures.push(`no uplink of this host has an IPv4 address to masquerade with`);
      if (desired.nat64 && !facts.some(({ ip4, isGuarded }) => ip4 !== '' && !isGuarded))
        failures.push(`no uplink of this host has an IPv4 address for NAT64 to send with`);
      if (desired.masquerade6 && !facts.some(({ masquerade6 }) => masquerade6))
        failures.push(`no uplink of this host has an IPv6 address to masquerade with`);
    }
    return { facts, failures };
  };

  /** Those of gateways have the program too, and masquerade nothing else. */
  const find = async (desired: DesiredUplinks): Promise<Awaited<ReturnType<typeof findFacts>>> => {
    const { facts, failures } = await findFacts(desired);
    const found = desired.ways && desired.ways.length > 0 ? await findWays(desired.ways, hostNetns) : [];
    ways = new Map(found.map(({ way, found: by }) => [wayKey(way), by]));
    for (const by of ways.values()) {
      const at = facts.findIndex(({ ifindex }) => ifindex === by.ifindex);
      const fact = facts[at];
      if (!fact) facts.push({ ...by, masquerade4: false, masquerade6: false });
      else if (fact.isGuarded) facts[at] = { ...fact, isGuarded: false };
    }
    return { facts, failures };
  };

  const syncPrograms = async (desired: DesiredUplinks | undefined, facts: readonly UplinkFacts[]): Promise<void> => {
    const nat64 = desired?.nat64;
    const isTranslating =
      desired !== undefined &&
      (desired.services ||
        desired.masquerade4 ||
        desired.masquerade6 ||
        nat64 !== undefined ||
        (desired.ways?.length ?? 0) > 0);
    // It leads packets to the uplinks' maps: there after them, gone before them.
    if (nat64 === undefined) await nat64Device.sync(undefined, facts);
    if (!desired || (!isTranslating && !desired.vlans && !desired.strict && !desired.guard)) {
      if (!programs && !existsSync(join(bpffsDir, 'uplinks'))) return;
      programs ??= await UplinkPrograms.open('host', options);
      await programs.end(bpffsDir);
      programs = undefined;
      nat = undefined;
      await releasePorts(hostNetns, natPorts);
      return;
    }
    const name = desired.services ? 'frontend' : 'host';
    if (programs?.name !== name) {
      // The one takes the other's place, with all that its maps hold.
      const next = await UplinkPrograms.open(name, options);
      programs?.close();
      programs = next;
      nat = undefined;
    }
    if (isTranslating) await reservePorts(hostNetns, natPorts);
    else await releasePorts(hostNetns, natPorts);
    nat ??= natOf(programs.object, natPorts);
    await programs.sync(desired, facts, natPorts);
    if (nat64 !== undefined) await nat64Device.sync(nat64, facts.filter(isUplink));
  };

  const doubt = (): void => {
    if (programs) programs.held = undefined;
    prefilter.doubt();
    nat64Device.doubt();
  };

  return {
    get nat() {
      return nat;
    },
    get interfaces() {
      return interfaces;
    },
    prefilter: () => prefilter.read(),
    acceleration: () => prefilter.acceleration(),
    way: (way) => ways.get(wayKey(way)),
    sync: async (desired) => {
      ways = new Map();
      try {
        const { facts, failures } = desired ? await find(desired) : { facts: [], failures: [] };
        await syncPrograms(desired, facts);
        const uplinks = facts.filter(isUplink);
        failures.push(...(await prefilter.sync(desired?.prefilter, desired?.acceleration, uplinks)));
        failures.push(...(await nextHops.sync(desired?.acceleration === undefined ? [] : uplinks)));
        interfaces = uplinks;
        return failures;
      } catch (error) {
        // Policies stand all the same: what they say does not wait for an uplink.
        doubt();
        ways = new Map();
        return [`the uplinks of this host could not be made what they should be: ${(error as Error).message}`];
      }
    },
    doubt,
    inspect: async () => [
      ...((await programs?.inspect(bpffsDir)) ?? []),
      ...(await nat64Device.inspect()),
      ...(await prefilter.inspect()),
    ],
    close: () => {
      programs?.close();
      nat64Device.close();
      prefilter.close();
    },
  };
};
