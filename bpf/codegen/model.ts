// SPDX-License-Identifier: Apache-2.0
/**
 * What is generated from: the kernel/user contract as plain data, free of ELF and BTF. Everything is
 * comparable with deepEqual, which is how objects are checked against each other.
 */

export type FieldType =
  | {
      readonly kind: 'int';
      readonly size: 1 | 2 | 4 | 8;
      readonly signed: boolean;
      readonly bigEndian: boolean;
      /** C name of the enum when the field is declared as one. */
      readonly enumName?: string;
    }
  | { readonly kind: 'bool' }
  | { readonly kind: 'bytes'; readonly length: number }
  | { readonly kind: 'text'; readonly length: number }
  | { readonly kind: 'struct'; readonly name: string; readonly size: number }
  | { readonly kind: 'array'; readonly element: FieldType; readonly length: number };

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly type: FieldType;
}

export interface Struct {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
}

export interface EnumValue {
  readonly name: string;
  readonly value: bigint;
}

export interface Enum {
  readonly name: string;
  readonly values: readonly EnumValue[];
}

/** A map definition; sizes are 0 where the type has no key or value (ring buffer). */
export interface MapDefinition {
  readonly type: string;
  readonly typeNumber: number;
  readonly key: FieldType | undefined;
  readonly keySize: number;
  readonly value: FieldType | undefined;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Definition of the inner maps, for maps of maps. */
  readonly inner: MapDefinition | undefined;
}

export interface NamedMap extends MapDefinition {
  readonly name: string;
  readonly doc: string;
}

/** A `const volatile` variable of .rodata that the loader may set before load. */
export interface ConfigVariable {
  readonly name: string;
  readonly type: FieldType;
  readonly offset: number;
  readonly size: number;
  /** Value in the object; undefined where it is not a plain number. */
  readonly initial: bigint | undefined;
  readonly doc: string;
}

export interface ConfigSection {
  readonly section: string;
  readonly size: number;
  readonly variables: readonly ConfigVariable[];
}

export interface DropReason {
  readonly number: number;
  readonly name: string;
  readonly text: string;
}

/** What one object says. */
export interface ObjectModel {
  /** File name without `.bpf.o`. */
  readonly object: string;
  readonly structs: readonly Struct[];
  readonly enums: readonly Enum[];
  readonly maps: readonly NamedMap[];
  readonly config: ConfigSection | undefined;
  readonly drops: readonly DropReason[];
}

/** What all objects together say; maps know which objects use them. */
export interface Abi {
  readonly structs: readonly Struct[];
  readonly enums: readonly Enum[];
  readonly maps: readonly (NamedMap & { readonly objects: readonly string[] })[];
  readonly config: readonly { readonly object: string; readonly section: ConfigSection }[];
  readonly drops: readonly DropReason[];
}

export const sizeOf = (type: FieldType): number => {
  switch (type.kind) {
    case 'int':
    case 'struct':
      return type.size;
    case 'bool':
      return 1;
    case 'bytes':
    case 'text':
      return type.length;
    case 'array':
      return type.length * sizeOf(type.element);
  }
};

/** How a type is called in tables and messages: u32, be16, u8[16], char[60], ct_key, u64[4]. */
export const typeName = (type: FieldType): string => {
  switch (type.kind) {
    case 'int':
      return `${type.bigEndian ? 'be' : type.signed ? 's' : 'u'}${type.size * 8}`;
    case 'bool':
      return 'bool';
    case 'bytes':
      return `u8[${type.length}]`;
    case 'text':
      return `char[${type.length}]`;
    case 'struct':
      return type.name;
    case 'array':
      return `${typeName(type.element)}[${type.length}]`;
  }
};

/** Fields called pad, pad2 … are written as zero and do not show in TypeScript. */
export const isPadding = (field: Field): boolean => /^_*pad\d*$/.test(field.name);
