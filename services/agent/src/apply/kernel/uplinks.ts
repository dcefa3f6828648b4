// SPDX-License-Identifier: Apache-2.0
/**
 * Uplinks of the real kernel: which interfaces they are, their maps, and the programs on both their directions. The
 * object is loaded when something is wanted of an uplink and gone, with its maps, when nothing is.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { prefix_key, unmasqueraded_value, uplink } from '@weir/bpf';
import { uplinkFlags } from '@weir/bpf/uplink-flags';
import { type BpfObject, clsactFilter, openPinnedMap, tcxSupported } from '@weir/loader';
import { parseIp } from '@weir/net';
import type { WayOut } from '../../plan/egress.ts';
import type { DesiredUplinks } from '../../plan/uplinks.ts';
import type { Uplinks } from '../ports.ts';
import { FOREIGN_PLACE, type KernelAttachments, kernelAttachments, UPLINK_SIDES } from './attachments.ts';
import { type Nat, natOf } from './nat.ts';
import { type PortRange, releasePorts, reservePorts } from './nat-ports.ts';
import { Nat64Device } from './nat64.ts';
import { type Prefilter, PrefilterSet } from './prefilter.ts';
import { cidrKey, cidrText } from './prefixes.ts';
import { findUplinks, findWays, type UplinkInterface } from './uplink-interfaces.ts';
import { openTranslating, type UplinkOptions } from './uplink-objects.ts';

export interface UplinkFacts extends UplinkInterface {
  readonly masquerade4: boolean;
  readonly masquerade6: boolean;
}

export interface KernelUplinks extends Uplinks {
  /** Undefined while nothing is masqueraded. */
  readonly nat: Nat | undefined;
  readonly interfaces: readonly UplinkFacts[];
  prefilter(): Promise<Prefilter | undefined>;
  close(): void;
}

/** Maps that only the programs on uplinks use. */
const OWN_MAPS = ['uplinks', 'vlans', 'unmasqueraded', 'strict', 'nat_out', 'nat_in', 'nat_retries'];
export const uplinkLinksDirOf = (bpffsDir: string): string => join(bpffsDir, 'uplink-links');
const NO_ADDRESS = new Uint8Array(16);
/** Values of both maps of prefixes. */
const NO_FLAGS = unmasqueraded_value.encode({ flags: 0 });

const u32 = (value: number): Buffer => {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32LE(value, 0);
  return out;
};

/** What the maps hold. */
interface Held {
  readonly uplinks: Map<number, string>;
  readonly vlans: Set<number>;
  readonly unmasqueraded: Set<string>;
  readonly strict: Set<string>;
}

const prefixesOf = async (object: BpfObject, name: string): Promise<Set<string>> => {
  const { keys, count } = await object.map(name).lookupAll();
  return new Set(Array.from({ length: count }, (_, i) => cidrText(keys, i * prefix_key.size)));
};

const readHeld = async (object: BpfObject): Promise<Held> => {
  const uplinks = await object.map('uplinks').lookupAll();
  const vlans = await object.map('vlans').lookupAll();
  return {
    uplinks: new Map(
      Array.from({ length: uplinks.count }, (_, i) => [
        uplinks.keys.readUInt32LE(i * 4),
        uplinks.values.toString('hex', i * uplink.size, (i + 1) * uplink.size),
      ]),
    ),
    vlans: new Set(Array.from({ length: vlans.count }, (_, i) => vlans.keys.readUInt32LE(i * 4))),
    unmasqueraded: await prefixesOf(object, 'unmasqueraded'),
    strict: await prefixesOf(object, 'strict'),
  };
};

const uplinkValue = (desired: DesiredUplinks, facts: UplinkFacts, { low, high }: PortRange): Buffer =>
  uplink.encode({
    flags: uplinkFlags({
      vlans: facts.isGuarded ? undefined : desired.vlans,
      egress: desired.ways !== undefined,
      strict: desired.strict,
    }),
    wireguard_port: desired.strict?.wireguardPort ?? 0,
    tunnel_port: desired.strict?.tunnelPort ?? 0,
    port_low: low,
    port_high: high,
    ip4: facts.masquerade4 ? parseIp(facts.ip4) : NO_ADDRESS,
    ip6: facts.masquerade6 ? parseIp(facts.ip6) : NO_ADDRESS,
    nat64_ip4: desired.nat64 !== undefined && !facts.isGuarded && facts.ip4 !== '' ? parseIp(facts.ip4) : NO_ADDRESS,
  });

/** An open object and what is attached of it. */
class UplinkPrograms {
  readonly object: BpfObject;
  readonly attachments: KernelAttachments;
  readonly hostNetns: string | undefined;
  readonly attached = new Map<string, number>();
  held: Held | undefined;

  private constructor(object: BpfObject, attachments: KernelAttachments, hostNetns: string | undefined) {
    this.object = object;
    this.attachments = attachments;
    this.hostNetns = hostNetns;
  }

  static async open(options: UplinkOptions): Promise<UplinkPrograms> {
    const { bpffsDir, hostNetns } = options;
    const object = await openTranslating('host', options);
    const attachments = kernelAttachments(object, {
      ...{ linksDir: uplinkLinksDirOf(bpffsDir), tcx: await tcxSupported(), sides: UPLINK_SIDES, foreign: true },
      ...(hostNetns ? { hostNetns } : {}),
    });
    return new UplinkPrograms(object, attachments, hostNetns);
  }

  async sync(desired: DesiredUplinks, facts: readonly UplinkFacts[], ports: PortRange): Promise<void> {
    this.held ??= await readHeld(this.object);
    const { uplinks, vlans, unmasqueraded, strict } = this.held;
    const [uplinkMap, vlanMap] = ['uplinks', 'vlans'].map((name) => this.object.map(name));
    if (!uplinkMap || !vlanMap) return;
    const strictCidrs = desired.strict?.cidrs ?? new Set();
    this.addPrefixes('unmasqueraded', desired.unmasqueraded, unmasqueraded);
    this.addPrefixes('strict', strictCidrs, strict);
    for (const id of desired.vlans ?? []) {
      if (vlans.has(id)) continue;
      vlanMap.update(u32(id), u32(1));
      vlans.add(id);
    }
    for (const fact of facts) {
      const value = uplinkValue(desired, fact, ports);
      if (uplinks.get(fact.ifindex) !== value.toString('hex')) uplinkMap.update(u32(fact.ifindex), value);
      uplinks.set(fact.ifindex, value.toString('hex'));
      if (this.attached.get(fact.ifname) === fact.ifindex) continue;
      await this.attachments.attach(fact.ifname, fact.ifindex);
      this.attached.set(fact.ifname, fact.ifindex);
    }
    const names = new Set(facts.map(({ ifname }) => ifname));
    for (const name of new Set([...this.attached.keys(), ...(await this.attachments.known())])) {
      if (names.has(name)) continue;
      await this.release(name);
    }
    const indexes = new Set(facts.map(({ ifindex }) => ifindex));
    const stale = [...uplinks.keys()].filter((ifindex) => !indexes.has(ifindex));
    await this.detachFilters(stale);
    for (const ifindex of stale) {
      uplinkMap.delete(u32(ifindex));
      uplinks.delete(ifindex);
    }
    for (const id of [...vlans]) {
      if (desired.vlans?.has(id)) continue;
      vlanMap.delete(u32(id));
      vlans.delete(id);
    }
    this.removePrefixes('unmasqueraded', desired.unmasqueraded, unmasqueraded);
    this.removePrefixes('strict', strictCidrs, strict);
  }

  private addPrefixes(name: string, wanted: ReadonlySet<string>, held: Set<string>): void {
    for (const prefix of wanted) {
      if (held.has(prefix)) continue;
      this.object.map(name).update(cidrKey(prefix), NO_FLAGS);
      held.add(prefix);
    }
  }

  private removePrefixes(name: string, wanted: ReadonlySet<string>, held: Set<string>): void {
    for (const prefix of [...held]) {
      if (wanted.has(prefix)) continue;
      this.object.map(name).delete(cidrKey(prefix));
      held.delete(prefix);
    }
  }

  /** A filter does not go with who forgets it. */
  async release(ifname: string): Promise<void> {
    const ifindex = this.attached.get(ifname);
    if (ifindex !== undefined) await this.attachments.detach(ifname, ifindex);
    else await this.attachments.release(ifname);
    this.attached.delete(ifname);
  }

  /** An earlier agent's on a kernel without tcx: nothing is pinned of them, but the map names their interfaces. */
  async detachFilters(ifindexes: readonly number[]): Promise<void> {
    if (!(await tcxSupported())) await detachFilters(ifindexes, this.hostNetns);
  }

  async inspect(bpffsDir: string): Promise<string[]> {
    const problems: string[] = [];
    for (const name of OWN_MAPS) {
      if (existsSync(join(bpffsDir, name))) continue;
      this.object.map(name).pin(join(bpffsDir, name));
      problems.push(`the pin of map '${name}' was removed`);
    }
    for (const [ifname, ifindex] of this.attached) {
      const missing = await this.attachments.check(ifname, ifindex);
      if (missing.length === 0) continue;
      problems.push(...missing.map((what) => `uplink ${ifname}: ${what}`));
      try {
        await this.attachments.attach(ifname, ifindex);
      } catch {
        // The interface went; the next sync looks for it.
        this.attached.delete(ifname);
      }
    }
    const believed = this.held;
    if (!believed) return problems;
    const found = await readHeld(this.object);
    for (const [ifindex, value] of believed.uplinks) {
      if (found.uplinks.get(ifindex) === value) continue;
      problems.push(`the entry of interface ${ifindex} in the map 'uplinks' was changed or removed`);
      this.held = undefined;
    }
    return problems;
  }

  async end(bpffsDir: string): Promise<void> {
    for (const name of new Set([...this.attached.keys(), ...(await this.attachments.known())]))
      await this.release(name);
    this.held ??= await readHeld(this.object);
    await this.detachFilters([...this.held.uplinks.keys()]);
    this.object.close();
    for (const name of OWN_MAPS) await rm(join(bpffsDir, name), { force: true });
    await rm(uplinkLinksDirOf(bpffsDir), { recursive: true, force: true });
  }
}

/** Ours only; of interfaces that went, nothing. */
const detachFilters = async (ifindexes: readonly number[], hostNetns: string | undefined): Promise<void> => {
  const where = { ...FOREIGN_PLACE, ...(hostNetns ? { netns: hostNetns } : {}) };
  for (const ifindex of ifindexes) {
    for (const { direction } of UPLINK_SIDES) {
      const filter = clsactFilter(ifindex, direction, where);
      const { progId } = await filter.info().catch(() => ({ progId: undefined }));
      if (progId !== undefined) await filter.detach();
    }
  }
};

/** Filters outlive links' pins: of the interfaces that the pinned map still names, they are taken away one by one. */
export const detachUplinkFilters = async (bpffsDir: string, hostNetns?: string): Promise<void> => {
  const path = join(bpffsDir, 'uplinks');
  if (!existsSync(path) || (await tcxSupported())) return;
  const map = openPinnedMap(path);
  try {
    const { keys, count } = await map.lookupAll();
    await detachFilters(
      Array.from({ length: count }, (_, i) => keys.readUInt32LE(i * 4)),
      hostNetns,
    );
  } finally {
    map.close();
  }
};

const wayKey = (way: WayOut): string => `${way.interface} ${way.egressIp}`;

const isUplink = ({ isGuarded }: UplinkInterface): boolean => !isGuarded;

const isOnlyGateway = ({ masquerade4, masquerade6, nat64, vlans, strict, prefilter }: DesiredUplinks): boolean =>
  !masquerade4 && !masquerade6 && !nat64 && !vlans && !strict && !prefilter;

export const kernelUplinks = (options: UplinkOptions): KernelUplinks => {
  const { bpffsDir, hostNetns, natPorts } = options;
  let programs: UplinkPrograms | undefined;
  let interfaces: readonly UplinkFacts[] = [];
  let nat: Nat | undefined;
  const prefilter = new PrefilterSet(options);
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
      (desired.masquerade4 || desired.masquerade6 || nat64 !== undefined || (desired.ways?.length ?? 0) > 0);
    // It leads packets to the uplinks' maps: there after them, gone before them.
    if (nat64 === undefined) await nat64Device.sync(undefined, facts);
    if (!desired || (!isTranslating && !desired.vlans && !desired.strict)) {
      if (!programs && !existsSync(join(bpffsDir, 'uplinks'))) return;
      programs ??= await UplinkPrograms.open(options);
      await programs.end(bpffsDir);
      programs = undefined;
      nat = undefined;
      await releasePorts(hostNetns, natPorts);
      return;
    }
    programs ??= await UplinkPrograms.open(options);
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
    way: (way) => ways.get(wayKey(way)),
    sync: async (desired) => {
      ways = new Map();
      try {
        const { facts, failures } = desired ? await find(desired) : { facts: [], failures: [] };
        await syncPrograms(desired, facts);
        const uplinks = facts.filter(isUplink);
        await prefilter.sync(desired?.prefilter, uplinks);
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
      programs?.attachments.close();
      programs?.object.close();
      nat64Device.close();
      prefilter.close();
    },
  };
};
