// SPDX-License-Identifier: Apache-2.0
/** What all generated files share: the header, and how a field type is written in TypeScript. */
import { type FieldType, typeName } from './model.ts';

export const COMMAND = 'npm run build';

export const header = (what: string): string =>
  `// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by \`${COMMAND}\`. Do not edit.
/** ${what} */
`;

/** A single-quoted literal. */
export const quote = (value: string): string =>
  `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;

/** 1 KiB-sized numbers stay decimal; only what TypeScript cannot hold exactly becomes a bigint. */
export const integer = (value: bigint): string =>
  value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER) ? `${value}n` : `${value}`;

export const tsType = (type: FieldType): string => {
  switch (type.kind) {
    case 'int':
      return type.size === 8 ? 'bigint' : 'number';
    case 'bool':
      return 'boolean';
    case 'bytes':
      return 'Uint8Array';
    case 'text':
      return 'string';
    case 'struct':
      return type.name;
    case 'array':
      return `readonly ${tsType(type.element)}[]`;
  }
};

/** The codec of a type as an expression; `structs` is the prefix of struct names there, e.g. 'structs.'. */
export const codecOf = (type: FieldType, structs: string): string => {
  switch (type.kind) {
    case 'int':
    case 'bool':
      return `codec.${typeName(type)}`;
    case 'bytes':
      return `codec.bytes(${type.length})`;
    case 'text':
      return `codec.text(${type.length})`;
    case 'struct':
      return `${structs}${type.name}`;
    case 'array':
      return `codec.array(${codecOf(type.element, structs)}, ${type.length})`;
  }
};

/** An object key, quoted where it is no identifier. */
export const key = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quote(name));
