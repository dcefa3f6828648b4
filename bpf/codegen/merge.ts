// SPDX-License-Identifier: Apache-2.0
/**
 * Joins what the objects say. The same name must mean the same thing everywhere: objects share pinned maps, so a
 * map or struct that differs between two of them would corrupt the other's data.
 */
import { isDeepStrictEqual } from 'node:util';
import { weirError } from '@weir/errors';
import type { Abi, NamedMap, ObjectModel } from './model.ts';

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

/** Names of the properties in which two definitions differ, for the message. */
const differences = (a: object, b: object): string =>
  Object.keys({ ...a, ...b })
    .filter((key) => !isDeepStrictEqual(Reflect.get(a, key), Reflect.get(b, key)))
    .join(', ');

interface Seen<T> {
  readonly value: T;
  readonly objects: string[];
}

const joinByName = <T extends { readonly name: string }>(
  what: string,
  objects: readonly ObjectModel[],
  pick: (object: ObjectModel) => readonly T[],
): Seen<T>[] => {
  const seen = new Map<string, Seen<T>>();
  for (const model of objects) {
    for (const value of pick(model)) {
      const before = seen.get(value.name);
      if (before === undefined) {
        seen.set(value.name, { value, objects: [model.object] });
      } else if (isDeepStrictEqual(before.value, value)) {
        before.objects.push(model.object);
      } else {
        const [first] = before.objects;
        throw weirError(
          'CONFLICT',
          `${what} ${value.name} differs between ${first} and ${model.object} in: ${differences(before.value, value)}`,
          { field: value.name, value: [first, model.object], fix: 'declare it once in bpf/include and include that' },
        );
      }
    }
  }
  return [...seen.values()].sort((a, b) => byName(a.value, b.value));
};

export const mergeObjects = (unsorted: readonly ObjectModel[]): Abi => {
  const objects = unsorted.toSorted((a, b) => byName({ name: a.object }, { name: b.object }));
  const maps = joinByName<NamedMap>('map', objects, ({ maps }) => maps);
  return {
    structs: joinByName('struct', objects, ({ structs }) => structs).map(({ value }) => value),
    enums: joinByName('enum', objects, ({ enums }) => enums).map(({ value }) => value),
    maps: maps.map(({ value, objects: users }) => ({ ...value, objects: users })),
    config: objects.flatMap(({ object, config }) => (config === undefined ? [] : [{ object, section: config }])),
    drops: objects.find(({ drops }) => drops.length > 0)?.drops ?? [],
  };
};
