// SPDX-License-Identifier: Apache-2.0
/**
 * The variables of one section of an object, joined from three places: BTF knows the type and the doc tag,
 * the symbol table the offset (clang leaves it 0 in BTF), the section the bytes.
 */
import type { Btf } from './btf.ts';
import type { Elf, ElfSection } from './elf.ts';
import { refuse } from './read-types.ts';

export interface SectionVariable {
  readonly name: string;
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  /** Text of `btf_decl_tag("doc:...")`, or ''. */
  readonly doc: string;
  /** Its initial bytes; empty in .bss. */
  readonly data: Buffer;
}

const DOC_TAG = 'doc:';

const docTags = (btf: Btf): Map<number, string> => {
  const docs = new Map<number, string>();
  for (const type of btf.types) {
    if (type.kind === 'decl_tag' && type.component === -1 && type.name.startsWith(DOC_TAG)) {
      docs.set(type.type, type.name.slice(DOC_TAG.length).trim());
    }
  }
  return docs;
};

export const sectionNames = (btf: Btf): string[] =>
  btf.types.flatMap((type) => (type.kind === 'datasec' ? [type.name] : []));

export const sectionVariables = (elf: Elf, btf: Btf, name: string): SectionVariable[] => {
  const datasec = btf.types.find((type) => type.kind === 'datasec' && type.name === name);
  const section: ElfSection | undefined = elf.sections.get(name);
  if (datasec?.kind !== 'datasec' || section === undefined) return [];
  const docs = docTags(btf);
  return datasec.vars.flatMap(({ type: id, size }) => {
    const variable = btf.types[id];
    if (variable?.kind !== 'var') return [];
    const symbol = elf.symbol(section, variable.name);
    if (symbol === undefined)
      throw refuse(elf.file, `${variable.name} has no symbol in ${name}`, 'do not strip symbols');
    const { value: offset } = symbol;
    const data = section.data.subarray(offset, offset + size);
    return [{ name: variable.name, type: variable.type, offset, size, doc: docs.get(id) ?? '', data }];
  });
};
