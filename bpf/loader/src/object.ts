// SPDX-License-Identifier: Apache-2.0
/**
 * One BPF object file, loaded. Maps with a pin of the same shape are taken over with their contents, so an agent that
 * starts again finds its state; a pin of another shape is an error unless the caller asked to replace it, and then
 * the old one stays until commitPins().
 */
import { basename } from 'node:path';
import { weirError } from '@weir/errors';
import { attemptAsync } from './errors.ts';
import { BpfMap } from './map.ts';
import { type Handle, native } from './native.ts';
import { BpfProgram } from './program.ts';

export interface OpenOptions {
  /** bpffs folder; each map is at <pinDir>/<map name>. Made when missing. */
  readonly pinDir?: string;
  /** Only these maps are pinned; all that are not internal unless told. */
  readonly pins?: readonly string[];
  readonly maxEntries?: Readonly<Record<string, number>>;
  /** Values of `const volatile` and other global variables before load. */
  readonly rodata?: Readonly<Record<string, Uint8Array>>;
  /** false: existing pins are not taken over but replaced at commitPins(). */
  readonly reusePins?: boolean;
  readonly replaceIncompatible?: boolean;
  /** Only these programs are loaded. */
  readonly autoload?: readonly string[];
}

export class BpfObject {
  readonly name: string;
  /** Global variables are the maps `.rodata`, `.data` and `.bss`. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly programs: ReadonlyMap<string, BpfProgram>;
  readonly #handle: Handle;

  /** @internal */
  constructor(name: string, handle: Handle, maps: readonly BpfMap[], programs: readonly BpfProgram[]) {
    this.name = name;
    this.maps = new Map(maps.map((map) => [map.name, map]));
    this.programs = new Map(programs.map((program) => [program.name, program]));
    this.#handle = handle;
  }

  map(name: string): BpfMap {
    return this.maps.get(name) ?? this.#missing('map', name, [...this.maps.keys()]);
  }

  program(name: string): BpfProgram {
    return this.programs.get(name) ?? this.#missing('program', name, [...this.programs.keys()]);
  }

  /** Each new map takes the place of the incompatible pin in one step. */
  commitPins(): Promise<void> {
    return attemptAsync(this.name, () => native().objectCommitPins(this.#handle));
  }

  /** Closes all maps and programs. What is pinned or attached stays. */
  close(): void {
    for (const map of this.maps.values()) map.close();
    for (const program of this.programs.values()) program.close();
    native().close(this.#handle);
  }

  #missing(kind: string, name: string, known: readonly string[]): never {
    throw weirError('NOT_FOUND', `object ${this.name} has no ${kind} '${name}'`, {
      field: kind,
      value: name,
      fix: `use one of: ${known.join(', ')}`,
    });
  }
}

export const openObject = async (source: string | Uint8Array, options: OpenOptions = {}): Promise<BpfObject> => {
  // libbpf makes map names of it: letters, digits and underscores
  const file = typeof source === 'string' ? basename(source).replace(/(\.bpf)?\.o$/, '') : 'memory';
  const name = file.replaceAll(/\W/g, '_');
  const loaded = await attemptAsync(typeof source === 'string' ? source : 'an object in memory', () =>
    native().objectOpen(source, {
      name,
      pinDir: options.pinDir,
      pins: options.pins,
      reusePins: options.reusePins,
      replaceIncompatible: options.replaceIncompatible,
      autoload: options.autoload,
      maxEntries: Object.entries(options.maxEntries ?? {}),
      rodata: Object.entries(options.rodata ?? {}),
    }),
  );
  return new BpfObject(
    name,
    loaded.handle,
    loaded.maps.map((facts) => new BpfMap(facts)),
    loaded.programs.map((facts) => new BpfProgram(facts)),
  );
};
