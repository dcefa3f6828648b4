// SPDX-License-Identifier: Apache-2.0
/**
 * The prefilter: a set of prefixes as one inner map, built apart and put in place by one pointer, and the XDP program
 * on each uplink: in the driver where it can, else in the kernel's generic way. Each set has the next revision.
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
} from '@weir/loader';
import { cidrKey, cidrText } from './prefixes.ts';
import type { UplinkInterface } from './uplink-interfaces.ts';

export interface PrefilterOptions {
  readonly bpffsDir: string;
  readonly hostNetns?: string;
  readonly maxEntries: Readonly<Record<string, number>>;
}

export interface Prefilter {
  readonly revision: bigint;
  readonly cidrs: readonly string[];
  readonly interfaces: readonly { readonly name: string; readonly mode: XdpMode }[];
}

type XdpMode = 'native' | 'generic';
const MODES: readonly XdpMode[] = ['native', 'generic'];

const PROGRAM = 'prefilter_uplink';
const MAP = 'prefilter';
const SLOT = Buffer.alloc(4);
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
  readonly #links = new Map<string, { readonly link: Link; readonly ifindex: number; readonly mode: XdpMode }>();

  constructor(options: PrefilterOptions) {
    this.#options = options;
  }

  async sync(wanted: ReadonlySet<string> | undefined, uplinks: readonly UplinkInterface[]): Promise<void> {
    if (!wanted) return this.#end();
    const object = await this.#open();
    this.#held ??= await readSet(object.map(MAP));
    if (!isSame(this.#held.cidrs, wanted)) await this.#swap(object.map(MAP), wanted);
    for (const { ifname, ifindex } of uplinks) {
      if (this.#links.get(ifname)?.ifindex === ifindex) continue;
      await this.#attach(object, ifname, ifindex);
    }
    const names = new Set(uplinks.map(({ ifname }) => ifname));
    for (const name of new Set([...this.#links.keys(), ...(await this.#pinned())]))
      if (!names.has(name)) await this.#detach(name);
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
    const program = object.program(PROGRAM);
    for (const [ifname, { link, ifindex, mode }] of [...this.#links]) {
      const info = link.info();
      const isPinned = existsSync(this.#pinOf(ifname, mode));
      if (info.ifindex === ifindex && info.progId === program.id && isPinned) continue;
      problems.push(`uplink ${ifname}: the XDP program was ${isPinned ? 'detached' : 'unpinned'}`);
      await this.#detach(ifname);
      await this.#attach(object, ifname, ifindex).catch(() => {});
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

  async #open(): Promise<BpfObject> {
    if (this.#object) return this.#object;
    const { bpffsDir, maxEntries } = this.#options;
    const object = await openObject(objectPath('balancer'), {
      pinDir: bpffsDir,
      replaceIncompatible: true,
      maxEntries,
    });
    await object.commitPins();
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

  async #attach(object: BpfObject, ifname: string, ifindex: number): Promise<void> {
    mkdirSync(xdpLinksDirOf(this.#options.bpffsDir), { recursive: true, mode: 0o700 });
    const program = object.program(PROGRAM);
    const { hostNetns } = this.#options;
    const attach = (mode: XdpMode): Promise<Link> =>
      attachXdp(program, ifindex, mode, {
        pinPath: this.#pinOf(ifname, mode),
        ...(hostNetns ? { netns: hostNetns } : {}),
      });
    let mode: XdpMode = existsSync(this.#pinOf(ifname, 'generic')) ? 'generic' : 'native';
    let link: Link;
    try {
      link = await attach(mode);
    } catch (error) {
      if (mode === 'generic') throw error;
      // The driver has no XDP.
      mode = 'generic';
      link = await attach(mode);
    }
    this.#links.get(ifname)?.link.close();
    this.#links.set(ifname, { link, ifindex, mode });
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
    const { bpffsDir } = this.#options;
    await rm(join(bpffsDir, MAP), { force: true });
    await rm(xdpLinksDirOf(bpffsDir), { recursive: true, force: true });
  }
}
