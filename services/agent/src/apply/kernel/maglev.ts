// SPDX-License-Identifier: Apache-2.0
/** Maglev tables as inner maps: built apart, put in place by one call for all. */
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

export const readTable = async (tables: BpfMap, table: number): Promise<MaglevSlots | undefined> => {
  const id = tables.lookupInnerId(u32(table));
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

export const writeTables = async (
  tables: BpfMap,
  entries: readonly (readonly [table: number, slots: MaglevSlots])[],
): Promise<void> => {
  for (let at = 0; at < entries.length; at += AT_ONCE) {
    const built: { readonly table: number; readonly inner: BpfMap }[] = [];
    try {
      for (const [table, slots] of entries.slice(at, at + AT_ONCE))
        built.push({ table, inner: await build(tables, table, slots) });
      const keys = Buffer.concat(built.map(({ table }) => u32(table)));
      const values = Buffer.concat(built.map(({ inner }) => u32(inner.fd)));
      await tables.updateBatch(keys, values, built.length);
    } finally {
      for (const { inner } of built) inner.close();
    }
  }
};
