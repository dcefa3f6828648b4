// SPDX-License-Identifier: Apache-2.0
/**
 * The host as this agent knows it: what is connected and what the maps hold, read once at start and kept in step with
 * every write. One caller at a time (the reconciler).
 *
 * Nothing is taken away before the first desired state: until then what an earlier agent left goes on as it is.
 */

import { weir_workload_flags } from '@weir/bpf';
import type { Desired } from '../plan/desired.ts';
import type { IpcacheDelta } from '../plan/ipcache.ts';
import type { DesiredWorkload, Route } from '../plan/model.ts';
import { LINK_NAME } from '../plan/names.ts';
import { CgroupWorkloads } from './cgroups.ts';
import { EgressApplier } from './egress.ts';
import { type ApplyResult, Executor } from './executor.ts';
import { noFailpoint, type ReachFailpoint } from './failpoint.ts';
import { Failures } from './failures.ts';
import { NetnsIds } from './netns-ids.ts';
import { OverlayApplier } from './overlay.ts';
import { HostItself } from './own.ts';
import { type HostLink, JUDGING, type Kernel, type Place, type WorkloadValue } from './ports.ts';
import { mendValue, sameAddresses, sameWiring } from './same.ts';
import { ServicesApplier } from './services.ts';
import { type Wired, Wirer } from './wiring.ts';

export interface HostOptions {
  readonly kernel: Kernel;
  readonly reach?: ReachFailpoint;
  /** Namespace behind each interface when it was made, from an earlier agent. */
  readonly netnsIds?: Readonly<Record<string, string>>;
  readonly onTrouble?: (what: string, cause: unknown) => void;
}

/** Wiring takes some 10 ms each: a pass does so many, so that a policy change in between never waits long. */
const WIRES_PER_PASS = 16;
const WIRES_AT_ONCE = 4;
/** With more than this to connect, links are left for later. */
const HURRY_ABOVE = 4;

interface Found {
  readonly link: HostLink;
  readonly value: WorkloadValue;
}

export class HostDatapath {
  readonly #kernel: Kernel;
  readonly #wirer: Wirer;
  readonly #cgroups: CgroupWorkloads;
  readonly #executor: Executor;
  readonly #overlay: OverlayApplier;
  readonly #egress: EgressApplier;
  readonly #services: ServicesApplier;
  readonly #onTrouble: (what: string, cause: unknown) => void;
  /** By workload id. */
  readonly #wired = new Map<string, Wired>();
  readonly #own: HostItself;
  /** Of an earlier agent, by interface name; adopted when their workload is desired, else unwired. */
  #found = new Map<string, Found>();
  /** Interfaces whose programs are an earlier agent's until the maps of this one's are filled. */
  readonly #behind = new Set<string>();
  /** Maps begin empty, and were not filled yet. */
  #isEmptied: boolean;
  #lonelyLinks: string[] = [];
  #lonelyValues: WorkloadValue[] = [];
  readonly #netnsIds: NetnsIds;
  #cidrs = new Map<string, number>();
  #addresses = new Map<string, number>();
  #routes = new Map<string, Route>();
  readonly #failures = new Failures();

  constructor(options: HostOptions) {
    this.#kernel = options.kernel;
    this.#isEmptied = JUDGING.some((name) => options.kernel.replaced?.includes(name));
    const reach = options.reach ?? noFailpoint;
    this.#wirer = new Wirer(options.kernel, reach);
    this.#cgroups = new CgroupWorkloads(options.kernel, this.#wirer, this.#wired);
    this.#executor = new Executor(options.kernel, reach);
    this.#overlay = new OverlayApplier(options.kernel.overlay);
    this.#egress = new EgressApplier(options.kernel.egress);
    this.#services = new ServicesApplier(options.kernel.services);
    this.#onTrouble = options.onTrouble ?? (() => {});
    this.#own = new HostItself(options.kernel.maps);
    this.#netnsIds = new NetnsIds(options.netnsIds);
  }

  /**
   * Reads what is there, and puts this agent's programs in the place of an earlier agent's. Where maps begin empty (they
   * were of another shape) the earlier programs go on with the earlier maps: the new ones would refuse everything.
   */
  async load(): Promise<void> {
    const { maps, network, attachments } = this.#kernel;
    const links = (await network.links()).filter(({ ifname }) => LINK_NAME.test(ifname));
    const values = await maps.readWorkloads();
    const byIfindex = new Map(values.map((value) => [value.ifindex, value]));
    await this.#own.load(byIfindex);
    for (const link of links) {
      const value = byIfindex.get(link.ifindex);
      if (!value) {
        this.#lonelyLinks.push(link.ifname);
        continue;
      }
      const isEmpty =
        this.#isEmptied || (value.flags & weir_workload_flags.WORKLOAD_READY && !(await maps.readPolicy(link.ifindex)));
      if (isEmpty && (await attachments.guarded(link.ifname, link.ifindex))) {
        this.#behind.add(link.ifname);
        byIfindex.delete(link.ifindex);
        this.#found.set(link.ifname, { link, value });
        continue;
      }
      try {
        await attachments.attach(link.ifname, link.ifindex);
      } catch (error) {
        // It can't be guarded by our programs: taken away, and connected anew.
        this.#onTrouble(`the programs of ${link.ifname} could not be taken over`, error);
        this.#lonelyLinks.push(link.ifname);
        continue;
      }
      byIfindex.delete(link.ifindex);
      this.#found.set(link.ifname, { link, value });
    }
    await this.#cgroups.load(byIfindex);
    this.#lonelyValues = [...byIfindex.values()];
    const exist = new Set(links.map(({ ifname }) => ifname));
    for (const ifname of await attachments.known()) if (!exist.has(ifname)) await attachments.release(ifname);
    this.#cidrs = new Map(await maps.readCidrs());
    this.#addresses = new Map(await maps.readAddresses());
    this.#routes = new Map(await network.routes());
    await this.#overlay.load();
    await this.#egress.load();
  }

  get cidrs(): ReadonlyMap<string, number> {
    return this.#cidrs;
  }

  get wired(): ReadonlyMap<string, Wired> {
    return this.#wired;
  }

  /** Interface name -> number, of workloads that were found. */
  get foundIds(): ReadonlyMap<string, number> {
    return new Map([...this.#found].map(([ifname, { value }]) => [ifname, value.localId]));
  }

  /** The host itself; undefined: it has no policy. */
  get own(): Wired | undefined {
    return this.#own.wired;
  }

  takeNetnsIds(): Record<string, string> | undefined {
    return this.#netnsIds.take();
  }

  /** Why a workload is not connected; undefined when nothing is known to be wrong. */
  failure(id: string): string | undefined {
    return this.#failures.message(id);
  }

  /** Connects and disconnects. `more`: there is more to do at once. */
  async wire(desired: Desired, nowMs = performance.now()): Promise<{ changed: boolean; more: boolean }> {
    const moved = await this.#cgroups.moved();
    const gone = [...this.#wired].filter(
      ([id, wired]) => moved.has(id) || !sameWiring(desired.workloads.get(id), wired),
    );
    await this.#kernel.cgroups.watch(
      [...desired.workloads.values()].flatMap(({ wiring: { cgroup } }) => (cgroup === '' ? [] : [cgroup])),
    );
    for (let i = 0; i < gone.length; i += WIRES_AT_ONCE) {
      await Promise.all(gone.slice(i, i + WIRES_AT_ONCE).map(([id, wired]) => this.#unwire(id, wired)));
    }
    await this.#forget(gone.map(([, { value }]) => value));
    this.#failures.keep(desired.workloads);

    const todo = [...desired.workloads.values()].filter(
      ({ id, wiring }) =>
        (wiring.netns !== '' || wiring.cgroup !== '') && !this.#wired.has(id) && this.#failures.isDue(id, nowMs),
    );
    const batch = todo.slice(0, WIRES_PER_PASS);
    const before = this.#wired.size;
    const hurry = todo.length > HURRY_ABOVE;
    for (let i = 0; i < batch.length; i += WIRES_AT_ONCE) {
      await Promise.all(batch.slice(i, i + WIRES_AT_ONCE).map((workload) => this.#wireOne(workload, nowMs, hurry)));
    }
    return { changed: gone.length > 0 || this.#wired.size > before, more: todo.length > batch.length };
  }

  /** When a failed or waiting workload is due again, ms from `nowMs`; undefined: none. */
  retryInMs(nowMs = performance.now()): number | undefined {
    return this.#failures.retryInMs(nowMs);
  }

  /** Takes over what an earlier agent connected; what of it is not desired any more, or not like that, goes. */
  async adopt(desired: Desired): Promise<void> {
    await this.#forget(await this.#cgroups.adopt(desired, this.#isEmptied));
    if (this.#found.size + this.#lonelyLinks.length + this.#lonelyValues.length === 0) return;
    for (const ifname of this.#lonelyLinks.splice(0)) await this.#wirer.unwire(ifname, undefined);
    const stale = this.#lonelyValues.splice(0);
    const wanted = new Map([...desired.workloads.values()].map((workload) => [workload.wiring.ifname, workload]));
    for (const [ifname, { link, value }] of this.#found) {
      this.#found.delete(ifname);
      const workload = wanted.get(ifname);
      const netnsId = workload ? await this.#kernel.network.netnsId(workload.wiring.netns) : undefined;
      if (workload && netnsId && netnsId === this.#netnsIds.get(ifname) && sameAddresses(workload, value)) {
        const { wiring, localId, identity } = workload;
        this.#wired.set(workload.id, await this.#wirer.adopt({ wiring, localId, identity }, link, value, netnsId));
        continue;
      }
      await this.#wirer.unwire(ifname, value);
      stale.push(value);
    }
    await this.#forget(stale);
  }

  async #unwire(id: string, wired: Wired): Promise<void> {
    this.#wired.delete(id);
    if (wired.wiring.cgroup !== '') return this.#wirer.unwireCgroup(wired.ifindex);
    await this.#wirer.unwire(wired.wiring.ifname, wired.value);
    this.#netnsIds.set(wired.wiring.ifname, undefined);
  }

  async #forget(values: readonly WorkloadValue[]): Promise<void> {
    await this.#wirer.forget(values);
  }

  async #wireCgroup(workload: DesiredWorkload, nowMs: number): Promise<void> {
    const { id } = workload;
    try {
      const message = await this.#cgroups.wire(workload);
      if (message === undefined) this.#failures.delete(id);
      else this.#failures.waits(id, message, nowMs);
    } catch (error) {
      this.#notWired(id, error, nowMs);
      await this.#cgroups
        .undo(workload)
        .then((left) => this.#forget(left))
        .catch((cause) => this.#onTrouble(`what was left of ${id} could not be taken away`, cause));
    }
  }

  #notWired(id: string, error: unknown, nowMs: number): void {
    this.#failures.failed(id, error as Error, nowMs);
    this.#onTrouble(`workload ${id} could not be connected`, error);
  }

  async #wireOne(workload: DesiredWorkload, nowMs: number, hurry: boolean): Promise<void> {
    if (workload.wiring.cgroup !== '') return this.#wireCgroup(workload, nowMs);
    const { id, wiring, localId, identity } = workload;
    try {
      const netnsId = await this.#kernel.network.netnsId(wiring.netns);
      if (netnsId === undefined) {
        this.#failures.waits(id, `waiting for network namespace ${wiring.netns}`, nowMs);
        return;
      }
      this.#netnsIds.set(wiring.ifname, netnsId);
      this.#wired.set(id, await this.#wirer.wire({ wiring, localId, identity }, netnsId, hurry));
      this.#failures.delete(id);
    } catch (error) {
      this.#notWired(id, error, nowMs);
      await this.#undoWiring(wiring.ifname);
    }
  }

  /** What a failed wiring left: down, or up behind a program that knows nothing but a closed entry. */
  async #undoWiring(ifname: string): Promise<void> {
    try {
      const link = (await this.#kernel.network.links()).find((candidate) => candidate.ifname === ifname);
      await this.#wirer.unwire(ifname, undefined);
      const left = (await this.#kernel.maps.readWorkloads()).filter(({ ifindex }) => ifindex === link?.ifindex);
      await this.#forget(left);
    } catch (error) {
      this.#onTrouble(`${ifname} could not be taken away after a failed wiring`, error);
    }
  }

  /** Some of what connecting did in haste is done for good. True when there is more. */
  settle(): Promise<boolean> {
    return this.#kernel.attachments.settle();
  }

  get unsettled(): number {
    return this.#kernel.attachments.unsettled;
  }

  async apply(desired: Desired, ipcache: IpcacheDelta): Promise<ApplyResult> {
    const { overlay, identities, egress, encryption } = desired;
    const encryptionFailures = [...(await this.#kernel.encryption.prepare(encryption))];
    const wirings = () => [...this.#wired.values()].flatMap(({ wiring }) => (wiring.cgroup === '' ? [wiring] : []));
    const isLate = this.#isEmptied || this.#behind.size + this.#cgroups.behind > 0;
    if (await this.#overlay.prepare(overlay, identities, wirings, isLate)) {
      this.#routes = new Map(await this.#kernel.network.routes());
    }
    await this.#egress.prepare(egress);
    const all = this.#own.among(desired, this.#wired);
    const input = () => ({
      ...all,
      ...{ cidrs: this.#cidrs, addresses: this.#addresses, routes: this.#routes },
    });
    let result = await this.#executor.apply({ ...input(), ipcache });
    const failures = await this.#egress.finish(egress, (way) => this.#kernel.uplinks.way(way));
    if (isLate) {
      await this.#catchUp();
      // What the earlier programs judged meanwhile, they judged by the earlier maps.
      const again = await this.#executor.apply({ ...input(), ipcache: { puts: [], deletes: [], rejudge: true } });
      result = { ...again, swapped: result.swapped + again.swapped, committed: result.committed + again.committed };
    }
    await this.#forget(this.#own.leave(desired));
    encryptionFailures.push(...(await this.#kernel.encryption.finish(encryption, desired.encryptedPools)));
    await this.#overlay.finish(overlay, identities, wirings);
    // Policies, addresses and ways know the backends already. Maps that are full must not hold up what else there is.
    const unbalanced = await this.#services
      .apply(desired.services, () => this.#places())
      .catch((error: Error) => [`services could not be written whole: ${error.message}`]);
    return { ...result, uplinkFailures: [...result.uplinkFailures, ...failures, ...unbalanced], encryptionFailures };
  }

  #places(): Place[] {
    return [...this.#wired.values()].flatMap(({ wiring: { netns }, netnsId, ifindex }) =>
      netns === '' ? [] : [{ netns, netnsId, ifindex }],
    );
  }

  /** The maps are filled: this agent's programs take over. One that can't be is found by the next inspection. */
  async #catchUp(): Promise<void> {
    try {
      await this.#overlay.takeOver();
    } catch (error) {
      this.#onTrouble('the programs of the tunnel could not be taken over', error);
    }
    await this.#cgroups.catchUp();
    for (const { wiring, ifindex } of this.#wired.values()) {
      if (!this.#behind.has(wiring.ifname)) continue;
      try {
        await this.#kernel.attachments.attach(wiring.ifname, ifindex);
      } catch (error) {
        this.#onTrouble(`the programs of ${wiring.ifname} could not be taken over`, error);
      }
    }
    this.#behind.clear();
    this.#isEmptied = false;
  }

  /**
   * Looks whether the kernel still holds what we believe: interfaces, namespaces, attached programs, and the maps that
   * are small enough to read. What is missing is forgotten here or repaired, so that the next pass makes it again.
   * Returns what was wrong, for people.
   */
  async inspect(): Promise<readonly string[]> {
    const { network, maps, attachments } = this.#kernel;
    const problems = [...(await this.#overlay.inspect()), ...(await this.#kernel.encryption.inspect())];
    const links = new Map((await network.links()).map((link) => [link.ifname, link]));
    const values = new Map((await maps.readWorkloads()).map((value) => [value.ifindex, value]));
    for (const [id, wired] of [...this.#wired]) {
      const { ifname, netns, cgroup } = wired.wiring;
      if (cgroup !== '') {
        problems.push(...(await this.#cgroups.inspect(id, wired)), ...(await mendValue(maps, id, wired, values)));
        continue;
      }
      const link = links.get(ifname);
      const netnsId = await network.netnsId(netns);
      if (link?.ifindex !== wired.ifindex || netnsId !== wired.netnsId) {
        problems.push(link ? `the namespace behind ${netns} is another one` : `interface ${ifname} of ${id} is gone`);
        await this.#unwire(id, wired);
        await this.#forget([wired.value]);
        continue;
      }
      const missing = await attachments.check(ifname, wired.ifindex);
      if (missing.length > 0) {
        problems.push(...missing.map((what) => `${ifname} of ${id}: ${what}`));
        await attachments.attach(ifname, wired.ifindex);
      }
      problems.push(...(await mendValue(maps, id, wired, values)));
    }
    problems.push(...(await this.#own.inspect(values)));
    problems.push(...(await this.#kernel.services.inspect()));
    return [...problems, ...(await this.#kernel.uplinks.inspect()), ...(await this.#kernel.pacing.inspect())];
  }

  /** Reads everything back that can differ from what we believe; the next apply writes the difference. */
  async reread(): Promise<void> {
    const { maps, network } = this.#kernel;
    const values = new Map((await maps.readWorkloads()).map((value) => [value.ifindex, value]));
    for (const wired of [...this.#wired.values(), ...this.#own.all]) {
      wired.table = await maps.readPolicy(wired.ifindex);
      wired.value = values.get(wired.ifindex) ?? wired.value;
    }
    this.#cidrs = new Map(await maps.readCidrs());
    this.#addresses = new Map(await maps.readAddresses());
    this.#routes = new Map(await network.routes());
    this.#kernel.uplinks.doubt();
    this.#kernel.encryption.doubt();
    await this.#overlay.load();
    await this.#egress.load();
    this.#services.doubt();
  }
}
