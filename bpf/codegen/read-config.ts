// SPDX-License-Identifier: Apache-2.0
/**
 * `const volatile` globals of .rodata: what the loader may set before load and the verifier then prunes by.
 * A plain `const` (format strings, tables) is not configuration.
 */
import type { Btf } from './btf.ts';
import type { Elf } from './elf.ts';
import type { ConfigSection, ConfigVariable, FieldType } from './model.ts';
import { refuse, type TypeReader } from './read-types.ts';
import { type SectionVariable, sectionVariables } from './sections.ts';

const SECTION = '.rodata';

/** `const volatile T` in either order, T may itself be a typedef of such a type. */
const isConstVolatile = (btf: Btf, id: number): boolean => {
  const seen = new Set<string>();
  for (let type = btf.types[id]; type !== undefined; ) {
    seen.add(type.kind);
    if (type.kind === 'array') type = btf.types[type.type];
    else if (type.kind === 'const' || type.kind === 'volatile' || type.kind === 'typedef') type = btf.types[type.type];
    else break;
  }
  return seen.has('const') && seen.has('volatile');
};

const initialValue = (type: FieldType, data: Buffer): bigint | undefined => {
  if (type.kind === 'bool') return BigInt(data[0] ?? 0);
  if (type.kind !== 'int') return undefined;
  const bytes = type.bigEndian ? data : Buffer.from(data).reverse();
  const value = BigInt(`0x${bytes.toString('hex')}`);
  return type.signed ? BigInt.asIntN(type.size * 8, value) : value;
};

const readVariable = (elf: Elf, reader: TypeReader, variable: SectionVariable): ConfigVariable => {
  const { name, offset, size, doc, data } = variable;
  if (doc === '') {
    throw refuse(elf.file, `${name} has no doc`, `add __attribute__((btf_decl_tag("doc:what it sets"))) to it`);
  }
  const type = reader.fieldType(variable.type, name);
  return { name, type, offset, size, initial: initialValue(type, data), doc };
};

export const readConfig = (elf: Elf, btf: Btf, reader: TypeReader): ConfigSection | undefined => {
  const variables = sectionVariables(elf, btf, SECTION)
    .filter(({ type }) => isConstVolatile(btf, type))
    .map((variable) => readVariable(elf, reader, variable))
    .sort((a, b) => a.offset - b.offset);
  if (variables.length === 0) return undefined;
  return { section: SECTION, size: elf.sections.get(SECTION)?.size ?? 0, variables };
};
