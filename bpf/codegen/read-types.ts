// SPDX-License-Identifier: Apache-2.0
/**
 * BTF types -> field types and structs. Refuses whatever would make the two sides of the contract read
 * different bytes: implicit padding, bitfields, unions, pointers.
 */
import { type WeirError, weirError } from '@weir/errors';
import type { Btf, BtfMember, BtfType } from './btf.ts';
import { type Enum, type Field, type FieldType, type Struct, sizeOf } from './model.ts';

type BtfStruct = Extract<BtfType, { kind: 'struct' | 'union' }>;
type BtfEnum = Extract<BtfType, { kind: 'enum' }>;

const BIG_ENDIAN_TYPEDEFS = new Set(['__be16', '__be32', '__be64']);

export const refuse = (file: string, what: string, fix: string): WeirError =>
  weirError('INVALID_ARGUMENT', `${file}: ${what}`, { field: what.split(' ')[0], value: file, fix });

/** Strips const, volatile, typedefs; tells whether a big-endian typedef was among them. */
export const resolve = (btf: Btf, id: number): { type: BtfType; bigEndian: boolean } => {
  let bigEndian = false;
  for (let at = id; ; ) {
    const type = btf.types[at] ?? { kind: 'void' };
    switch (type.kind) {
      case 'typedef':
        bigEndian ||= BIG_ENDIAN_TYPEDEFS.has(type.name);
        at = type.type;
        break;
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type_tag':
        at = type.type;
        break;
      default:
        return { type, bigEndian };
    }
  }
};

const intSize = (size: number): 1 | 2 | 4 | 8 | undefined =>
  size === 1 || size === 2 || size === 4 || size === 8 ? size : undefined;

/** Collects the structs and enums that the types it is asked about need. */
export interface TypeReader {
  readonly structs: ReadonlyMap<string, Struct>;
  readonly enums: ReadonlyMap<string, Enum>;
  /** `where` names the thing in errors, e.g. `ct_key.local`. */
  fieldType(id: number, where: string): FieldType;
}

/**
 * `known`: the structs of the `abi` object, read before. They serve for those that clang only declares behind an inner
 * map's pointers; and a struct that is not among them is a program's own (a per-CPU scratch), of which only name and
 * size are taken.
 */
export const createTypeReader = (btf: Btf, known?: ReadonlyMap<string, Struct>): TypeReader => {
  const structs = new Map<string, Struct>();
  const enums = new Map<string, Enum>();
  const { file } = btf;

  const readArray = (id: number, length: number, where: string): FieldType => {
    const { type } = resolve(btf, id);
    if (type.kind === 'int' && type.name === 'char') return { kind: 'text', length };
    const element = fieldType(id, where);
    if (element.kind === 'int' && element.size === 1 && !element.signed) return { kind: 'bytes', length };
    return { kind: 'array', element, length };
  };

  const readEnum = (type: BtfEnum, where: string): FieldType => {
    const size = intSize(type.size);
    if (type.name === '' || size === undefined) {
      throw refuse(file, `${where} is an enum without a name`, 'give the enum a name');
    }
    enums.set(type.name, { name: type.name, values: type.values });
    return {
      kind: 'int',
      size,
      signed: type.values.some(({ value }) => value < 0n),
      bigEndian: false,
      enumName: type.name,
    };
  };

  const readField = (struct: BtfStruct, member: BtfMember, end: number): Field => {
    const where = `${struct.name}.${member.name}`;
    if (member.bitSize !== 0 || member.bitOffset % 8 !== 0) {
      throw refuse(file, `${where} is a bitfield`, 'use a whole integer and flags of an enum');
    }
    const offset = member.bitOffset / 8;
    if (offset !== end) {
      throw refuse(
        file,
        `${where} has ${offset - end} bytes of implicit padding before it`,
        `add "__u8 pad[${offset - end}];" before it`,
      );
    }
    return { name: member.name, offset, type: fieldType(member.type, where) };
  };

  const readStruct = (type: BtfStruct, where: string): FieldType => {
    if (type.kind === 'union') throw refuse(file, `${where} is a union`, 'declare one struct per meaning');
    if (type.name === '') throw refuse(file, `${where} is a struct without a name`, 'give the struct a name');
    const made: FieldType = { kind: 'struct', name: type.name, size: type.size };
    if (structs.has(type.name) || known?.has(type.name) === false) return made;
    const fields: Field[] = [];
    let end = 0;
    for (const member of type.members) {
      const field = readField(type, member, end);
      fields.push(field);
      end = field.offset + sizeOf(field.type);
    }
    if (end !== type.size) {
      const missing = type.size - end;
      throw refuse(
        file,
        `${type.name} has ${missing} bytes of implicit padding at its end`,
        `add "__u8 pad[${missing}];" as its last field`,
      );
    }
    structs.set(type.name, { name: type.name, size: type.size, fields });
    return made;
  };

  const readDeclared = (name: string, where: string): FieldType => {
    const here = btf.types.find((type) => type.kind === 'struct' && type.name === name);
    if (here?.kind === 'struct') return readStruct(here, where);
    const struct = known?.get(name);
    if (struct === undefined)
      throw refuse(file, `${where} is ${name}, which is nowhere defined`, 'name it in abi.bpf.c');
    return { kind: 'struct', name, size: struct.size };
  };

  const fieldType = (id: number, where: string): FieldType => {
    const { type, bigEndian } = resolve(btf, id);
    switch (type.kind) {
      case 'int': {
        const size = intSize(type.size);
        if (type.bool) return { kind: 'bool' };
        if (size === undefined) break;
        return { kind: 'int', size, signed: type.signed, bigEndian };
      }
      case 'array':
        return readArray(type.type, type.length, where);
      case 'enum':
        return readEnum(type, where);
      case 'struct':
      case 'union':
        return readStruct(type, where);
      case 'fwd':
        return readDeclared(type.name, where);
    }
    throw refuse(file, `${where} is a ${type.kind}, which both sides cannot share`, 'use integers, arrays and structs');
  };

  return { structs, enums, fieldType };
};
