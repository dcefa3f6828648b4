// SPDX-License-Identifier: Apache-2.0
/**
 * The bytes of a filter program, as a BPF map holds them: a head, one record for each selector, one for each filter. Little endian,
 * records of one size, so that the kernel walks them with one bounded loop. What does not fit into four numbers stands in a
 * table of its own, named by its place.
 */
import type { Comparison } from '../words.ts';

export const PROGRAM_VERSION = 1;
export const HEAD_BYTES = 8;
export const SELECTOR_BYTES = 8;
export const FILTER_BYTES = 48;
export const INLINE_VALUES = 4;
export const NO_TABLE = 0xffff;

/** u8 at 0 of a filter: what it looks at. */
export const FILTER_KINDS = [
  'arg',
  'data',
  'return',
  'pid',
  'binary',
  'parent-binary',
  'namespace',
  'namespace-change',
  'capability',
  'capability-change',
  'workload',
] as const;
export type FilterKind = (typeof FILTER_KINDS)[number];

/** u8 at 1: how it compares. */
export const COMPARISONS: readonly Comparison[] = [
  'equal',
  'greater',
  'less',
  'mask',
  'range',
  'in-list',
  'prefix',
  'postfix',
  'substring',
  'substring-any-case',
  'file-type',
  'source-port',
  'source-port-privileged',
  'destination-port',
  'destination-port-privileged',
  'source-address',
  'destination-address',
  'protocol',
  'family',
  'state',
  'capabilities-gained',
];

/** Bits of the u8 at 4. */
export const FLAG = {
  /** Holds when nothing of it matches. */
  negated: 1,
  signed: 2,
  /** Ancestors count, too. */
  follow: 4,
  /** The PID in its namespace; capabilities of another user namespace. */
  namespace: 8,
  /** The host's namespace is one of the values. */
  host: 16,
} as const;

export interface FilterRecord {
  readonly kind: FilterKind;
  readonly comparison: Comparison;
  /** Argument, namespace or capability set. */
  readonly slot: number;
  /** Of CapabilitiesGained: after; `slot` is before. */
  readonly otherSlot: number;
  readonly flags: number;
  /** Of an integer argument; 0 otherwise. */
  readonly bits: number;
  /** Place among the tables of the hook, or NO_TABLE. */
  readonly table: number;
  /** INLINE_VALUES at most, as 64 bits. */
  readonly values: readonly bigint[];
}

/** Filters of a selector, in the order in which they are tried: those of the call, then those of its return. */
export interface SelectorRecord {
  readonly filters: readonly FilterRecord[];
  readonly returnFilters: readonly FilterRecord[];
}

/** head: u8 version, u8 selectors, u16 filters, u32 0. selector: u16 first, u16 filters, u16 return filters, u16 0. */
export const encodeProgram = (selectors: readonly SelectorRecord[]): Uint8Array => {
  const all = selectors.flatMap(({ filters, returnFilters }) => [...filters, ...returnFilters]);
  const bytes = new Uint8Array(HEAD_BYTES + selectors.length * SELECTOR_BYTES + all.length * FILTER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, PROGRAM_VERSION);
  view.setUint8(1, selectors.length);
  view.setUint16(2, all.length, true);
  let at = HEAD_BYTES;
  let first = 0;
  for (const { filters, returnFilters } of selectors) {
    view.setUint16(at, first, true);
    view.setUint16(at + 2, filters.length, true);
    view.setUint16(at + 4, returnFilters.length, true);
    first += filters.length + returnFilters.length;
    at += SELECTOR_BYTES;
  }
  for (const filter of all) {
    view.setUint8(at, FILTER_KINDS.indexOf(filter.kind));
    view.setUint8(at + 1, COMPARISONS.indexOf(filter.comparison));
    view.setUint8(at + 2, filter.slot);
    view.setUint8(at + 3, filter.otherSlot);
    view.setUint8(at + 4, filter.flags);
    view.setUint8(at + 5, filter.values.length);
    view.setUint16(at + 6, filter.table, true);
    view.setUint32(at + 8, filter.bits, true);
    for (const [index, value] of filter.values.entries()) {
      view.setBigUint64(at + 16 + index * 8, BigInt.asUintN(64, value), true);
    }
    at += FILTER_BYTES;
  }
  return bytes;
};

const decodeFilter = (view: DataView, at: number): FilterRecord => ({
  kind: FILTER_KINDS[view.getUint8(at)] as FilterKind,
  comparison: COMPARISONS[view.getUint8(at + 1)] as Comparison,
  slot: view.getUint8(at + 2),
  otherSlot: view.getUint8(at + 3),
  flags: view.getUint8(at + 4),
  table: view.getUint16(at + 6, true),
  bits: view.getUint32(at + 8, true),
  values: Array.from({ length: view.getUint8(at + 5) }, (_, index) => view.getBigUint64(at + 16 + index * 8, true)),
});

/** What encodeProgram wrote. */
export const decodeProgram = (bytes: Uint8Array): SelectorRecord[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint8(1);
  const base = HEAD_BYTES + count * SELECTOR_BYTES;
  const records = (first: number, length: number): FilterRecord[] =>
    Array.from({ length }, (_, index) => decodeFilter(view, base + (first + index) * FILTER_BYTES));
  return Array.from({ length: count }, (_, index) => {
    const at = HEAD_BYTES + index * SELECTOR_BYTES;
    const first = view.getUint16(at, true);
    const filters = view.getUint16(at + 2, true);
    return {
      filters: records(first, filters),
      returnFilters: records(first + filters, view.getUint16(at + 4, true)),
    };
  });
};
