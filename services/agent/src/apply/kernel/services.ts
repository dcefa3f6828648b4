// SPDX-License-Identifier: Apache-2.0
/**
 * Load balancing in the real kernel: the object `socket` with its maps, opened when there is a service, and its programs
 * at the cgroup of this host, as links that are pinned and outlive this process. An earlier agent's programs go on with
 * its maps until `attach`, which puts this agent's in their place.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  address_key,
  backend,
  node_address,
  service,
  service_flow,
  service_member,
  service_member_key,
  service_reverse,
  service_reverse_key,
  service_slot,
  service_slot_key,
} from '@weir/bpf';
import {
  attachCgroup,
  type BpfMap,
  type BpfObject,
  type CgroupHook,
  cgroup2Mount,
  destroySockets,
  isNetns,
  type Link,
  netnsCookie,
  openPinnedLink,
  openPinnedMap,
} from '@weir/loader';
import { formatIp, parseIp } from '@weir/net';
import type { IpipSources } from '../../plan/ipip-sources.ts';
import { type FrontendKey, keyText, type PlannedFrontend } from '../../plan/service-view.ts';
import type { NodePorts } from '../../plan/services.ts';
import type { MaglevFlow, MaglevSlots } from '../maglev-tables.ts';
import type { Place, ServiceCount, ServiceMemory, Services } from '../ports.ts';
import type { HeldServices } from '../services.ts';
import { forgetAsked, showAsked } from './asked.ts';
import { clear, put, take, walk } from './batches.ts';
import { type ClientOptions, ClientProgram, NETNS_MAP, openForServices, TURNS_MAP } from './client-program.ts';
import { MaglevArrays } from './maglev.ts';
import { readCounts, tidyCounts } from './service-counts.ts';
import { addressKey, decodeFrontend, encodeKey, memberKey, slotKey, u32, u32Bytes } from './service-keys.ts';
import { serviceMemoryOf } from './service-memory.ts';
import { readRanges, removeRanges, writeRanges } from './service-ranges.ts';
import { decodeSettings, encodeSettings } from './service-settings.ts';

export interface ServiceOptions extends ClientOptions {
  /** cgroup v2 folder of this host; that of the whole machine unless told. */
  readonly cgroup?: string;
  readonly hostNetns?: string;
}

const SLOT = Buffer.alloc(4);
/** Belong to this object alone; the others are the workloads' too. */
const OWN_MAPS = [
  ...['maglev_tables', 'service_flows', 'service_ranges'],
  ...['services', 'service_slots', 'backends', 'service_members', 'service_affinity', 'service_reverse'],
  ...['service_counts', 'service_loads', 'service_unseen', 'service_open'],
  ...['node_addresses', 'service_settings', 'netns_workloads', TURNS_MAP, NETNS_MAP],
];
const PREFIX = 'service_';

export const socketLinksDirOf = (bpffsDir: string): string => join(bpffsDir, 'socket-links');

/** A namespace that is gone has no sockets. */
const closeIn = async (netns: string | undefined, wanted: ReadonlyMap<bigint, number>): Promise<number> => {
  if (netns !== undefined && !(await isNetns(netns))) return 0;
  return destroySockets(netns, wanted);
};

export class KernelServices implements Services {
  readonly #options: ServiceOptions;
  readonly #links = new Map<string, Link>();
  /** By path, with the key that it has in the kernel. */
  readonly #places = new Map<string, Place & { readonly key: Buffer }>();
  readonly #maglev = new MaglevArrays();
  #object: BpfObject | undefined;
  readonly #client: ClientProgram;
  #hostNetns = 0n;
  #forgotten = 0;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#client = new ClientProgram(options);
  }

  async read(): Promise<HeldServices> {
    const object = await this.#open();
    const held: HeldServices = {
      ...{ frontends: new Map(), slots: new Map(), members: new Map(), backends: new Map() },
      ...{ maglev: new Set(), nodeAddresses: new Set(), nodePorts: undefined, seed: undefined, sources: undefined },
      ranges: await readRanges(object.map('service_ranges')),
    };
    const places = new Map<number, number>();
    await walk(object.map('services'), (keys, values, i) => {
      const one = decodeFrontend(keys, values, i);
      held.frontends.set(keyText(one.key), one);
      if (one.value.maglev > 0) places.set(one.value.table, service.read.maglev_place(values, i * service.size));
    });
    for (const table of this.#maglev.start(object.map('maglev_tables'), places)) held.maglev.add(table);
    await walk(object.map('service_slots'), (keys, values, i) => {
      const { table, slot } = service_slot_key.decode(keys, i * service_slot_key.size);
      const slots = held.slots.get(table) ?? [];
      slots[slot] = service_slot.read.backend(values, i * service_slot.size);
      held.slots.set(table, slots);
    });
    await walk(object.map('service_members'), (keys, values, i) => {
      const { table, backend: number } = service_member_key.decode(keys, i * service_member_key.size);
      const weight = service_member.read.weight(values, i * service_member.size);
      held.members.set(table, (held.members.get(table) ?? new Map<number, number>()).set(number, weight));
    });
    await walk(object.map('backends'), (keys, values, i) => {
      const { addr, ...rest } = backend.decode(values, i * backend.size);
      held.backends.set(keys.readUInt32LE(i * 4), { address: formatIp(addr), ...rest });
    });
    await walk(object.map('node_addresses'), (keys, _, i) => {
      held.nodeAddresses.add(formatIp(address_key.decode(keys, i * address_key.size).addr));
    });
    const bytes = object.map('service_settings').lookup(SLOT);
    const settings = bytes && decodeSettings(bytes);
    if (settings?.hostNetns === this.#hostNetns) Object.assign(held, settings.shared);
    return held;
  }

  async peek(): Promise<HeldServices | undefined> {
    return this.#object ? this.read() : undefined;
  }

  writeNodeAddresses(addresses: readonly string[]): Promise<void> {
    return put(this.#map('node_addresses'), addresses, addressKey, (_, out, at) => {
      node_address.encode({ flags: 0 }, out, at);
    });
  }

  removeNodeAddresses(addresses: readonly string[]): Promise<void> {
    return take(this.#map('node_addresses'), addresses, addressKey);
  }

  async writeSettings(ports: NodePorts, seed: Uint8Array, sources: IpipSources): Promise<void> {
    this.#map('service_settings').update(SLOT, encodeSettings(this.#hostNetns, ports, seed, sources));
  }

  readMaglev(table: number): Promise<MaglevSlots | undefined> {
    return this.#maglev.read(this.#map('maglev_tables'), table);
  }

  writeMaglev(entries: Parameters<Services['writeMaglev']>[0]): Promise<void> {
    return this.#maglev.write(this.#map('maglev_tables'), entries);
  }

  async removeMaglev(tables: readonly number[]): Promise<void> {
    this.#maglev.remove(this.#map('maglev_tables'), tables);
  }

  readFlows(visit: (flow: MaglevFlow) => void): Promise<void> {
    return walk(this.#map('service_flows'), (_, values, i) => {
      const { last_ns: lastNs, backend: to, table, slot } = service_flow.decode(values, i * service_flow.size);
      visit({ table, slot, backend: to, lastNs });
    });
  }

  writeBackends(entries: Parameters<Services['writeBackends']>[0]): Promise<void> {
    return put(
      this.#map('backends'),
      entries,
      ([number], out, at) => u32(number, out, at),
      ([, { address, ...rest }], out, at) => {
        backend.encode({ addr: parseIp(address), ...rest }, out, at);
      },
    );
  }

  removeBackends(numbers: readonly number[]): Promise<void> {
    return take(this.#map('backends'), numbers, u32);
  }

  writeMembers(entries: Parameters<Services['writeMembers']>[0]): Promise<void> {
    return put(this.#map('service_members'), entries, memberKey, ([, , weight], out, at) => {
      service_member.encode({ weight }, out, at);
    });
  }

  removeMembers(entries: Parameters<Services['removeMembers']>[0]): Promise<void> {
    return take(this.#map('service_members'), entries, memberKey);
  }

  writeSlots(entries: Parameters<Services['writeSlots']>[0]): Promise<void> {
    return put(this.#map('service_slots'), entries, slotKey, ([table, , number], out, at) => {
      service_slot.encode({ backend: number, table }, out, at);
    });
  }

  removeSlots(entries: Parameters<Services['removeSlots']>[0]): Promise<void> {
    return take(this.#map('service_slots'), entries, slotKey);
  }

  writeFrontends(entries: readonly PlannedFrontend[]): Promise<void> {
    return put(
      this.#map('services'),
      entries,
      ({ key }, out, at) => encodeKey(key, out, at),
      ({ value: { frontend, service: number, flags, table, active, terminating, affinityS, maglev } }, out, at) => {
        const maglev_place = maglev > 0 ? this.#maglev.placeOf(table) : 0;
        const counts = { active, terminating, affinity_timeout_s: affinityS, maglev, maglev_place };
        service.encode({ frontend, service: number, flags, table, ...counts }, out, at);
      },
    );
  }

  removeFrontends(keys: readonly FrontendKey[]): Promise<void> {
    return take(this.#map('services'), keys, encodeKey);
  }

  writeRanges(ranges: readonly string[]): Promise<void> {
    return writeRanges(this.#map('service_ranges'), ranges);
  }

  removeRanges(ranges: readonly string[]): Promise<void> {
    return removeRanges(this.#map('service_ranges'), ranges);
  }

  async writePlaces(places: readonly Place[]): Promise<void> {
    const map = this.#map('netns_workloads');
    for (const place of places) {
      const { netns, netnsId, ifindex } = place;
      const known = this.#places.get(netns);
      if (known?.netnsId === netnsId && known.ifindex === ifindex) continue;
      if (known) this.#forgetPlace(known);
      this.#places.delete(netns);
      // It may be going right now; then nobody asks for anything in it.
      const cookie = await netnsCookie(netns).catch(() => undefined);
      if (cookie === undefined) continue;
      const key = Buffer.alloc(map.keySize);
      key.writeBigUInt64LE(cookie);
      map.update(key, u32Bytes(ifindex));
      this.#client.object?.map(NETNS_MAP).update(u32Bytes(ifindex), key);
      this.#places.set(netns, { ...place, key });
    }
    const here = new Set(places.map(({ netns }) => netns));
    for (const [netns, place] of this.#places) {
      if (here.has(netns)) continue;
      this.#forgetPlace(place);
      this.#places.delete(netns);
    }
  }

  #forgetPlace({ key, ifindex }: Place & { readonly key: Buffer }): void {
    this.#map('netns_workloads').delete(key);
    this.#client.object?.map(NETNS_MAP).delete(u32Bytes(ifindex));
  }

  async closeSockets(
    netns: readonly string[],
    isServing: (service: number, backend: number) => boolean,
  ): Promise<number> {
    const map = this.#map('service_reverse');
    const wanted = new Map<bigint, number>();
    const stale: Buffer[] = [];
    await walk(map, (keys, values, i) => {
      const asked = service_reverse.decode(values, i * service_reverse.size);
      if (isServing(asked.service, asked.backend)) return;
      const key = service_reverse_key.decode(keys, i * service_reverse_key.size);
      wanted.set(key.cookie, key.port);
      stale.push(Buffer.from(keys.subarray(i * map.keySize, (i + 1) * map.keySize)));
    });
    if (wanted.size === 0) return 0;
    let closed = 0;
    const { hostNetns } = this.#options;
    for (const path of new Set([hostNetns, ...netns])) closed += await closeIn(path, wanted);
    // What a socket without connection asked for counts until it asks again.
    for (const key of stale) if (map.delete(key)) this.#forgotten++;
    return closed;
  }

  async count(): Promise<ServiceMemory | undefined> {
    return this.#object && { ...(await serviceMemoryOf(this.#object)), forgotten: this.#forgotten };
  }

  async attach(): Promise<string | undefined> {
    const object = await this.#open();
    const hooks = [...object.programs.keys()].filter((name) => name.startsWith(PREFIX));
    if (hooks.every((name) => this.#links.has(name))) return undefined;
    const cgroup = this.#options.cgroup ?? (await cgroup2Mount());
    if (cgroup === undefined) return 'services: no cgroup v2 is mounted, so sockets can not be balanced';
    try {
      for (const name of hooks) await this.#attachOne(object, name, cgroup);
    } catch (error) {
      return `services: the sockets of ${cgroup} can not be balanced: ${(error as Error).message}`;
    }
    return undefined;
  }

  async readCounts(): Promise<readonly ServiceCount[]> {
    if (!this.#object) return [];
    await this.#client.sweep();
    return readCounts((name) => this.#map(name));
  }

  async tidyCounts(): Promise<void> {
    if (!this.#object) return;
    const pin = join(this.#options.bpffsDir, 'service_nat');
    const halves = existsSync(pin) ? openPinnedMap(pin) : undefined;
    try {
      await tidyCounts((name) => this.#map(name), { halves, turns: this.#client.object?.map(TURNS_MAP) });
    } finally {
      halves?.close();
    }
  }

  async inspect(): Promise<readonly string[]> {
    const object = this.#object;
    if (!object) return [];
    const { bpffsDir } = this.#options;
    const problems: string[] = [];
    for (const name of OWN_MAPS) {
      if (existsSync(join(bpffsDir, name))) continue;
      problems.push(`the pin of map '${name}' was removed`);
      (object.maps.has(name) ? object : this.#client.object)?.map(name).pin(join(bpffsDir, name));
    }
    for (const [name, link] of this.#links) {
      const isPinned = existsSync(this.#pinOf(name));
      const { progId, cgroupId } = link.info();
      if (isPinned && cgroupId !== 0n && progId === object.program(name).id) continue;
      problems.push(`the program ${name} at sockets was ${isPinned ? 'detached or replaced' : 'unpinned'}`);
      link.close();
      this.#links.delete(name);
      await rm(this.#pinOf(name), { force: true });
    }
    if (problems.length > 0) await this.attach();
    return problems;
  }

  async end(): Promise<void> {
    const { bpffsDir } = this.#options;
    const dir = socketLinksDirOf(bpffsDir);
    if (!this.#object && !existsSync(dir)) return;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    // At once: with its last holder alone a link would go some time later.
    for (const pin of await readdir(dir).catch(() => [])) openPinnedLink(join(dir, pin)).detach();
    await rm(dir, { recursive: true, force: true });
    forgetAsked(bpffsDir);
    await this.#client.end();
    this.#object?.close();
    this.#object = undefined;
    this.#places.clear();
    for (const name of [...OWN_MAPS, 'turning_scratch']) await rm(join(bpffsDir, name), { force: true });
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
    this.#client.close();
    this.#object?.close();
  }

  /** Before workloads get their programs, where an earlier agent had services: their connections go on. */
  resume(): Promise<void> {
    return this.#client.resume();
  }

  async #attachOne(object: BpfObject, name: string, cgroup: string): Promise<void> {
    if (this.#links.has(name)) return;
    mkdirSync(socketLinksDirOf(this.#options.bpffsDir), { recursive: true, mode: 0o700 });
    const hook = name.slice(PREFIX.length) as CgroupHook;
    this.#links.set(name, await attachCgroup(object.program(name), cgroup, hook, this.#pinOf(name)));
  }

  #pinOf(program: string): string {
    return join(socketLinksDirOf(this.#options.bpffsDir), program.slice(PREFIX.length));
  }

  #map(name: string): BpfMap {
    if (!this.#object) throw new Error(`the map '${name}' is not open`);
    return this.#object.map(name);
  }

  async #open(): Promise<BpfObject> {
    if (this.#object) return this.#object;
    this.#hostNetns = await netnsCookie(this.#options.hostNetns);
    const object = await openForServices('socket', this.#options);
    showAsked(object);
    await this.#client.open();
    // Of namespaces that went while nobody looked.
    await clear(object.map('netns_workloads'));
    if (this.#client.object) await clear(this.#client.object.map(NETNS_MAP));
    this.#object = object;
    return object;
  }
}
