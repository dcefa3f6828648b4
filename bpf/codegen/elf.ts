// SPDX-License-Identifier: Apache-2.0
/**
 * Reads the little that code generation needs from a BPF object: sections by name and the
 * symbols in them. Only ELF64 little-endian relocatable files for machine BPF are read.
 */
import { weirError } from '@weir/errors';

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly size: number;
  /** Empty for sections without file contents (.bss). */
  readonly data: Buffer;
}

export interface ElfSymbol {
  readonly name: string;
  readonly section: number;
  /** Offset inside the section, bytes. */
  readonly value: number;
  readonly size: number;
}

export interface Elf {
  readonly file: string;
  readonly sections: ReadonlyMap<string, ElfSection>;
  symbol(section: ElfSection, name: string): ElfSymbol | undefined;
}

const EM_BPF = 247;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;

const cString = (table: Buffer, at: number): string => table.toString('utf8', at, table.indexOf(0, at));

const readSymbols = (table: Buffer, names: Buffer): ElfSymbol[] => {
  const symbols: ElfSymbol[] = [];
  for (let at = 0; at + SYMBOL_BYTES <= table.length; at += SYMBOL_BYTES) {
    symbols.push({
      name: cString(names, table.readUInt32LE(at)),
      section: table.readUInt16LE(at + 6),
      value: Number(table.readBigUInt64LE(at + 8)),
      size: Number(table.readBigUInt64LE(at + 16)),
    });
  }
  return symbols;
};

export const parseElf = (image: Buffer, file: string): Elf => {
  const isBpfObject = image.length >= 64 && image.readUInt32BE(0) === 0x7f454c46 && image[4] === 2 && image[5] === 1;
  if (!isBpfObject || image.readUInt16LE(18) !== EM_BPF) {
    throw weirError('INVALID_ARGUMENT', `${file} is not a little-endian BPF object`, {
      field: 'file',
      value: file,
      fix: 'build it with clang -target bpf',
    });
  }
  const tableAt = Number(image.readBigUInt64LE(40));
  const count = image.readUInt16LE(60);
  const headers = Array.from({ length: count }, (_, index) => {
    const at = tableAt + index * SECTION_HEADER_BYTES;
    const size = Number(image.readBigUInt64LE(at + 32));
    const start = Number(image.readBigUInt64LE(at + 24));
    const type = image.readUInt32LE(at + 4);
    return {
      index,
      type,
      nameAt: image.readUInt32LE(at),
      link: image.readUInt32LE(at + 40),
      size,
      data: type === SHT_NOBITS ? Buffer.alloc(0) : image.subarray(start, start + size),
    };
  });
  const names = headers[image.readUInt16LE(62)]?.data ?? Buffer.alloc(1);
  const sections = new Map<string, ElfSection>();
  for (const { index, nameAt, size, data } of headers) {
    const name = cString(names, nameAt);
    if (!sections.has(name)) sections.set(name, { index, name, size, data });
  }
  const symtab = headers.find((header) => header.type === SHT_SYMTAB);
  const symbols = symtab === undefined ? [] : readSymbols(symtab.data, headers[symtab.link]?.data ?? Buffer.alloc(1));
  return {
    file,
    sections,
    symbol: (section, name) => symbols.find((symbol) => symbol.section === section.index && symbol.name === name),
  };
};
