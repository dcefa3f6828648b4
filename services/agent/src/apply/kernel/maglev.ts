// SPDX-License-Identifier: Apache-2.0
/**
 * Maglev tables as inner maps: built apart, put in place by one call for all. Programs find a table by its place in an array,
 * which costs a packet no call; the frontend says which place that is, so a restarted agent finds them there.
 */
import { weirError } from '@weir/errors';
import { type BpfMap, createInner, openMapById } from '@weir/loader';
import type { MaglevSlots } from '../maglev-tables.ts';

const SLOT_BYTES = 8;
/** The kernel waits for all programs under way once for each call. */
const AT_ONCE = 64;

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};

/** 0, 1, 2 and so on: keys of an array. */
const numbersBelow = (count: number): Uint8Array =>
  new Uint8Array(Uint32Array.from({ length: count }, (_, i) => i).buffer);

const readInner = async (tables: BpfMap, place: number): Promise<MaglevSlots | undefined> => {
  const id = tables.lookupInnerId(u32(place));
  if (id === undefined) return undefined;
  const inner = openMapById(id);
  try {
    const { values, count } = await inner.lookupAll();
    const slots = new Uint32Array(count * 2);
    new Uint8Array(slots.buffer).set(values.subarray(0, count * SLOT_BYTES));
    return slots;
  } finally {
    inner.close();
  }
};

const build = async (tables: BpfMap, table: number, slots: MaglevSlots): Promise<BpfMap> => {
  const size = slots.length / 2;
  const inner = await createInner(tables, `maglev_${table}`.slice(0, 15), { maxEntries: size });
  try {
    await inner.updateBatch(numbersBelow(size), new Uint8Array(slots.buffer), size);
    return inner;
  } catch (error) {
    inner.close();
    throw error;
  }
};

export class MaglevArrays {
  readonly #places = new Map<number, number>();
  readonly #taken = new Set<number>();
  /** All below are taken, or were a moment ago. */
  #next = 0;

  /** `places`: of tables, as frontends in the kernel say it. Returns the tables that are there. */
  start(tables: BpfMap, places: ReadonlyMap<number, number>): readonly number[] {
    this.#places.clear();
    this.#taken.clear();
    this.#next = 0;
    for (const [table, place] of places) {
      if (this.#taken.has(place) || tables.lookupInnerId(u32(place)) === undefined) continue;
      this.#places.set(table, place);
      this.#taken.add(place);
    }
    return [...this.#places.keys()];
  }

  /** Of a table that was written. */
  placeOf(table: number): number {
    const place = this.#places.get(table);
    if (place === undefined) throw weirError('INTERNAL', `table ${table} of Maglev was never written`);
    return place;
  }

  async read(tables: BpfMap, table: number): Promise<MaglevSlots | undefined> {
    const place = this.#places.get(table);
    return place === undefined ? undefined : readInner(tables, place);
  }

  async write(tables: BpfMap, entries: readonly (readonly [table: number, slots: MaglevSlots])[]): Promise<void> {
    for (let at = 0; at < entries.length; at += AT_ONCE) {
      const built: { readonly place: number; readonly inner: BpfMap }[] = [];
      try {
        for (const [table, slots] of entries.slice(at, at + AT_ONCE))
          built.push({ place: this.#take(table), inner: await build(tables, table, slots) });
        const keys = Buffer.concat(built.map(({ place }) => u32(place)));
        const values = Buffer.concat(built.map(({ inner }) => u32(inner.fd)));
        await tables.updateBatch(keys, values, built.length);
      } finally {
        for (const { inner } of built) inner.close();
      }
    }
  }

  /**
   * No frontend says their places any more. The first place keeps what it had until the next table takes it: whoever opens
   * the pinned array knows its shape by that.
   */
  remove(tables: BpfMap, gone: readonly number[]): void {
    for (const table of gone) {
      const place = this.#places.get(table);
      if (place === undefined) continue;
      if (place > 0) tables.delete(u32(place));
      this.#places.delete(table);
      this.#taken.delete(place);
      this.#next = Math.min(this.#next, place);
    }
  }

  #take(table: number): number {
    const had = this.#places.get(table);
    if (had !== undefined) return had;
    while (this.#taken.has(this.#next)) this.#next++;
    this.#places.set(table, this.#next);
    this.#taken.add(this.#next);
    return this.#next;
  }
}
