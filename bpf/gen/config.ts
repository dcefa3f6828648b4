// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** Load-time configuration of each object: `const volatile` variables of .rodata, by which the verifier prunes. */

export interface ConfigVariable {
  readonly name: string;
  readonly type: string;
  /** Inside the section, bytes. */
  readonly offset: number;
  readonly size: number;
  /** Value when the loader sets none; undefined where it is not a plain number. */
  readonly initial: number | bigint | boolean | undefined;
  readonly doc: string;
}

export interface ObjectConfig {
  readonly section: string;
  readonly size: number;
  readonly variables: Readonly<Record<string, ConfigVariable>>;
}

export const CONFIG = {
} as const satisfies Record<string, ObjectConfig>;
