// SPDX-License-Identifier: Apache-2.0
/**
 * Makes the kernel hold what the planner says. It decides nothing but the order of the writes, which is this file:
 *
 *   1 close      workloads that must not pass, or whose policy does not fit: one write each, before anything else
 *   2 begin      flags of directions that will be enforced, odd revision (no verdict changes, see transition.ts)
 *   3 prepare    tables in force learn the numbers of new prefixes, as what their addresses were (new-prefixes.ts)
 *   4 cidrs      get the new prefixes: now their addresses have the new numbers, and the verdicts they had
 *   5 swap       the new tables: they know all identities and prefixes, new and old
 *   6 add        ipcache, addresses: only now does traffic get the new identities (EVAL-10)
 *   7 remove     cidrs, ipcache: the tables still know the old ones, until the planner's `collect`
 *   8 commit     final flags and a new, even revision: conntrack judges every connection again
 *   9 routes, uplinks
 *
 * Wiring comes before (wiring.ts), so that a workload that is new or goes is closed during all of this. Killed between
 * any two writes, the kernel holds a state in which nothing passes that neither the old nor the new configuration
 * allows; the next start reads what is there and goes on.
 */
import { weir_limits, weir_workload_flags } from '@weir/bpf';
import { samePolicyTable } from '@weir/bpf/policy-table';
import type { Desired } from '../plan/desired.ts';
import { HOST_ENDPOINT } from '../plan/host-policy.ts';
import type { IpcacheDelta } from '../plan/ipcache.ts';
import type { DesiredWorkload } from '../plan/model.ts';
import { extendTable, repeatsFor } from '../plan/new-prefixes.ts';
import { LOCKDOWN_FLAGS, nextRevision, planTransition, type Transition } from '../plan/transition.ts';
import type { ReachFailpoint } from './failpoint.ts';
import type { Kernel, WorkloadValue } from './ports.ts';
import { applyRoutes, type RouteFailure } from './routes.ts';
import type { Wired } from './wiring.ts';

const { WORKLOAD_LOCKDOWN, WORKLOAD_READY } = weir_workload_flags;

/** Longer than a pass takes between its first write and the commit. */
const DRAIN_AHEAD_NS = 2_000_000_000n;

export interface ApplyInput {
  readonly desired: Desired;
  readonly ipcache: IpcacheDelta;
  /** Workloads that are connected, by id. */
  readonly wired: ReadonlyMap<string, Wired>;
  /** What the cidrs and addresses maps hold. */
  readonly cidrs: Map<string, number>;
  readonly addresses: Map<string, number>;
  readonly routes: Map<string, { readonly dst: string; readonly via: string }>;
}

export interface ApplyResult {
  /** Workloads that are in lockdown because their table could not be written. */
  readonly failed: ReadonlyMap<string, Error>;
  readonly routeFailures: readonly RouteFailure[];
  readonly uplinkFailures: readonly string[];
  readonly encryptionFailures: readonly string[];
  /** Tables swapped, values committed: for logs and metrics. */
  readonly swapped: number;
  readonly committed: number;
}

interface Move {
  readonly wired: Wired;
  readonly workload: DesiredWorkload;
  readonly transition: Transition;
}

const isRejudging = (input: ApplyInput): boolean => {
  if (input.ipcache.rejudge) return true;
  for (const [prefix, identity] of input.desired.cidrs) if (input.cidrs.get(prefix) !== identity) return true;
  for (const prefix of input.cidrs.keys()) if (!input.desired.cidrs.has(prefix)) return true;
  return false;
};

const planMoves = (input: ApplyInput): Move[] => {
  const rejudge = isRejudging(input);
  const moves: Move[] = [];
  for (const [id, wired] of input.wired) {
    const workload = input.desired.workloads.get(id);
    if (!workload) continue;
    const { policy, identity } = workload;
    const transition = planTransition({ actual: wired.value, actualTable: wired.table, policy, identity, rejudge });
    moves.push({ wired, workload, transition });
  }
  return moves;
};

export class Executor {
  readonly #kernel: Kernel;
  readonly #reach: ReachFailpoint;
  readonly #maxEntries = weir_limits.WEIR_MAX_POLICY;
  /** Of each interface the change whose word about connections the kernel has. */
  readonly #drains = new Map<number, number>();

  constructor(kernel: Kernel, reach: ReachFailpoint) {
    this.#kernel = kernel;
    this.#reach = reach;
  }

  async apply(input: ApplyInput): Promise<ApplyResult> {
    const { maps } = this.#kernel;
    const moves = planMoves(input);
    const draining = await this.#beginDrains(moves);
    await this.#writeValues(moves, 'close');
    await this.#reach('apply.closed');
    await this.#writeValues(moves, 'begin');
    await this.#reach('apply.begun');
    const { desired, ipcache, cidrs } = input;
    const newCidrs = [...desired.cidrs].filter(([prefix, identity]) => cidrs.get(prefix) !== identity);
    await this.#prepare(moves, cidrs, newCidrs);
    await this.#reach('apply.prepared');
    await maps.writeCidrs(newCidrs);
    for (const [prefix, identity] of newCidrs) cidrs.set(prefix, identity);
    await this.#reach('apply.cidrs-written');
    const { failed, swapped } = await this.#swap(moves);
    await this.#reach('apply.swapped');
    await maps.writeIpcache(ipcache.puts);
    await this.#reach('apply.ipcache-written');
    await this.#writeAddresses(input);
    await this.#reach('apply.addresses-written');

    const oldCidrs = [...cidrs.keys()].filter((prefix) => !desired.cidrs.has(prefix));
    await maps.removeCidrs(oldCidrs);
    for (const prefix of oldCidrs) cidrs.delete(prefix);
    await this.#reach('apply.cidrs-removed');
    await maps.removeIpcache(ipcache.deletes);
    await this.#reach('apply.ipcache-removed');

    const isLimited = [...desired.workloads.values()].some(
      ({ bandwidth }) => bandwidth !== undefined && bandwidth.egress > 0,
    );
    await this.#kernel.pacing.sync(isLimited);
    // Before the flag that makes the program look for it; without the flag it means nothing.
    for (const { wired, workload } of moves) {
      await maps.writeBandwidth(wired.ifindex, workload.bandwidth);
      wired.bandwidth = workload.bandwidth;
    }
    const committed = await this.#writeValues(
      moves.filter(({ workload }) => !failed.has(workload.id)),
      'commit',
    );
    await this.#reach('apply.committed');
    await this.#endDrains(draining);
    const routeFailures = await applyRoutes(this.#kernel.network, desired.routes, input.routes);
    await this.#reach('apply.routes-written');
    const uplinkFailures = await this.#kernel.uplinks.sync(desired.uplinks);
    await this.#reach('apply.uplinks-written');
    return { failed, routeFailures, uplinkFailures, encryptionFailures: [], swapped, committed };
  }

  /**
   * Before anything is judged by the new table. What drains is what was allowed by the old one, which still lets connections begin until the
   * swap: until then the time is one that is not over yet.
   */
  async #beginDrains(moves: readonly Move[]): Promise<Move[]> {
    const due = moves.filter(({ wired, workload: { established } }) => {
      return established !== undefined && this.#drains.get(wired.ifindex) !== established.number;
    });
    for (const { wired, workload } of due) {
      const until = process.hrtime.bigint() + DRAIN_AHEAD_NS;
      await this.#kernel.maps.writeDrain(wired.ifindex, workload.established?.drains ? until : undefined);
    }
    return due;
  }

  async #endDrains(due: readonly Move[]): Promise<void> {
    for (const { wired, workload } of due) {
      if (workload.established?.drains) await this.#kernel.maps.writeDrain(wired.ifindex, process.hrtime.bigint());
      if (workload.established) this.#drains.set(wired.ifindex, workload.established.number);
    }
  }

  async #writeValues(moves: readonly Move[], part: 'close' | 'begin' | 'commit'): Promise<number> {
    const writes = moves.flatMap(({ wired, transition }) => {
      const state = transition[part];
      return state ? [{ wired, value: { ...wired.value, ...state } satisfies WorkloadValue }] : [];
    });
    if (writes.length === 0) return 0;
    await this.#kernel.maps.writeWorkloads(writes.map(({ value }) => value));
    for (const { wired, value } of writes) wired.value = value;
    return writes.length;
  }

  /** What fails here is left: addresses of new prefixes are then denied until the swap that follows. */
  async #prepare(
    moves: readonly Move[],
    installed: ReadonlyMap<string, number>,
    added: readonly (readonly [string, number])[],
  ): Promise<void> {
    if (added.length === 0) return;
    const repeats = repeatsFor(installed, added);
    const swaps = moves.flatMap(({ wired }) => {
      if (!wired.table || !(wired.value.flags & WORKLOAD_READY)) return [];
      const table = extendTable(wired.table, repeats, this.#maxEntries);
      return table === wired.table ? [] : [{ wired, table }];
    });
    if (swaps.length === 0) return;
    const failures = await this.#kernel.maps.swapPolicies(
      swaps.map(({ wired, table }) => ({ ifindex: wired.ifindex, table })),
    );
    const failed = new Set(failures.map(({ ifindex }) => ifindex));
    for (const { wired, table } of swaps) if (!failed.has(wired.ifindex)) wired.table = table;
  }

  async #swap(moves: readonly Move[]): Promise<{ failed: Map<string, Error>; swapped: number }> {
    const failed = new Map<string, Error>();
    const swaps = moves.flatMap(({ wired, workload }) => {
      // Against what is in force now: preparing may have changed it.
      const table = workload.policy?.table;
      const due = table && !workload.policy?.lockdown && !(wired.table && samePolicyTable(wired.table, table));
      return due ? [{ wired, workload, table }] : [];
    });
    if (swaps.length === 0) return { failed, swapped: 0 };
    const failures = await this.#kernel.maps.swapPolicies(
      swaps.map(({ wired, table }) => ({ ifindex: wired.ifindex, table })),
    );
    const errors = new Map(failures.map(({ ifindex, error }) => [ifindex, error]));
    for (const { wired, workload, table } of swaps) {
      const error = errors.get(wired.ifindex);
      if (error) failed.set(workload.id, error);
      else wired.table = table;
    }
    // The host itself stays as it was: nobody could put it right any more.
    const refused = swaps.filter(({ workload }) => failed.has(workload.id) && workload.id !== HOST_ENDPOINT);
    await this.#lockDown(refused.map(({ wired }) => wired));
    return { failed, swapped: swaps.length - failed.size };
  }

  /** A table that does not fit is no reason to go on with an old one: never a policy that nobody wrote. */
  async #lockDown(refused: readonly Wired[]): Promise<void> {
    const locked = refused.map((wired) => ({ wired, value: lockedValue(wired.value) }));
    if (locked.length === 0) return;
    await this.#kernel.maps.writeWorkloads(locked.map(({ value }) => value));
    for (const { wired, value } of locked) wired.value = value;
  }

  async #writeAddresses({ wired, addresses }: ApplyInput): Promise<void> {
    const { maps } = this.#kernel;
    const wanted = new Map<string, number>();
    for (const { value, ifindex } of wired.values()) {
      for (const address of [value.ip4, value.ip6]) if (address !== '') wanted.set(address, ifindex);
    }
    for (const [address, ifindex] of wanted) {
      if (addresses.get(address) === ifindex) continue;
      await maps.writeAddress(address, ifindex);
      addresses.set(address, ifindex);
    }
    for (const address of [...addresses.keys()]) {
      if (wanted.has(address)) continue;
      await maps.removeAddress(address);
      addresses.delete(address);
    }
  }
}

const lockedValue = (value: WorkloadValue): WorkloadValue =>
  value.flags & WORKLOAD_LOCKDOWN ? value : { ...value, flags: LOCKDOWN_FLAGS, revision: nextRevision(value.revision) };
