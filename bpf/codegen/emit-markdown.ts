// SPDX-License-Identifier: Apache-2.0
/** maps.md: maps, load-time configuration and drop reasons as tables for the documentation. */
import { COMMAND } from './emit.ts';
import { type Abi, type FieldType, typeName } from './model.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|');

const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  `${row(head)}${row(head.map(() => '---'))}${rows.map(row).join('')}`;

const typeCell = (type: FieldType | undefined, size: number): string =>
  type === undefined ? (size === 0 ? '-' : `${size} B`) : `${typeName(type)} (${size} B)`;

const mapRow = (map: Abi['maps'][number]): string[] => [
  `\`${map.name}\``,
  map.inner === undefined ? map.type : `${map.type} of ${map.inner.type}`,
  typeCell(map.key, map.keySize),
  map.inner === undefined
    ? typeCell(map.value, map.valueSize)
    : `${typeCell(map.inner.key, map.inner.keySize)} -> ${typeCell(map.inner.value, map.inner.valueSize)}, ${map.inner.maxEntries} entries`,
  `${map.maxEntries}`,
  map.objects.filter((object) => object !== 'abi').join(', '),
  map.doc,
];

export const emitMarkdown = ({
  maps,
  config,
  drops,
}: Abi): string => `<!-- Generated from the BTF of the built BPF objects by \`${COMMAND}\`. Do not edit. -->
# Maps, configuration and drop reasons

## Maps

${table(['map', 'type', 'key', 'value', 'entries', 'used by', 'holds'], maps.map(mapRow))}
## Load-time configuration

${table(
  ['object', 'variable', 'type', 'initial', 'sets'],
  config.flatMap(({ object, section }) =>
    section.variables.map(({ name, type, initial, doc }) => [
      object,
      `\`${name}\``,
      typeName(type),
      `${initial ?? '-'}`,
      doc,
    ]),
  ),
)}
## Drop reasons

${table(
  ['number', 'name', 'text'],
  drops.map(({ number, name, text }) => [`${number}`, name, text]),
)}`;
