// SPDX-License-Identifier: Apache-2.0
/**
 * Workloads of the host that are cgroups: connected, taken over and looked after beside those with an interface. What is
 * connected stands in the same table, with a number in place of an interface's index and the cgroup's id for a namespace's.
 */
import { weir_cgroup_number } from '@weir/bpf';
import type { Desired } from '../plan/desired.ts';
import type { DesiredWorkload } from '../plan/model.ts';
import type { Kernel, WorkloadValue } from './ports.ts';
import type { Wired, Wirer } from './wiring.ts';

/** In place of an interface's index; the local id stays as long as the workload does. */
const numberOf = (localId: number): number => weir_cgroup_number.CGROUP_NUMBER + localId;
const isNumber = (ifindex: number): boolean => ifindex >= weir_cgroup_number.CGROUP_NUMBER;

/** `inner` is in the cgroup `outer`, or is it. */
const contains = (outer: string, inner: string): boolean => `${inner}/`.startsWith(`${outer}/`);

export class CgroupWorkloads {
  readonly #kernel: Kernel;
  readonly #wirer: Wirer;
  readonly #wired: Map<string, Wired>;
  /** Of an earlier agent, by number; adopted when their workload is desired, else let go. */
  readonly #found = new Map<number, WorkloadValue>();
  #lonely: number[] = [];
  /** Whose programs are an earlier agent's until the maps of this one's are filled. */
  readonly #behind = new Set<number>();

  /** `wired`: all that is connected on this host, by workload id. */
  constructor(kernel: Kernel, wirer: Wirer, wired: Map<string, Wired>) {
    this.#kernel = kernel;
    this.#wirer = wirer;
    this.#wired = wired;
  }

  /** Takes out of `byIfindex` what is a cgroup's. */
  async load(byIfindex: Map<number, WorkloadValue>): Promise<void> {
    for (const [number, value] of [...byIfindex]) {
      if (!isNumber(number)) continue;
      this.#found.set(number, value);
      byIfindex.delete(number);
    }
    this.#lonely = (await this.#kernel.cgroups.known()).filter((number) => !this.#found.has(number));
  }

  /** `isEmptied`: maps begin empty, and earlier programs go on with the earlier ones. Returns the entries of what goes. */
  async adopt(desired: Desired, isEmptied: boolean): Promise<WorkloadValue[]> {
    for (const number of this.#lonely.splice(0)) await this.#wirer.unwireCgroup(number);
    if (this.#found.size === 0) return [];
    const { cgroups, maps } = this.#kernel;
    const ids = await cgroups.read();
    const stale: WorkloadValue[] = [];
    const wanted = new Map([...desired.workloads.values()].map((workload) => [numberOf(workload.localId), workload]));
    for (const [number, value] of this.#found) {
      this.#found.delete(number);
      const workload = wanted.get(number);
      const wiring = workload?.wiring;
      const id = wiring && wiring.cgroup !== '' ? await cgroups.id(wiring.cgroup) : undefined;
      if (!workload || !wiring || id === undefined || id !== ids.get(number)) {
        await this.#wirer.unwireCgroup(number);
        stale.push(value);
        continue;
      }
      if (isEmptied) this.#behind.add(number);
      else await cgroups.attach(number, wiring.cgroup, id);
      const table = await maps.readPolicy(number);
      this.#wired.set(workload.id, { wiring, ifindex: number, netnsId: id, value, table });
    }
    return stale;
  }

  get behind(): number {
    return this.#behind.size;
  }

  /** The maps are filled. */
  async catchUp(): Promise<void> {
    for (const { wiring, ifindex, netnsId } of this.#wired.values()) {
      if (this.#behind.delete(ifindex)) await this.#kernel.cgroups.attach(ifindex, wiring.cgroup, netnsId);
    }
  }

  /** Whose cgroup is gone, or another one: a unit that was started again. */
  async moved(): Promise<Set<string>> {
    const moved = new Set<string>();
    for (const [id, { wiring, netnsId }] of this.#wired) {
      if (wiring.cgroup !== '' && (await this.#kernel.cgroups.id(wiring.cgroup)) !== netnsId) moved.add(id);
    }
    return moved;
  }

  /** Returns why not yet; undefined: it is connected, and closed until its policy is written. */
  async wire({ id, wiring, localId, identity }: DesiredWorkload): Promise<string | undefined> {
    const { cgroup } = wiring;
    const cgroupId = await this.#kernel.cgroups.id(cgroup);
    if (cgroupId === undefined) return `waiting for cgroup ${cgroup}`;
    for (const [other, { wiring: held }] of this.#wired) {
      if (held.cgroup === '' || !(contains(held.cgroup, cgroup) || contains(cgroup, held.cgroup))) continue;
      return `cgroup ${cgroup} and that of ${other} are one inside the other: a process is of one workload`;
    }
    this.#wired.set(id, await this.#wirer.wireCgroup({ wiring, localId, identity }, numberOf(localId), cgroupId));
    return undefined;
  }

  /** What a failed wiring left. Returns its entries. */
  async undo({ localId }: DesiredWorkload): Promise<WorkloadValue[]> {
    const number = numberOf(localId);
    await this.#wirer.unwireCgroup(number);
    return (await this.#kernel.maps.readWorkloads()).filter(({ ifindex }) => ifindex === number);
  }

  /** Puts back what was taken away. Returns what was wrong; that it is another cgroup now the next pass mends. */
  async inspect(id: string, { wiring, ifindex, netnsId }: Wired): Promise<string[]> {
    const { cgroups } = this.#kernel;
    if ((await cgroups.id(wiring.cgroup)) !== netnsId)
      return [`cgroup ${wiring.cgroup} of ${id} is another one, or gone`];
    const missing = await cgroups.check(ifindex, netnsId);
    if (missing.length > 0) await cgroups.attach(ifindex, wiring.cgroup, netnsId);
    return missing.map((what) => `${wiring.cgroup} of ${id}: ${what}`);
  }
}
