// SPDX-License-Identifier: Apache-2.0
/**
 * Answering for addresses on the real kernel: one program before all others on the interfaces that may be asked, one map of
 * what is answered for, and the multicast groups in which IPv6 addresses are asked for. All of it outlives the agent: groups are
 * joined by addresses of the interface (`autojoin`) and not by a socket, so that switches and network cards go on
 * delivering.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { announced, announced_key, weir_announce_state } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import {
  type BpfObject,
  clsactFilter,
  type Netlink,
  type NetworkLink,
  openObject,
  skbContext,
  tcxSupported,
} from '@weir/loader';
import { formatIp, parseIp, parseMac } from '@weir/net';
import type { AnnouncePort } from '../../announce/announcer.ts';
import { announcement, solicitedNode } from '../../announce/frames.ts';
import { LINK_NAME } from '../../plan/names.ts';
import { type KernelAttachments, kernelAttachments } from './attachments.ts';
import { withNetlink } from './netlink.ts';
import { findUplinks, NEVER, type WhereUplinksAre } from './uplink-interfaces.ts';

export interface KernelAnnounceOptions extends WhereUplinksAre {
  readonly bpffsDir: string;
}

const MAP = 'announced';
const { ANNOUNCE_HELD, ANNOUNCE_YIELDED } = weir_announce_state;
/** Before those of uplinks. */
const PLACE = { handle: 86, priority: 86 } as const;
const SIDES = [{ direction: 'ingress', program: 'answer_for' }] as const;
const GROUP = /^ff02::1:ff[0-9a-f]{2}:/;
const NO_MAC = new Uint8Array(6);
const linksDirOf = (bpffsDir: string): string => join(bpffsDir, 'announce-links');

interface Place {
  readonly address: string;
  readonly ifindex: number;
}

const keyOf = ({ address, ifindex }: Place): Buffer => announced_key.encode({ addr: parseIp(address), ifindex });
const textOf = ({ address, ifindex }: Place): string => `${address} ${ifindex}`;

const matches = (pattern: string, name: string): boolean => {
  try {
    return new RegExp(pattern).test(name);
  } catch {
    return false;
  }
};

const detachFilter = async (ifindex: number, netns: string | undefined): Promise<void> => {
  const filter = clsactFilter(ifindex, 'ingress', { ...PLACE, ...(netns ? { netns } : {}) });
  const { progId } = await filter.info().catch(() => ({ progId: undefined }));
  if (progId !== undefined) await filter.detach();
};

/** Groups that were joined for announcements; `wanted` says which stay. */
const leaveGroups = async (netlink: Netlink, wanted: ReadonlySet<string>): Promise<Set<string>> => {
  const joined = new Set<string>();
  for (const { ifindex, address } of await netlink.addresses()) {
    const [group = ''] = address.split('/');
    if (!GROUP.test(group)) continue;
    if (wanted.has(`${group} ${ifindex}`)) joined.add(`${group} ${ifindex}`);
    else await netlink.delAddress(ifindex, address);
  }
  return joined;
};

/** Takes away what agents of this host made; pins go with their folder. */
export const removeAnnouncements = async (hostNetns?: string): Promise<void> =>
  withNetlink(hostNetns, async (netlink) => {
    await leaveGroups(netlink, new Set());
    if (await tcxSupported()) return;
    for (const { ifindex, name } of await netlink.links())
      if (!NEVER.has(name) && !LINK_NAME.test(name)) await detachFilter(ifindex, hostNetns);
  });

class AnnouncePrograms {
  readonly object: BpfObject;
  readonly attachments: KernelAttachments;
  readonly attached = new Map<string, number>();

  private constructor(object: BpfObject, attachments: KernelAttachments) {
    this.object = object;
    this.attachments = attachments;
  }

  static async open({ bpffsDir, hostNetns }: KernelAnnounceOptions): Promise<AnnouncePrograms> {
    const object = await openObject(objectPath('announce'), { pinDir: bpffsDir, replaceIncompatible: true });
    await object.commitPins();
    const attachments = kernelAttachments(object, {
      ...{ linksDir: linksDirOf(bpffsDir), tcx: await tcxSupported(), sides: SIDES, foreign: true },
      ...{ first: true, place: PLACE },
      ...(hostNetns ? { hostNetns } : {}),
    });
    return new AnnouncePrograms(object, attachments);
  }

  async attach(links: readonly NetworkLink[]): Promise<void> {
    const wanted = new Map(links.map(({ name, ifindex }) => [name, ifindex]));
    for (const name of new Set([...this.attached.keys(), ...(await this.attachments.known())])) {
      const ifindex = this.attached.get(name);
      if (wanted.has(name) && (ifindex === undefined || ifindex === wanted.get(name))) continue;
      if (ifindex === undefined) await this.attachments.release(name);
      else await this.attachments.detach(name, ifindex).catch(() => this.attachments.release(name));
      this.attached.delete(name);
    }
    for (const [name, ifindex] of wanted) {
      const isThere = this.attached.has(name) && (await this.attachments.check(name, ifindex)).length === 0;
      if (!isThere) await this.attachments.attach(name, ifindex);
      this.attached.set(name, ifindex);
    }
  }
}

export class KernelAnnounce implements AnnouncePort {
  readonly #options: KernelAnnounceOptions;
  #programs: AnnouncePrograms | undefined;
  /** By the text of place: its MAC, and the interface's index. */
  #answered = new Map<string, Place & { readonly mac: string }>();
  #links: readonly NetworkLink[] = [];
  #uplinks: ReadonlySet<string> = new Set();

  constructor(options: KernelAnnounceOptions) {
    this.#options = options;
  }

  #meant(patterns: readonly string[]): NetworkLink[] {
    return this.#links.filter(({ name }) =>
      patterns.length === 0 ? this.#uplinks.has(name) : patterns.some((pattern) => matches(pattern, name)),
    );
  }

  interfacesOf(patterns: readonly string[]): readonly string[] {
    return this.#meant(patterns).map(({ name }) => name);
  }

  async #look(netlink: Netlink): Promise<void> {
    this.#links = (await netlink.links()).filter(
      ({ name, mac }) => mac !== undefined && !NEVER.has(name) && !LINK_NAME.test(name),
    );
    const uplinks = await findUplinks({ interfaces: [], prefer: [], strict: undefined }, this.#options);
    this.#uplinks = new Set(uplinks.map(({ ifname }) => ifname));
  }

  async apply({ interfaces, answered, kept }: Parameters<AnnouncePort['apply']>[0]): Promise<readonly string[]> {
    const { bpffsDir, hostNetns } = this.#options;
    if (interfaces.length === 0) {
      if (this.#programs || existsSync(join(bpffsDir, MAP))) await this.#end();
      return [];
    }
    this.#programs ??= await AnnouncePrograms.open(this.#options);
    const programs = this.#programs;
    return withNetlink(hostNetns, async (netlink) => {
      await this.#look(netlink);
      const failures = new Set<string>();
      const places = answered.flatMap(({ address, interfaces: patterns }) => {
        const links = this.#meant(patterns);
        if (links.length === 0)
          failures.add(
            `no interface of this host is meant by ${patterns.join(', ') || 'its uplinks'}: ${address} is not announced`,
          );
        return links.map(({ ifindex, mac = '' }) => ({ address, ifindex, mac }));
      });
      const wanted = new Map(places.map((place) => [textOf(place), place]));
      await this.#join(netlink, places, kept);
      await programs.attach([...new Set(interfaces.flatMap((patterns) => this.#meant(patterns)))]);
      await this.#write(programs.object, wanted, kept);
      this.#answered = wanted;
      return [...failures];
    });
  }

  async #join(netlink: Netlink, places: readonly Place[], kept: ReadonlySet<string>): Promise<void> {
    const groupsAt = (address: string, ifindex: number): string[] =>
      address.includes(':') ? [`${solicitedNode(address)} ${ifindex}`] : [];
    const wanted = new Set(places.flatMap(({ address, ifindex }) => groupsAt(address, ifindex)));
    const undecided = [...kept].flatMap((address) => this.#links.flatMap(({ ifindex }) => groupsAt(address, ifindex)));
    const joined = await leaveGroups(netlink, new Set([...wanted, ...undecided]));
    for (const group of wanted) {
      if (joined.has(group)) continue;
      const [address = '', ifindex] = group.split(' ');
      await netlink.addAddress(Number(ifindex), `${address}/128`, { autojoin: true, noprefixroute: true });
    }
  }

  async #write(
    object: BpfObject,
    wanted: ReadonlyMap<string, Place & { readonly mac: string }>,
    kept: ReadonlySet<string>,
  ): Promise<void> {
    const map = object.map(MAP);
    const { keys, values, count } = await map.lookupAll();
    const there = new Map<string, Buffer>();
    for (let i = 0; i < count; i++) {
      const { addr, ifindex } = announced_key.decode(keys, i * announced_key.size);
      const place = { address: formatIp(addr), ifindex };
      if (wanted.has(textOf(place)))
        there.set(textOf(place), values.subarray(i * announced.size, (i + 1) * announced.size));
      else if (!kept.has(place.address)) map.delete(keyOf(place));
    }
    for (const [text, place] of wanted) {
      const value = there.get(text);
      const mac = parseMac(place.mac);
      if (value && Buffer.compare(value.subarray(0, mac.length), mac) === 0) continue;
      map.update(
        keyOf(place),
        announced.encode({ mac, state: ANNOUNCE_HELD, others: 0, answered: 0n, other_mac: NO_MAC }),
      );
    }
  }

  async confirm(addresses: readonly string[], tell: boolean): Promise<number> {
    const object = this.#programs?.object;
    if (!object) return 0;
    const map = object.map(MAP);
    let yielded = 0;
    for (const place of [...this.#answered.values()].filter(({ address }) => addresses.includes(address))) {
      const value = map.lookup(keyOf(place));
      const hasYielded = value !== undefined && announced.read.state(value, 0) === ANNOUNCE_YIELDED;
      if (hasYielded)
        map.update(keyOf(place), announced.encode({ ...announced.decode(value, 0), state: ANNOUNCE_HELD }));
      if (hasYielded) yielded++;
      if (hasYielded || tell) await this.#tell(object, place);
    }
    return yielded;
  }

  async #tell(object: BpfObject, { address, ifindex, mac }: Place & { readonly mac: string }): Promise<void> {
    const { hostNetns: netns } = this.#options;
    await object.program('tell_link').testRun({
      ...{ data: announcement(address, mac), ctx: skbContext({ ifindex }) },
      ...(netns ? { netns } : {}),
    });
  }

  async #end(): Promise<void> {
    const { bpffsDir, hostNetns } = this.#options;
    this.#programs ??= await AnnouncePrograms.open(this.#options);
    await this.#programs.attach([]);
    await removeAnnouncements(hostNetns);
    this.#programs.object.close();
    this.#programs = undefined;
    this.#answered.clear();
    await rm(join(bpffsDir, MAP), { force: true });
    await rm(linksDirOf(bpffsDir), { recursive: true, force: true });
  }

  close(): void {
    this.#programs?.attachments.close();
    this.#programs?.object.close();
    this.#programs = undefined;
  }
}
