// SPDX-License-Identifier: Apache-2.0
/** The .maps section -> map definitions, reading the `__uint`, `__type` and `__array` members of libbpf's bpf_helpers.h. */
import type { Btf, BtfMember } from './btf.ts';
import type { Elf } from './elf.ts';
import { MAP_TYPES } from './map-types.ts';
import { type FieldType, type MapDefinition, type NamedMap, sizeOf } from './model.ts';
import { refuse, resolve, type TypeReader } from './read-types.ts';
import { sectionVariables } from './sections.ts';

/** The type id that a member `T *name` points to. */
const pointee = (btf: Btf, member: BtfMember, where: string): number => {
  const { type } = resolve(btf, member.type);
  if (type.kind !== 'ptr') throw refuse(btf.file, `${where} is not a map attribute`, 'use __uint, __type or __array');
  return type.type;
};

/** `__uint(name, 42)` is `int (*name)[42]`. */
const uintOf = (btf: Btf, member: BtfMember, where: string): number => {
  const { type } = resolve(btf, pointee(btf, member, where));
  if (type.kind !== 'array') throw refuse(btf.file, `${where} is not a number`, 'use __uint');
  return type.length;
};

const readDefinition = (btf: Btf, reader: TypeReader, id: number, name: string): MapDefinition => {
  const { type } = resolve(btf, id);
  if (type.kind !== 'struct')
    throw refuse(btf.file, `${name} is not a map`, 'declare it as struct { __uint(type, ...) ... }');
  const numbers: Record<string, number> = {};
  let key: FieldType | undefined;
  let value: FieldType | undefined;
  let inner: MapDefinition | undefined;
  for (const member of type.members) {
    const where = `${name}.${member.name}`;
    switch (member.name) {
      case 'key':
        key = reader.fieldType(pointee(btf, member, where), where);
        break;
      case 'value':
        value = reader.fieldType(pointee(btf, member, where), where);
        break;
      case 'values': {
        // `__array(values, T)` is `T *values[]`; T is a map, or a function in a prog_array.
        const { type: array } = resolve(btf, member.type);
        const element = array.kind === 'array' ? resolve(btf, array.type).type : array;
        const target = element.kind === 'ptr' ? resolve(btf, element.type).type : element;
        if (element.kind === 'ptr' && target.kind === 'struct') {
          inner = readDefinition(btf, reader, element.type, `${name}.values`);
        }
        break;
      }
      case 'type':
      case 'key_size':
      case 'value_size':
      case 'max_entries':
      case 'map_flags':
      case 'pinning':
      case 'numa_node':
      case 'map_extra':
        numbers[member.name] = uintOf(btf, member, where);
        break;
      default:
        throw refuse(btf.file, `${where} is an attribute that is not known`, 'use the attributes of bpf_helpers.h');
    }
  }
  const typeNumber = numbers.type ?? 0;
  const typeText = MAP_TYPES[typeNumber];
  if (typeText === undefined) {
    throw refuse(btf.file, `${name} has unknown type ${typeNumber}`, 'add it to bpf/codegen/map-types.ts');
  }
  return {
    type: typeText,
    typeNumber,
    key,
    keySize: key === undefined ? (numbers.key_size ?? 0) : sizeOf(key),
    value,
    valueSize: value === undefined ? (numbers.value_size ?? (inner === undefined ? 0 : 4)) : sizeOf(value),
    maxEntries: numbers.max_entries ?? 0,
    flags: numbers.map_flags ?? 0,
    inner,
  };
};

export const readMaps = (elf: Elf, btf: Btf, reader: TypeReader): NamedMap[] =>
  sectionVariables(elf, btf, '.maps').map(({ name, type, doc }) => {
    if (doc === '') {
      throw refuse(elf.file, `${name} has no doc`, `add __attribute__((btf_decl_tag("doc:what it holds"))) to the map`);
    }
    return { name, doc, ...readDefinition(btf, reader, type, name) };
  });
