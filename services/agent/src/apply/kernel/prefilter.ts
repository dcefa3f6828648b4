// SPDX-License-Identifier: Apache-2.0
/**
 * XDP on uplinks. The prefilter: a set of prefixes as one inner map, built apart and put in place by one pointer; each
 * set has the next revision. And packets for services that need not reach the stack (acceleration).
 *
 * An interface has one XDP program: the prefilter's alone, in the driver where it can, else in the kernel's generic way;
 * or one that balances too, as the network's configuration says. The one takes the other's place without a gap.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { prefilter_value, prefix_key } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import {
  attachXdp,
  type BpfMap,
  type BpfObject,
  createInner,
  type Link,
  openMapById,
  openObject,
  openPinnedLink,
  openPinnedMap,
} from '@weir/loader';
import type { XdpWish } from '../../plan/uplinks.ts';
import type { AccelerationFacts } from '../../platform.ts';
import { cidrKey, cidrText } from './prefixes.ts';
import type { UplinkInterface } from './uplink-interfaces.ts';

export interface PrefilterOptions {
  readonly bpffsDir: string;
  readonly hostNetns?: string;
  readonly maxEntries: Readonly<Record<string, number>>;
  readonly entriesOfServices: Readonly<Record<string, number>>;
}

export interface Prefilter {
  readonly revision: bigint;
  readonly cidrs: readonly string[];
  readonly interfaces: readonly { readonly name: string; readonly mode: XdpMode }[];
}

type XdpMode = 'native' | 'generic';
const MODES: readonly XdpMode[] = ['native', 'generic'];

const MAP = 'prefilter';
const SLOT = Buffer.alloc(4);
/** Of acceleration alone: its other maps are the services'. */
const OWN_MAPS = ['service_ways'];
export const xdpLinksDirOf = (bpffsDir: string): string => join(bpffsDir, 'xdp-links');

interface Held {
  readonly revision: bigint;
  readonly cidrs: ReadonlySet<string>;
}

const readSet = async (map: BpfMap): Promise<Held> => {
  const id = map.lookupInnerId(SLOT);
  if (id === undefined) return { revision: 0n, cidrs: new Set() };
  const inner = openMapById(id);
  try {
    const { keys, values, count } = await inner.lookupAll();
    return {
      revision: count > 0 ? prefilter_value.decode(values).revision : 0n,
      cidrs: new Set(Array.from({ length: count }, (_, i) => cidrText(keys, i * prefix_key.size))),
    };
  } finally {
    inner.close();
  }
};

const isSame = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.size === b.size && [...a].every((one) => b.has(one));

export class PrefilterSet {
  readonly #options: PrefilterOptions;
  #object: BpfObject | undefined;
  #held: Held | undefined;
  /** Of the last set that was put in place, which may be empty. */
  #revision = 0n;
  readonly #links = new Map<
    string,
    { readonly link: Link; readonly ifindex: number; readonly mode: XdpMode; readonly program: string }
  >();
  #program = 'prefilter_uplink';
  #acceleration: XdpWish | undefined;

  constructor(options: PrefilterOptions) {
    this.#options = options;
  }

  /** Returns what was not possible: who wants native acceleration and has a driver without XDP is told. */
  async sync(
    wanted: ReadonlySet<string> | undefined,
    acceleration: XdpWish | undefined,
    uplinks: readonly UplinkInterface[],
  ): Promise<readonly string[]> {
    if (!wanted && !acceleration) {
      await this.#end();
      return [];
    }
    const object = await this.#open(acceleration !== undefined);
    this.#acceleration = acceleration;
    this.#program = acceleration === undefined ? 'prefilter_uplink' : wanted ? 'guard_uplink' : 'accelerate_uplink';
    this.#held ??= await readSet(object.map(MAP));
    if (!isSame(this.#held.cidrs, wanted ?? new Set())) await this.#swap(object.map(MAP), wanted ?? new Set());
    const failures: string[] = [];
    for (const { ifname, ifindex } of uplinks) {
      const held = this.#links.get(ifname);
      const isRight = held?.ifindex === ifindex && held.program === this.#program;
      if (isRight && this.#modes(wanted !== undefined).includes(held.mode)) continue;
      const failure = await this.#attach(object, ifname, ifindex, this.#modes(wanted !== undefined));
      if (failure !== undefined) failures.push(failure);
    }
    const names = new Set(uplinks.map(({ ifname }) => ifname));
    for (const name of new Set([...this.#links.keys(), ...(await this.#pinned())]))
      if (!names.has(name)) await this.#detach(name);
    return failures;
  }

  acceleration(): AccelerationFacts | undefined {
    if (!this.#object || this.#acceleration === undefined) return undefined;
    return {
      wanted: this.#acceleration,
      interfaces: [...this.#links]
        .filter(([, { program }]) => program !== 'prefilter_uplink')
        .map(([name, { mode }]) => ({ name, mode })),
    };
  }

  doubt(): void {
    this.#held = undefined;
  }

  async read(): Promise<Prefilter | undefined> {
    if (!this.#object) return undefined;
    const { cidrs } = await readSet(this.#object.map(MAP));
    return {
      revision: this.#revision,
      cidrs: [...cidrs].sort(),
      interfaces: [...this.#links].map(([name, { mode }]) => ({ name, mode })),
    };
  }

  async inspect(): Promise<string[]> {
    const problems: string[] = [];
    const object = this.#object;
    if (!object) return problems;
    for (const [ifname, { link, ifindex, mode, program: name }] of [...this.#links]) {
      const program = object.program(name);
      const info = link.info();
      const isPinned = existsSync(this.#pinOf(ifname, mode));
      if (info.ifindex === ifindex && info.progId === program.id && isPinned) continue;
      problems.push(`uplink ${ifname}: the XDP program was ${isPinned ? 'detached' : 'unpinned'}`);
      await this.#detach(ifname);
      await this.#attach(object, ifname, ifindex, [mode]).catch(() => {});
    }
    if (!existsSync(join(this.#options.bpffsDir, MAP))) {
      problems.push(`the pin of map '${MAP}' was removed`);
      object.map(MAP).pin(join(this.#options.bpffsDir, MAP));
    }
    return problems;
  }

  close(): void {
    for (const { link } of this.#links.values()) link.close();
    this.#object?.close();
  }

  /** The services' maps may have been made anew since: a program of the earlier ones would know of no service any more. */
  #isCurrent(object: BpfObject, isBalancing: boolean): boolean {
    if (object.programs.has('accelerate_uplink') !== isBalancing) return false;
    const pin = join(this.#options.bpffsDir, 'services');
    if (!isBalancing || !existsSync(pin)) return true;
    const pinned = openPinnedMap(pin);
    const isSame = pinned.id === object.map('services').id;
    pinned.close();
    return isSame;
  }

  async #open(isBalancing: boolean): Promise<BpfObject> {
    if (this.#object && this.#isCurrent(this.#object, isBalancing)) return this.#object;
    const { bpffsDir, entriesOfServices, maxEntries } = this.#options;
    const object = await openObject(objectPath(isBalancing ? 'accelerator' : 'balancer'), {
      pinDir: bpffsDir,
      replaceIncompatible: true,
      maxEntries: { ...maxEntries, ...(isBalancing ? entriesOfServices : {}) },
    });
    await object.commitPins();
    this.#object?.close();
    // Each is attached again, in the place of the earlier object's.
    for (const { link } of this.#links.values()) link.close();
    this.#links.clear();
    this.#held = undefined;
    this.#object = object;
    this.#revision = (await readSet(object.map(MAP))).revision;
    return object;
  }

  async #swap(map: BpfMap, cidrs: ReadonlySet<string>): Promise<void> {
    const revision = this.#revision + 1n;
    const inner = await createInner(map, 'prefilter_set');
    try {
      const keys = Buffer.alloc(cidrs.size * prefix_key.size);
      const values = Buffer.alloc(cidrs.size * prefilter_value.size);
      [...cidrs].forEach((cidr, i) => {
        cidrKey(cidr, keys, i * prefix_key.size);
        prefilter_value.encode({ revision }, values, i * prefilter_value.size);
      });
      await inner.updateBatch(keys, values, cidrs.size);
      map.updateInner(SLOT, inner);
    } finally {
      inner.close();
    }
    this.#revision = revision;
    this.#held = { revision, cidrs };
  }

  /** The mode stands in the name: nobody else remembers it. */
  #pinOf(ifname: string, mode: XdpMode): string {
    return join(xdpLinksDirOf(this.#options.bpffsDir), `${mode}-${ifname}`);
  }

  #pinsOf(ifname: string): string[] {
    return MODES.map((mode) => this.#pinOf(ifname, mode)).filter((pin) => existsSync(pin));
  }

  async #pinned(): Promise<string[]> {
    const pins = await readdir(xdpLinksDirOf(this.#options.bpffsDir)).catch(() => []);
    return pins.map((pin) => pin.replace(/^(native|generic)-/, ''));
  }

  /** In order of preference. */
  #modes(isFiltering: boolean): readonly XdpMode[] {
    switch (this.#acceleration) {
      case 'generic':
        return ['generic'];
      case 'native':
      case 'best-effort':
        return isFiltering ? MODES : ['native'];
      case undefined:
        return MODES;
    }
  }

  /** Returns why it could not. */
  async #attach(
    object: BpfObject,
    ifname: string,
    ifindex: number,
    modes: readonly XdpMode[],
  ): Promise<string | undefined> {
    mkdirSync(xdpLinksDirOf(this.#options.bpffsDir), { recursive: true, mode: 0o700 });
    const program = object.program(this.#program);
    const { hostNetns } = this.#options;
    const attach = (mode: XdpMode): Promise<Link> =>
      attachXdp(program, ifindex, mode, {
        pinPath: this.#pinOf(ifname, mode),
        ...(hostNetns ? { netns: hostNetns } : {}),
      });
    const pinned = MODES.find((mode) => existsSync(this.#pinOf(ifname, mode)));
    if (pinned && !modes.includes(pinned)) await this.#detach(ifname);
    let failure: unknown;
    for (const mode of pinned && modes.includes(pinned) ? [pinned] : modes) {
      try {
        const link = await attach(mode);
        this.#links.get(ifname)?.link.close();
        this.#links.set(ifname, { link, ifindex, mode, program: this.#program });
        failure = undefined;
        break;
      } catch (error) {
        // The driver has no XDP.
        failure = error;
      }
    }
    if (failure === undefined) return undefined;
    if (this.#acceleration === 'best-effort' && !modes.includes('generic')) return undefined;
    return `uplink ${ifname}: XDP (${modes.join(', ')}) is not possible: ${(failure as Error).message}`;
  }

  async #detach(ifname: string): Promise<void> {
    const held = this.#links.get(ifname)?.link;
    const pins = this.#pinsOf(ifname);
    this.#links.delete(ifname);
    for (const link of held ? [held] : pins.map((pin) => openPinnedLink(pin))) {
      try {
        link.detach();
      } catch {
        // Its interface is gone, and it with that.
        link.close();
      }
    }
    for (const pin of pins) await rm(pin, { force: true });
  }

  async #end(): Promise<void> {
    for (const name of new Set([...this.#links.keys(), ...(await this.#pinned())])) await this.#detach(name);
    this.#object?.close();
    this.#object = undefined;
    this.#held = undefined;
    this.#acceleration = undefined;
    const { bpffsDir } = this.#options;
    for (const name of [MAP, ...OWN_MAPS]) await rm(join(bpffsDir, name), { force: true });
    await rm(xdpLinksDirOf(bpffsDir), { recursive: true, force: true });
  }
}
