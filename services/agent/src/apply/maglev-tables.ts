// SPDX-License-Identifier: Apache-2.0
/**
 * Maglev tables in the kernel: made in a thread of their own, put in place whole. A slot that changes hands keeps the
 * backend it had before any of this began as `previous`, so that connections older than the change stay where they are;
 * all that begin meanwhile are in `service_flows`. It is settled, and costs no look into that map any more, when no
 * connection can be left that depends on it: SETTLE_MS after the last change (what conntrack gives an idle connection), and
 * none in `service_flows` has been heard of since. An agent that starts again counts from there anew.
 */
import { createHash } from 'node:crypto';
import { weir_maglev_bits } from '@weir/bpf';
import { createMaglev, type Maglev } from '@weir/maglev';
import type { PlannedMaglev } from '../plan/service-view.ts';

/** As `tcp_established_ns`. */
export const SETTLE_MS = 8_000_000;
const AGAIN_MS = 60_000;
const { MAGLEV_CHANGED } = weir_maglev_bits;
/** Its thread begins with the first table; many simulated agents share it. */
const MAGLEV = createMaglev();

/** Slots one after the other, two numbers each: current, previous. */
export type MaglevSlots = Uint32Array<ArrayBuffer>;

export interface MaglevFlow {
  readonly table: number;
  readonly slot: number;
  readonly backend: number;
  /** CLOCK_MONOTONIC */
  readonly lastNs: bigint;
}

export interface MaglevPort {
  /** Undefined: there is no such table. */
  readMaglev(table: number): Promise<MaglevSlots | undefined>;
  writeMaglev(entries: readonly (readonly [table: number, slots: MaglevSlots])[]): Promise<void>;
  removeMaglev(tables: readonly number[]): Promise<void>;
  readFlows(visit: (flow: MaglevFlow) => void): Promise<void>;
}

interface Known {
  /** Of what the table was made of. */
  readonly signature: string;
  /** Of the last slot that changed hands; undefined: all are settled. */
  readonly changedMs: number | undefined;
}

const signatureOf = (seed: Uint8Array, { size, backends, keeping }: PlannedMaglev): string =>
  createHash('sha256')
    .update(seed)
    .update(JSON.stringify([size, backends, [...keeping].sort((a, b) => a - b)]))
    .digest('base64');

export interface Merged {
  readonly slots: MaglevSlots;
  readonly isDifferent: boolean;
  /** Some slot has just changed hands. */
  readonly isMoved: boolean;
  readonly isSettled: boolean;
}

/** `current` over what was there. `mayForget`: of a slot that changed hands before, whether nobody depends on it any more. */
export const merge = (
  current: Uint32Array,
  before: MaglevSlots | undefined,
  keeping: ReadonlySet<number>,
  mayForget: (slot: number) => boolean,
): Merged => {
  const slots = new Uint32Array(current.length * 2);
  const had = before?.length === slots.length ? before : undefined;
  let isDifferent = had === undefined;
  let isMoved = false;
  let isSettled = true;
  for (let i = 0; i < current.length; i++) {
    const now = current[i] as number;
    const last = had?.[2 * i] ?? now;
    const mark = had?.[2 * i + 1] ?? now;
    const hasMoved = now !== last;
    const previous = (mark & ~MAGLEV_CHANGED) >>> 0;
    let next = now;
    if (hasMoved || (mark !== last && !mayForget(i))) {
      // What began since the first change is in `service_flows`, the rest is where it was before that.
      const kept = [previous, last].find((backend) => keeping.has(backend)) ?? now;
      const isAmbiguous = kept === now && (mark !== last || keeping.has(last));
      next = isAmbiguous ? (now | MAGLEV_CHANGED) >>> 0 : kept;
    }
    isMoved ||= hasMoved;
    isSettled &&= next === now;
    slots[2 * i] = now;
    slots[2 * i + 1] = next;
    isDifferent ||= hasMoved || mark !== next;
  }
  return { slots, isDifferent, isMoved, isSettled };
};

export class MaglevTables {
  readonly #port: MaglevPort;
  readonly #maglev: Maglev;
  readonly #nowMs: () => number;
  readonly #known = new Map<number, Known>();

  /** `nowMs`: of CLOCK_MONOTONIC. */
  constructor(port: MaglevPort, nowMs: () => number, maglev: Maglev = MAGLEV) {
    this.#port = port;
    this.#nowMs = nowMs;
    this.#maglev = maglev;
  }

  /** Tables that are `held` and not wanted stay until `remove`. */
  async put(
    wanted: ReadonlyMap<number, PlannedMaglev>,
    held: ReadonlySet<number>,
    seed: Uint8Array,
  ): Promise<readonly number[]> {
    const now = this.#nowMs();
    const due = new Map<number, PlannedMaglev>();
    for (const [table, planned] of wanted) {
      const known = held.has(table) ? this.#known.get(table) : undefined;
      const isOld = known?.changedMs !== undefined && now - known.changedMs >= SETTLE_MS;
      if (known?.signature !== signatureOf(seed, planned) || isOld) due.set(table, planned);
    }
    if (due.size === 0) return [];
    const needed = await this.#neededSlots(due, now);
    const writes: [number, MaglevSlots][] = [];
    const after = new Map<number, Known>();
    for (const [table, planned] of due) {
      const indexes = await this.#maglev.table({ size: planned.size, seed, backends: planned.backends });
      const current = indexes.map((index) => planned.backends[index]?.number ?? 0);
      const known = held.has(table) ? this.#known.get(table) : undefined;
      const isOld = known?.changedMs !== undefined && now - known.changedMs >= SETTLE_MS;
      const before = held.has(table) ? await this.#port.readMaglev(table) : undefined;
      const merged = merge(current, before, planned.keeping, (slot) => isOld && !needed.has(`${table} ${slot}`));
      if (merged.isDifferent) writes.push([table, merged.slots]);
      const since =
        merged.isMoved || known?.changedMs === undefined ? now : isOld ? now - SETTLE_MS + AGAIN_MS : known.changedMs;
      after.set(table, { signature: signatureOf(seed, planned), changedMs: merged.isSettled ? undefined : since });
    }
    await this.#port.writeMaglev(writes);
    for (const [table, known] of after) this.#known.set(table, known);
    return [...due.keys()];
  }

  async remove(tables: readonly number[]): Promise<void> {
    await this.#port.removeMaglev(tables);
    for (const table of tables) this.#known.delete(table);
  }

  /** Slots of tables that are old enough to settle, of which somebody has been heard since. */
  async #neededSlots(due: ReadonlyMap<number, PlannedMaglev>, now: number): Promise<ReadonlySet<string>> {
    const needed = new Set<string>();
    if (![...due.keys()].some((table) => this.#known.get(table)?.changedMs !== undefined)) return needed;
    const since = BigInt(Math.round(now - SETTLE_MS)) * 1_000_000n;
    await this.#port.readFlows(({ table, slot, lastNs }) => {
      if (due.has(table) && lastNs > since) needed.add(`${table} ${slot}`);
    });
    return needed;
  }
}
