// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** Every map: its definition, what it holds, which objects use it, and the codecs of its keys and values. */
import * as codec from '../codec.ts';
import * as structs from './structs.ts';

export interface MapDefinition {
  readonly type: string;
  readonly typeNumber: number;
  /** Struct or scalar, as in C; undefined where the type has none. */
  readonly key: string | undefined;
  readonly keySize: number;
  /** 'map' for maps of maps, whose definition is then inner. */
  readonly value: string | undefined;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly inner?: MapDefinition;
}

export interface MapInfo extends MapDefinition {
  readonly name: string;
  readonly doc: string;
  readonly objects: readonly string[];
}

export const MAPS = {
} as const satisfies Record<string, MapInfo>;

export type MapName = keyof typeof MAPS;

export const MAP_CODECS = {
} as const;
