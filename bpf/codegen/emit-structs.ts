// SPDX-License-Identifier: Apache-2.0
/** structs.ts: one interface and one codec per shared struct, unrolled field by field. */
import { codecOf, header, tsType } from './emit.ts';
import { type Field, type FieldType, isPadding, type Struct, sizeOf } from './model.ts';

const INT_METHOD = { 1: '8', 2: '16', 4: '32' } as const;

/** Name of Buffer's accessor for an integer below 64 bits, without its read or write. */
const accessor = (type: Extract<FieldType, { kind: 'int' }>, size: 1 | 2 | 4): string => {
  const order = size === 1 ? '' : type.bigEndian ? 'BE' : 'LE';
  return `${type.signed ? 'Int' : 'UInt'}${INT_METHOD[size]}${order}`;
};

const name64 = (type: Extract<FieldType, { kind: 'int' }>): string =>
  type.bigEndian ? 'Be64' : type.signed ? 'S64' : 'U64';

const plus = (offset: number): string => (offset === 0 ? 'at' : `at + ${offset}`);

const readExpression = ({ type, offset }: Field): string => {
  const at = plus(offset);
  switch (type.kind) {
    case 'int':
      return type.size === 8
        ? `codec.read${name64(type)}(from, ${at})`
        : `from.read${accessor(type, type.size)}(${at})`;
    case 'bool':
      return `from.readUInt8(${at}) !== 0`;
    case 'bytes':
      return `codec.readBytes(from, ${at}, ${type.length})`;
    case 'text':
      return `codec.readText(from, ${at}, ${type.length})`;
    case 'struct':
      return `${type.name}.decode(from, ${at})`;
    case 'array':
      return `${codecOf(type, '')}.decode(from, ${at})`;
  }
};

const writeStatement = ({ name, type, offset }: Field): string => {
  const at = plus(offset);
  const value = `value.${name}`;
  switch (type.kind) {
    case 'int':
      return type.size === 8
        ? `codec.write${name64(type)}(out, ${value}, ${at});`
        : `out.write${accessor(type, type.size)}(${value}, ${at});`;
    case 'bool':
      return `out.writeUInt8(${value} ? 1 : 0, ${at});`;
    case 'bytes':
      return `codec.writeBytes(out, ${value}, ${at}, ${type.length});`;
    case 'text':
      return `codec.writeText(out, ${value}, ${at}, ${type.length});`;
    case 'struct':
      return `${type.name}.encode(${value}, out, ${at});`;
    case 'array':
      return `${codecOf(type, '')}.encode(${value}, out, ${at});`;
  }
};

const zeroStatement = ({ type, offset }: Field): string =>
  type.kind === 'int' && type.size !== 8
    ? `out.write${accessor(type, type.size)}(0, ${plus(offset)});`
    : `out.fill(0, ${plus(offset)}, ${plus(offset + sizeOf(type))});`;

const emitStruct = ({ name, size, fields }: Struct): string => {
  const shown = fields.filter((field) => !isPadding(field));
  const lines = (each: (field: Field) => string, of: readonly Field[] = shown): string => of.map(each).join('\n');
  return `
export interface ${name} {
${lines((field) => `  readonly ${field.name}: ${tsType(field.type)};`)}
}

export const ${name} = {
  name: '${name}',
  size: ${size},
  offsets: {
${lines((field) => `    ${field.name}: ${field.offset},`, fields)}
  },
  encode(value: ${name}, out: Buffer = Buffer.allocUnsafe(${size}), at = 0): Buffer {
    codec.need('${name}', out, at, ${size});
${lines((field) => `    ${isPadding(field) ? zeroStatement(field) : writeStatement(field)}`, fields)}
    return out;
  },
  decode(from: Buffer, at = 0): ${name} {
    codec.need('${name}', from, at, ${size});
    return {
${lines((field) => `      ${field.name}: ${readExpression(field)},`)}
    };
  },
  /** Single fields, without decoding the rest. */
  read: {
${lines((field) => `    ${field.name}: (from: Buffer, at = 0): ${tsType(field.type)} => ${readExpression(field)},`)}
  },
} as const satisfies codec.StructCodec<${name}>;
`;
};

export const emitStructs = (structs: readonly Struct[]): string =>
  `${header('Codecs of all structs that the kernel and the user side share, named as in bpf/include/abi.h.')}import * as codec from '../codec.ts';
${structs.map(emitStruct).join('')}`;
