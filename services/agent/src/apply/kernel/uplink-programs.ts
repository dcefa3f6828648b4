// SPDX-License-Identifier: Apache-2.0
/**
 * The programs on both directions of uplinks and the maps that are theirs. Of the two objects (uplink-objects.ts) one
 * takes the other's place on the same pins, so that connections live on.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { prefix_key, unmasqueraded_value, uplink } from '@weir/bpf';
import { uplinkFlags } from '@weir/bpf/uplink-flags';
import { type BpfObject, clsactFilter, openPinnedMap, tcxSupported } from '@weir/loader';
import { parseIp } from '@weir/net';
import type { DesiredUplinks } from '../../plan/uplinks.ts';
import { forgetAsked, MAPPINGS, SOURCES, showMappings } from './asked.ts';
import { FOREIGN_PLACE, type KernelAttachments, kernelAttachments, UPLINK_SIDES } from './attachments.ts';
import type { PortRange } from './nat-ports.ts';
import { cidrKey, cidrText } from './prefixes.ts';
import { removeTunnelAnswers, TunnelAnswers } from './tunnel-answers.ts';
import type { UplinkInterface } from './uplink-interfaces.ts';
import { openTranslating, type UplinkObject, type UplinkOptions } from './uplink-objects.ts';

export interface UplinkFacts extends UplinkInterface {
  readonly masquerade4: boolean;
  readonly masquerade6: boolean;
}

/** Maps that only the programs on uplinks use. */
const SERVICE_MAPS = ['service_floods', 'service_nat', 'serving_scratch', 'told_scratch'];
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

const isServing = (desired: DesiredUplinks, { isGuarded }: UplinkInterface): boolean =>
  desired.services === true && !isGuarded;

const uplinkValue = (desired: DesiredUplinks, facts: UplinkFacts, { low, high }: PortRange): Buffer =>
  uplink.encode({
    flags: uplinkFlags({
      vlans: facts.isGuarded ? undefined : desired.vlans,
      egress: desired.ways !== undefined,
      services: isServing(desired, facts),
      guard: desired.guard,
      strict: desired.strict,
    }),
    wireguard_port: desired.strict?.wireguardPort ?? 0,
    tunnel_port: desired.strict?.tunnelPort ?? 0,
    port_low: low,
    port_high: high,
    ip4: facts.masquerade4 ? parseIp(facts.ip4) : NO_ADDRESS,
    ip6: facts.masquerade6 ? parseIp(facts.ip6) : NO_ADDRESS,
    service_ip4: isServing(desired, facts) && facts.ip4 !== '' ? parseIp(facts.ip4) : NO_ADDRESS,
    service_ip6: isServing(desired, facts) && facts.ip6 !== '' ? parseIp(facts.ip6) : NO_ADDRESS,
    nat64_ip4: desired.nat64 !== undefined && !facts.isGuarded && facts.ip4 !== '' ? parseIp(facts.ip4) : NO_ADDRESS,
  });

/** An open object and what is attached of it. */
export class UplinkPrograms {
  readonly name: UplinkObject;
  readonly object: BpfObject;
  readonly attachments: KernelAttachments;
  readonly answers: TunnelAnswers | undefined;
  readonly hostNetns: string | undefined;
  readonly attached = new Map<string, number>();
  held: Held | undefined;

  private constructor(
    { name, object, attachments, answers }: Pick<UplinkPrograms, 'name' | 'object' | 'attachments' | 'answers'>,
    hostNetns: string | undefined,
  ) {
    this.name = name;
    this.object = object;
    this.attachments = attachments;
    this.answers = answers;
    this.hostNetns = hostNetns;
  }

  static async open(name: UplinkObject, options: UplinkOptions): Promise<UplinkPrograms> {
    const { bpffsDir, hostNetns } = options;
    const object = await openTranslating(name, options);
    const attachments = kernelAttachments(object, {
      ...{ linksDir: uplinkLinksDirOf(bpffsDir), tcx: await tcxSupported(), sides: UPLINK_SIDES, foreign: true },
      ...(hostNetns ? { hostNetns } : {}),
    });
    const answers = name === 'frontend' ? await TunnelAnswers.open(object, bpffsDir, hostNetns) : undefined;
    showMappings(bpffsDir, object, SOURCES);
    if (answers) {
      showMappings(bpffsDir, object);
    } else {
      forgetAsked(bpffsDir, MAPPINGS);
      await removeTunnelAnswers(bpffsDir, hostNetns);
    }
    return new UplinkPrograms({ name, object, attachments, answers }, hostNetns);
  }

  get ownMaps(): readonly string[] {
    return this.answers ? [...OWN_MAPS, ...SERVICE_MAPS] : OWN_MAPS;
  }

  /** What is attached stays. */
  close(): void {
    this.attachments.close();
    this.answers?.close();
    this.object.close();
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
    await this.answers?.sync();
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
    for (const name of this.ownMaps) {
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
    problems.push(...((await this.answers?.inspect()) ?? []));
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
    forgetAsked(bpffsDir, MAPPINGS);
    forgetAsked(bpffsDir, SOURCES);
    await removeTunnelAnswers(bpffsDir, this.hostNetns);
    this.answers?.close();
    this.object.close();
    for (const name of [...OWN_MAPS, ...SERVICE_MAPS]) await rm(join(bpffsDir, name), { force: true });
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
