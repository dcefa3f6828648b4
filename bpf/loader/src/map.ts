// SPDX-License-Identifier: Apache-2.0
/**
 * One BPF map. Single elements are read and written synchronously (a system call of a microsecond); everything that
 * grows with the map is asynchronous. Keys and values are bytes: the generated codecs of @weir/bpf make them.
 */
import { weirError } from '@weir/errors';
import { attempt, attemptAsync } from './errors.ts';
import { MAP_TYPE_NAME } from './kinds.ts';
import { type Elements, type Handle, type NativeMapFacts, native } from './native.ts';
import type { BpfProgram } from './program.ts';

export const UPDATE = { ANY: 0, NOEXIST: 1, EXIST: 2, LOCK: 4 } as const;

const NO_KEY = new Uint8Array(0);

export class BpfMap {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  /** Bytes of one value here: per-CPU maps have one, rounded up to 8 bytes, for every possible CPU. */
  readonly valueStride: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly id: number;
  /** Only for messages and for other tools; it is closed with the map. */
  readonly fd: number;
  /** It was pinned before and kept its contents. */
  readonly reused: boolean;
  /** @internal */
  readonly handle: Handle;

  /** @internal */
  constructor(facts: NativeMapFacts) {
    this.name = facts.name;
    this.type = facts.type;
    this.keySize = facts.keySize;
    this.valueSize = facts.valueSize;
    this.valueStride = facts.stride;
    this.maxEntries = facts.maxEntries;
    this.flags = facts.flags;
    this.id = facts.id;
    this.fd = facts.fd;
    this.reused = facts.reused ?? false;
    this.handle = facts.handle;
  }

  get typeName(): string {
    return MAP_TYPE_NAME[this.type] ?? `type ${this.type}`;
  }

  lookup(key: Uint8Array): Buffer | undefined {
    this.#checkKey(key);
    return attempt(this.#label, () => native().mapLookup(this.handle, key));
  }

  update(key: Uint8Array, value: Uint8Array, flags: number = UPDATE.ANY): void {
    this.#checkKey(key);
    this.#checkSize('value', value, this.valueStride);
    attempt(this.#label, () => native().mapUpdate(this.handle, key, value, flags));
  }

  /** True when the key was there. */
  delete(key: Uint8Array): boolean {
    this.#checkKey(key);
    return attempt(this.#label, () => native().mapDelete(this.handle, key));
  }

  /** Takes an element out: of a queue or stack without a key, of a hash with one. */
  pop(key: Uint8Array = NO_KEY): Buffer | undefined {
    this.#checkKey(key);
    return attempt(this.#label, () => native().mapPop(this.handle, key));
  }

  /** No more changes from user space, for ever. */
  freeze(): void {
    attempt(this.#label, () => native().mapFreeze(this.handle));
  }

  /** All elements, one after the other. Not a snapshot: what changes meanwhile may be in it or not. */
  lookupAll(): Promise<Elements> {
    return attemptAsync(this.#label, () => native().mapLookupAll(this.handle));
  }

  /** keys and values hold `count` elements each, one after the other. */
  async updateBatch(keys: Uint8Array, values: Uint8Array, count: number, flags: number = UPDATE.ANY): Promise<void> {
    this.#checkSize('keys', keys, count * this.keySize);
    this.#checkSize('values', values, count * this.valueStride);
    if (count > 0)
      await attemptAsync(this.#label, () => native().mapUpdateBatch(this.handle, keys, values, count, flags));
  }

  /** Returns how many of the keys were there. */
  async deleteBatch(keys: Uint8Array, count: number): Promise<number> {
    this.#checkSize('keys', keys, count * this.keySize);
    if (count === 0) return 0;
    return attemptAsync(this.#label, () => native().mapDeleteBatch(this.handle, keys, count));
  }

  /** Puts a map into this map of maps, replacing in one step what was there. */
  updateInner(key: Uint8Array, inner: BpfMap): void {
    this.#checkKey(key);
    attempt(this.#label, () => native().mapUpdateFd(this.handle, key, inner.handle));
  }

  /** Puts a program into this program array (tail calls). */
  updateProgram(key: Uint8Array, program: BpfProgram): void {
    this.#checkKey(key);
    attempt(this.#label, () => native().mapUpdateFd(this.handle, key, program.handle));
  }

  /** Id of the map (or program) at that key. */
  lookupInnerId(key: Uint8Array): number | undefined {
    return this.lookup(key)?.readUInt32LE(0);
  }

  /** bpffs path; the map outlives this process there. */
  pin(path: string): void {
    attempt(this.#label, () => native().pin(this.handle, path));
  }

  get closed(): boolean {
    return !native().isOpen(this.handle);
  }

  close(): void {
    native().close(this.handle);
  }

  get #label(): string {
    return `map '${this.name}'`;
  }

  #checkKey(key: Uint8Array): void {
    this.#checkSize('key', key, this.keySize);
  }

  #checkSize(field: string, bytes: Uint8Array, size: number): void {
    if (bytes.byteLength === size) return;
    throw weirError('INVALID_ARGUMENT', `${this.#label}: ${field} must have ${size} bytes`, {
      field,
      value: `${bytes.byteLength} bytes`,
      fix: `pass exactly ${size} bytes (key ${this.keySize}, value ${this.valueStride})`,
    });
  }
}

export interface MapDefinition {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags?: number;
}

/** A map that no object declares. */
export const createMap = async (definition: MapDefinition): Promise<BpfMap> => {
  const { name, type, keySize, valueSize, maxEntries, flags } = definition;
  return new BpfMap(
    await attemptAsync(`map '${name}'`, () =>
      native().mapCreate({ type, keySize, valueSize, maxEntries, flags }, name),
    ),
  );
};

/**
 * A map of the shape that `outer` holds; not yet in it. Only an outer map that came from its object knows that
 * shape. Except for arrays, inner maps may differ in maxEntries.
 */
export const createInner = async (
  outer: BpfMap,
  name: string,
  { maxEntries }: { maxEntries?: number } = {},
): Promise<BpfMap> =>
  new BpfMap(
    await attemptAsync(`map '${name}' for '${outer.name}'`, () =>
      native().mapCreateInner(outer.handle, name, maxEntries),
    ),
  );

export const openMapById = (id: number): BpfMap => new BpfMap(attempt(`map id ${id}`, () => native().mapById(id)));

export const openPinnedMap = (path: string): BpfMap => new BpfMap(attempt(path, () => native().mapByPath(path)));
