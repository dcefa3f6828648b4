// SPDX-License-Identifier: Apache-2.0
/**
 * The addon as TypeScript sees it. Everything here is private to this package: the classes beside this file add
 * names, checks and errors. Loaded on first use, so that importing the package never fails.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { weirError } from '@weir/errors';
import type { NativeLinks, NativeNet, NativeRing } from './native-more.ts';

/** Opaque; closed by native.close or by the garbage collector. */
export type Handle = { readonly __handle: unique symbol };

export interface NativeMapFacts {
  readonly handle: Handle;
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly stride: number;
  readonly id: number;
  readonly fd: number;
  readonly reused?: boolean;
  readonly pending?: boolean;
}

export interface NativeProgramFacts {
  readonly handle: Handle;
  readonly name: string;
  readonly section: string;
  readonly type: number;
  readonly id: number;
  readonly fd: number;
  readonly tag: string;
  readonly instructions: number;
}

export interface NativeOpenOptions {
  readonly name: string;
  readonly pinDir: string | undefined;
  readonly pins: readonly string[] | undefined;
  readonly reusePins: boolean | undefined;
  readonly replaceIncompatible: boolean | undefined;
  readonly autoload: readonly string[] | undefined;
  readonly maxEntries: readonly (readonly [string, number])[];
  readonly rodata: readonly (readonly [string, Uint8Array])[];
}

export interface NativeTestRun {
  readonly data: Uint8Array | undefined;
  readonly ctx: Uint8Array | undefined;
  readonly repeat: number | undefined;
  readonly dataSizeOut: number;
  readonly flags: number | undefined;
  readonly cpu: number | undefined;
  readonly batchSize: number | undefined;
  readonly netns: string | undefined;
}

export interface TestRunResult {
  readonly retval: number;
  readonly dataOut: Buffer;
  readonly ctxOut: Buffer;
  /** Of one repeat, by the wall clock. */
  readonly durationNs: number;
  /** Of all repeats, the processor time of the thread that ran them. */
  readonly cpuNs: number;
}

export interface Elements {
  readonly keys: Buffer;
  readonly values: Buffer;
  readonly count: number;
}

export interface Native extends NativeLinks, NativeNet, NativeRing {
  close(handle: Handle): boolean;
  isOpen(handle: Handle): boolean;
  pin(handle: Handle, path: string): void;
  objectOpen(
    source: string | Uint8Array,
    options: NativeOpenOptions,
  ): Promise<{ handle: Handle; maps: NativeMapFacts[]; programs: NativeProgramFacts[] }>;
  objectCommitPins(object: Handle): Promise<void>;
  mapLookup(map: Handle, key: Uint8Array, flags?: number): Buffer | undefined;
  mapUpdate(map: Handle, key: Uint8Array, value: Uint8Array, flags?: number): void;
  mapUpdateFd(map: Handle, key: Uint8Array, held: Handle): void;
  mapDelete(map: Handle, key: Uint8Array): boolean;
  mapPop(map: Handle, key: Uint8Array): Buffer | undefined;
  mapFreeze(map: Handle): void;
  mapLookupAll(map: Handle): Promise<Elements>;
  mapUpdateBatch(map: Handle, keys: Uint8Array, values: Uint8Array, count: number, flags?: number): Promise<void>;
  mapDeleteBatch(map: Handle, keys: Uint8Array, count: number): Promise<number>;
  mapCreate(
    options: { type: number; keySize: number; valueSize: number; maxEntries: number; flags: number | undefined },
    name: string,
  ): Promise<NativeMapFacts>;
  mapCreateInner(outer: Handle, name: string, maxEntries: number | undefined): Promise<NativeMapFacts>;
  mapById(id: number): NativeMapFacts;
  mapByPath(path: string): NativeMapFacts;
  programByPath(path: string): NativeProgramFacts;
  programTestRun(program: Handle, options: NativeTestRun): Promise<TestRunResult>;
  programTestRuns(program: Handle, data: Uint8Array, ends: Uint32Array, ctx: Uint8Array | undefined): Promise<Buffer>;
}

let loaded: Native | undefined;

export const native = (): Native => {
  if (loaded) return loaded;
  const path = fileURLToPath(new URL('../build/Release/weir_loader.node', import.meta.url));
  try {
    loaded = createRequire(import.meta.url)(path) as Native;
  } catch (cause) {
    throw weirError('UNAVAILABLE', `the native loader cannot be loaded from ${path}: ${(cause as Error).message}`, {
      fix: 'install libbpf-dev (libbpf 1.1 or newer) and run `npm run build`',
      cause,
    });
  }
  return loaded;
};
