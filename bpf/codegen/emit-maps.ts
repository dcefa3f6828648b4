// SPDX-License-Identifier: Apache-2.0
/** maps.ts: the table of all maps, and the codecs of their keys and values. */
import { codecOf, header, quote } from './emit.ts';
import { type Abi, type FieldType, type MapDefinition, typeName } from './model.ts';

const typeLiteral = (type: FieldType | undefined, size: number): string =>
  type === undefined ? (size === 0 ? 'undefined' : quote(`u8[${size}]`)) : quote(typeName(type));

const emitDefinition = (map: MapDefinition, indent: string): string =>
  [
    `type: ${quote(map.type)},`,
    `typeNumber: ${map.typeNumber},`,
    `key: ${typeLiteral(map.key, map.keySize)},`,
    `keySize: ${map.keySize},`,
    `value: ${map.inner === undefined ? typeLiteral(map.value, map.valueSize) : quote('map')},`,
    `valueSize: ${map.valueSize},`,
    `maxEntries: ${map.maxEntries},`,
    `flags: ${map.flags},`,
    map.inner === undefined ? '' : `inner: {\n${emitDefinition(map.inner, `${indent}  `)}\n${indent}},`,
  ]
    .filter((line) => line !== '')
    .map((line) => `${indent}${line}`)
    .join('\n');

const emitMap = (map: Abi['maps'][number]): string => `  ${map.name}: {
    name: ${quote(map.name)},
${emitDefinition(map, '    ')}
    doc: ${quote(map.doc)},
    objects: [${map.objects.map(quote).join(', ')}],
  },
`;

/** Codecs of a map's key and value, where it has them and they are shared; of the inner map where the value is one. */
const emitCodecs = ({ name, key, value, inner }: Abi['maps'][number], shared: ReadonlySet<string>): string => {
  const parts = [
    ['key', key],
    ['value', value],
    ['innerKey', inner?.key],
    ['innerValue', inner?.value],
  ] as const;
  const codecs = parts.flatMap(([part, type]) =>
    type === undefined || (type.kind === 'struct' && !shared.has(type.name))
      ? []
      : [`${part}: ${codecOf(type, 'structs.')}`],
  );
  return codecs.length === 0 ? '' : `  ${name}: { ${codecs.join(', ')} },\n`;
};

export const emitMaps = (maps: Abi['maps'], shared: ReadonlySet<string>): string =>
  `${header('Every map: its definition, what it holds, which objects use it, and the codecs of its keys and values.')}import * as codec from '../codec.ts';
import * as structs from './structs.ts';

export interface MapDefinition {
  readonly type: string;
  readonly typeNumber: number;
  /** Struct or scalar, as in C; undefined where the type has none. */
  readonly key: string | undefined;
  readonly keySize: number;
  /** 'map' for maps of maps, whose definition is then inner. */
  readonly value: string | undefined;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly inner?: MapDefinition;
}

export interface MapInfo extends MapDefinition {
  readonly name: string;
  readonly doc: string;
  readonly objects: readonly string[];
}

export const MAPS = {
${maps.map(emitMap).join('')}} as const satisfies Record<string, MapInfo>;

export type MapName = keyof typeof MAPS;

export const MAP_CODECS = {
${maps.map((map) => emitCodecs(map, shared)).join('')}} as const;
`;
