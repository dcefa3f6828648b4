// SPDX-License-Identifier: Apache-2.0
/** Tables of filters of runtime policies in the kernel's arrays, and sets of workloads that hooks are for. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  type runtime_hook,
  runtime_member_key,
  runtime_prefix,
  runtime_range,
  runtime_text,
  weir_runtime_filter_kind,
  weir_runtime_limits,
  weir_runtime_table,
} from '@weir/bpf';
import type { BpfMap, BpfObject } from '@weir/loader';
import { matchesWorkload, type Table } from '@weir/runtime-engine';
import { CannotAttach } from '../../runtime/calls.ts';
import type { TablePlaces } from '../../runtime/encode.ts';
import type { RuntimeWorkload } from '../../runtime/port.ts';
import { type Region, Regions } from '../../runtime/regions.ts';

const { RUNTIME_TEXTS, RUNTIME_RANGES, RUNTIME_PREFIXES, RUNTIME_TEXT_BYTES } = weir_runtime_limits;
const WORDS = RUNTIME_TEXT_BYTES / 8;
const PREFIX_BYTES = 16;

type ArrayName = 'texts' | 'ranges' | 'prefixes';
const ARRAYS: ReadonlyMap<number, ArrayName> = new Map([
  [weir_runtime_table.RUNTIME_TABLE_TEXTS, 'texts'],
  [weir_runtime_table.RUNTIME_TABLE_RANGES, 'ranges'],
  [weir_runtime_table.RUNTIME_TABLE_PREFIXES, 'prefixes'],
] as const);
/** What a hook holds of the arrays. */
export type Held = readonly { readonly array: ArrayName; readonly region: Region }[];
type IsMember = (workload: RuntimeWorkload) => boolean;

const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32LE(value);
  return out;
};

const textBytes = (text: Uint8Array): Buffer => {
  if (text.length > RUNTIME_TEXT_BYTES)
    throw new CannotAttach(`a text of ${text.length} bytes cannot be compared: at most ${RUNTIME_TEXT_BYTES} can`);
  const bytes = Buffer.alloc(RUNTIME_TEXT_BYTES);
  bytes.set(text);
  const words = Array.from({ length: WORDS }, (_, at) => bytes.readBigUInt64LE(at * 8));
  return runtime_text.encode({ length: text.length, words });
};

const words = (bytes: Uint8Array): bigint[] => {
  const buffer = Buffer.from(bytes);
  return [buffer.readBigUInt64LE(0), buffer.readBigUInt64LE(8)];
};

const prefixBytes = ({ family, address, bits }: { family: 4 | 6; address: Uint8Array; bits: number }): Buffer => {
  const mask = new Uint8Array(PREFIX_BYTES).map((_, at) => 0xff & (0xff00 >> Math.min(8, Math.max(0, bits - at * 8))));
  const masked = address.map((byte, at) => byte & (mask[at] as number));
  return runtime_prefix.encode({ family, bits, address: words(masked), mask: words(mask) });
};

const inodeOf = (path: string): bigint | undefined => {
  try {
    return statSync(path, { bigint: true }).ino;
  } catch {
    return undefined;
  }
};

/** What an earlier agent's hook holds. */
const heldBy = ({ filters }: runtime_hook): Held =>
  filters.flatMap(({ table, first, entries }): Held => {
    const array = ARRAYS.get(table);
    return array === undefined ? [] : [{ array, region: { first, entries } }];
  });

export class RuntimeTables implements TablePlaces {
  readonly #maps: Readonly<Record<ArrayName, BpfMap>>;
  readonly #members: BpfMap;
  readonly #cgroupRoot: string | undefined;
  readonly #regions: Readonly<Record<ArrayName, Regions>> = {
    texts: new Regions('texts', RUNTIME_TEXTS),
    ranges: new Regions('ranges', RUNTIME_RANGES),
    prefixes: new Regions('prefixes', RUNTIME_PREFIXES),
  };
  /** Number of a set -> who is in it; 0: all. */
  readonly #sets = new Map<number, IsMember>([[0, () => true]]);
  #nextSet = 1;
  #written: { array: ArrayName; region: Region }[] = [];
  #setsMade: number[] = [];

  constructor(object: BpfObject, cgroupRoot: string | undefined) {
    this.#maps = {
      texts: object.map('runtime_texts'),
      ranges: object.map('runtime_ranges'),
      prefixes: object.map('runtime_prefixes'),
    };
    this.#members = object.map('runtime_members');
    this.#cgroupRoot = cgroupRoot;
  }

  /** Of an earlier agent's hook: it stays as long as the hook does. */
  adopt(hook: runtime_hook): Held {
    const held = heldBy(hook);
    for (const { array, region } of held) this.#regions[array].adopt(region);
    const sets = hook.filters.flatMap(({ kind, first }) =>
      kind === weir_runtime_filter_kind.RUNTIME_FILTER_WORKLOAD ? [first] : [],
    );
    this.#nextSet = Math.max(this.#nextSet, ...[hook.workloads, ...sets].map((set) => set + 1));
    return held;
  }

  /** What is placed from now on belongs to one hook. */
  begin(): void {
    this.#written = [];
    this.#setsMade = [];
  }

  get held(): Held {
    return this.#written;
  }

  get sets(): readonly number[] {
    return this.#setsMade;
  }

  release(held: Held, sets: readonly number[]): void {
    for (const { array, region } of held) this.#regions[array].give(region);
    for (const set of sets) this.#sets.delete(set);
  }

  addSet(isMember: IsMember): number {
    const set = this.#nextSet++;
    this.#sets.set(set, isMember);
    this.#setsMade.push(set);
    return set;
  }

  place(table: Table): Region {
    switch (table.kind) {
      case 'ranges':
        return this.#put(
          'ranges',
          table.ranges.map(({ from, to }) =>
            runtime_range.encode({ from: BigInt.asUintN(64, from), to: BigInt.asUintN(64, to) }),
          ),
        );
      case 'texts':
        return this.#put('texts', table.texts.map(textBytes));
      case 'prefixes':
        return this.#put('prefixes', table.prefixes.map(prefixBytes));
      case 'workloads':
        return {
          first: this.addSet(({ labels }) => table.workloads.some((one) => matchesWorkload(one, labels))),
          entries: 0,
        };
    }
  }

  #put(array: ArrayName, values: readonly Buffer[]): Region {
    const region = this.#regions[array].take(values.length);
    for (const [index, value] of values.entries()) this.#maps[array].update(u32(region.first + index), value);
    this.#written.push({ array, region });
    return region;
  }

  #keysOf({ netns, cgroup }: RuntimeWorkload, set: number): Buffer[] {
    const own = netns === '' ? undefined : inodeOf(netns);
    const folder =
      cgroup === '' || this.#cgroupRoot === undefined ? undefined : inodeOf(join(this.#cgroupRoot, cgroup));
    return [
      ...(own === undefined ? [] : [runtime_member_key.encode({ set, netns: Number(own), cgroup: 0n })]),
      ...(folder === undefined ? [] : [runtime_member_key.encode({ set, netns: 0, cgroup: folder })]),
    ];
  }

  /** Members of all sets as the workloads are now. Returns what takes away those that no longer are. */
  async writeMembers(workloads: readonly RuntimeWorkload[]): Promise<() => Promise<void>> {
    const wanted = new Map<string, Buffer>();
    for (const [set, isMember] of this.#sets)
      for (const workload of workloads.filter(isMember))
        for (const key of this.#keysOf(workload, set)) wanted.set(key.toString('hex'), key);
    for (const key of wanted.values()) this.#members.update(key, u32(1));
    return async () => {
      const { keys, count } = await this.#members.lookupAll();
      for (let at = 0; at < count; at++) {
        const key = Buffer.from(keys.subarray(at * runtime_member_key.size, (at + 1) * runtime_member_key.size));
        if (!wanted.has(key.toString('hex'))) this.#members.delete(key);
      }
    };
  }
}
