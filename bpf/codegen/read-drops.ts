// SPDX-License-Identifier: Apache-2.0
/**
 * Section `drop_texts`: `struct drop_text[]` with the text that users see for each drop reason, made by the same
 * X-macro as `enum weir_drop_reason`. The name is the enumerator without its DROP_ prefix.
 */
import type { Elf } from './elf.ts';
import type { DropReason, Enum, Struct } from './model.ts';
import { refuse } from './read-types.ts';

const SECTION = 'drop_texts';
const REASONS = 'weir_drop_reason';
const PREFIX = 'DROP_';

export const readDrops = (
  elf: Elf,
  structs: ReadonlyMap<string, Struct>,
  enums: ReadonlyMap<string, Enum>,
): DropReason[] => {
  const section = elf.sections.get(SECTION);
  if (section === undefined) return [];
  const reasons = enums.get(REASONS);
  const row = structs.get('drop_text');
  const reasonAt = row?.fields.find(({ name }) => name === 'reason')?.offset;
  const text = row?.fields.find(({ name }) => name === 'text');
  if (reasons === undefined || row === undefined || reasonAt === undefined || text?.type.kind !== 'text') {
    throw refuse(
      elf.file,
      `${SECTION} needs enum ${REASONS} and struct drop_text {reason, text}`,
      'name both in abi.bpf.c',
    );
  }
  const drops: DropReason[] = [];
  for (let at = 0; at + row.size <= section.size; at += row.size) {
    const number = section.data.readUInt32LE(at + reasonAt);
    const start = at + text.offset;
    const end = section.data.indexOf(0, start);
    const value = reasons.values.find((candidate) => candidate.value === BigInt(number));
    if (value === undefined)
      throw refuse(elf.file, `${SECTION} has ${number}, which ${REASONS} has not`, 'use the X-macro');
    if (end < 0 || end >= start + text.type.length) {
      throw refuse(elf.file, `text of ${value.name} does not fit`, `use fewer than ${text.type.length} bytes`);
    }
    const name = value.name.startsWith(PREFIX) ? value.name.slice(PREFIX.length) : value.name;
    drops.push({ number, name, text: section.data.toString('utf8', start, end) });
  }
  const missing = reasons.values.find(({ value }) => !drops.some(({ number }) => BigInt(number) === value));
  if (missing !== undefined) throw refuse(elf.file, `${missing.name} has no text`, 'use the X-macro');
  return drops.sort((a, b) => a.number - b.number);
};
