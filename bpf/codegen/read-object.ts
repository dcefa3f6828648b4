// SPDX-License-Identifier: Apache-2.0
/**
 * One object file -> its part of the contract. Shared types are those that maps, configuration, or the never-loaded
 * object `abi` (which names every type of abi.h) reach; kernel types that programs merely use are not.
 */
import { basename } from 'node:path';
import { type Btf, parseBtf } from './btf.ts';
import { type Elf, parseElf } from './elf.ts';
import type { ObjectModel, Struct } from './model.ts';
import { readConfig } from './read-config.ts';
import { readDrops } from './read-drops.ts';
import { readMaps } from './read-maps.ts';
import { createTypeReader, resolve, type TypeReader } from './read-types.ts';
import { sectionNames, sectionVariables } from './sections.ts';

export const OBJECT_SUFFIX = '.bpf.o';
export const ABI_OBJECT = 'abi';
/** Sections of `abi` that hold no named types. */
const NOT_TYPES = new Set(['.maps', 'license', 'version']);

/** abi.bpf.c names types by variables, or by pointers to them. */
const readNamedTypes = (elf: Elf, btf: Btf, reader: TypeReader): void => {
  for (const section of sectionNames(btf).filter((name) => !NOT_TYPES.has(name))) {
    for (const { name, type: id } of sectionVariables(elf, btf, section)) {
      const { type } = resolve(btf, id);
      reader.fieldType(type.kind === 'ptr' ? type.type : id, name);
    }
  }
};

export const readObject = (image: Buffer, file: string, known?: ReadonlyMap<string, Struct>): ObjectModel => {
  const elf = parseElf(image, file);
  const btf = parseBtf(elf.sections.get('.BTF')?.data ?? Buffer.alloc(0), file);
  const reader = createTypeReader(btf, known);
  const object = basename(file, OBJECT_SUFFIX);
  const maps = readMaps(elf, btf, reader);
  if (object === ABI_OBJECT) readNamedTypes(elf, btf, reader);
  const config = object === ABI_OBJECT ? undefined : readConfig(elf, btf, reader);
  const drops = readDrops(elf, reader.structs, reader.enums);
  return { object, structs: [...reader.structs.values()], enums: [...reader.enums.values()], maps, config, drops };
};
