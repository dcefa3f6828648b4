// SPDX-License-Identifier: Apache-2.0
/**
 * Numbers that only this host gives: to its workloads (they stand in flows) and to the CIDR prefixes of its policies
 * (they stand in policy tables). Both keep their number while what they name lives, across restarts too.
 */
import { weir_identity, weir_limits } from '@weir/bpf';
import { weirError } from '@weir/errors';
import { linkName } from './names.ts';

export interface LocalIdState {
  readonly next: number;
  readonly ids: Readonly<Record<string, number>>;
}

/** Never reuses a number until the counter wraps: a flow that is still on its way names the right workload. */
export class LocalIds {
  readonly #ids: Map<string, number>;
  /** Found in the kernel, by interface name: what counts when the file was lost. */
  readonly #found = new Map<string, number>();
  #next: number;
  #changed = false;

  constructor(state: LocalIdState = { next: 1, ids: {} }) {
    this.#ids = new Map(Object.entries(state.ids));
    this.#next = Math.max(state.next, 1);
  }

  of(workloadId: string): number {
    const known = this.#ids.get(workloadId);
    if (known !== undefined) return known;
    const id = this.#found.get(linkName(workloadId)) ?? this.#allocate();
    this.#ids.set(workloadId, id);
    this.#changed = true;
    return id;
  }

  adopt(ifname: string, id: number): void {
    this.#found.set(ifname, id);
    this.#next = Math.max(this.#next, id + 1);
  }

  #allocate(): number {
    const taken = new Set([...this.#ids.values(), ...this.#found.values()]);
    while (this.#next > 0xffffffff || taken.has(this.#next)) this.#next = this.#next >= 0xffffffff ? 1 : this.#next + 1;
    return this.#next++;
  }

  known(): string[] {
    return [...this.#ids.keys()];
  }

  release(workloadId: string): void {
    this.#found.delete(linkName(workloadId));
    if (this.#ids.delete(workloadId)) this.#changed = true;
  }

  /** The state to keep, when there is something new to keep. */
  takeChange(): LocalIdState | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return { next: this.#next, ids: Object.fromEntries(this.#ids) };
  }
}

/**
 * Numbers of other hosts in the map `tunnels`, of egress gateways and their groups in theirs. They stand in conntrack
 * too, so a number is kept while what it names is, and one that became free is the last to be given again.
 */
export class HostNumbers {
  readonly #ids: Map<string, number>;
  #taken: Set<number>;
  #next: number;
  readonly #max: number;
  #changed = false;

  constructor(state: LocalIdState = { next: 1, ids: {} }, max: number = weir_limits.WEIR_MAX_HOSTS) {
    this.#ids = new Map(Object.entries(state.ids));
    this.#taken = new Set(this.#ids.values());
    this.#next = Math.max(state.next, 1);
    this.#max = max;
  }

  of(hostId: string): number {
    const known = this.#ids.get(hostId);
    if (known !== undefined) return known;
    if (this.#taken.size >= this.#max - 1)
      throw weirError('TOO_LARGE', `more than ${this.#max - 1} hosts are to be reached by tunnel or gateway`);
    while (this.#next >= this.#max || this.#taken.has(this.#next))
      this.#next = this.#next >= this.#max ? 1 : this.#next + 1;
    const number = this.#next++;
    this.#ids.set(hostId, number);
    this.#taken.add(number);
    this.#changed = true;
    return number;
  }

  /** All others are forgotten. */
  keep(hosts: ReadonlyMap<string, number>): void {
    for (const id of this.#ids.keys()) {
      if (hosts.has(id)) continue;
      this.#ids.delete(id);
      this.#changed = true;
    }
    this.#taken = new Set(this.#ids.values());
  }

  takeChange(): LocalIdState | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return { next: this.#next, ids: Object.fromEntries(this.#ids) };
  }
}

const SCOPE = weir_identity.IDENTITY_SCOPE_CIDR;
const NUMBERS = 0xffffff;

/**
 * A prefix that no policy names any more keeps its number and its entries in the policy tables for a while
 * (`collect`): it leaves the cidrs map first, so that its addresses fall to the next shorter prefix under tables that
 * treat both alike, and only then its entries go. Otherwise there would be a moment without its rules.
 */
export class CidrIds {
  readonly #ids = new Map<string, number>();
  #wanted: ReadonlySet<string> = new Set();
  readonly #max: number;
  readonly #taken = new Set<number>();
  #next = 1;

  constructor(max: number = weir_limits.WEIR_MAX_CIDRS) {
    this.#max = max;
  }

  /** Found in the kernel at start. */
  adopt(prefix: string, identity: number): void {
    this.#ids.set(prefix, identity);
    this.#taken.add(identity);
  }

  /** True when the set to compile with changed. `refused` are prefixes for which there is no room. */
  want(wanted: ReadonlySet<string>): { readonly changed: boolean; readonly refused: ReadonlySet<string> } {
    let changed = false;
    const refused = new Set<string>();
    const kept = new Set<string>();
    // Who has a place keeps it: a policy that grows beyond all bounds takes nothing from others.
    const ordered =
      wanted.size <= this.#max
        ? wanted
        : new Set([...[...wanted].filter((prefix) => this.#ids.has(prefix)), ...wanted]);
    for (const prefix of ordered) {
      if (kept.size >= this.#max) {
        refused.add(prefix);
        continue;
      }
      kept.add(prefix);
      if (this.#ids.has(prefix)) continue;
      this.#ids.set(prefix, this.#allocate());
      changed = true;
    }
    this.#wanted = kept;
    return { changed, refused };
  }

  #allocate(): number {
    for (;;) {
      const identity = (SCOPE | this.#next) >>> 0;
      this.#next = this.#next === NUMBERS ? 1 : this.#next + 1;
      if (this.#taken.has(identity)) continue;
      this.#taken.add(identity);
      return identity;
    }
  }

  /** Forgets the prefixes that nobody wants. True when there were any. */
  collect(): boolean {
    let changed = false;
    for (const [prefix, identity] of this.#ids) {
      if (this.#wanted.has(prefix)) continue;
      this.#ids.delete(prefix);
      this.#taken.delete(identity);
      changed = true;
    }
    return changed;
  }

  /** All that tables are compiled with: wanted and not yet collected. */
  get all(): ReadonlyMap<string, number> {
    return this.#ids;
  }

  /** What the cidrs map should hold. */
  get installed(): ReadonlyMap<string, number> {
    const installed = new Map<string, number>();
    for (const prefix of this.#wanted) {
      const identity = this.#ids.get(prefix);
      if (identity !== undefined) installed.set(prefix, identity);
    }
    return installed;
  }
}
