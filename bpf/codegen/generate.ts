// SPDX-License-Identifier: Apache-2.0
/** Built objects in a directory -> the generated files, by name. Reads only; main.ts writes or compares. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { weirError } from '@weir/errors';
import { COMMAND, header } from './emit.ts';
import { emitConfig } from './emit-config.ts';
import { emitDrops } from './emit-drops.ts';
import { emitEnums } from './emit-enums.ts';
import { emitMaps } from './emit-maps.ts';
import { emitMarkdown } from './emit-markdown.ts';
import { emitStructs } from './emit-structs.ts';
import { mergeObjects } from './merge.ts';
import type { Abi, ObjectModel, Struct } from './model.ts';
import { ABI_OBJECT, OBJECT_SUFFIX, readObject } from './read-object.ts';

const INDEX = `${header('The kernel/user contract in TypeScript.')}export * from './config.ts';
export * from './drop-reasons.ts';
export * from './enums.ts';
export * from './maps.ts';
export * from './structs.ts';
`;

export const readObjects = (objectsDir: string): Abi => {
  const files = existsSync(objectsDir) ? readdirSync(objectsDir).filter((name) => name.endsWith(OBJECT_SUFFIX)) : [];
  if (files.length === 0) {
    throw weirError('NOT_FOUND', `no BPF objects in ${objectsDir}`, {
      field: 'objects',
      value: objectsDir,
      fix: `run ${COMMAND}`,
    });
  }
  const read = (name: string, known?: ReadonlyMap<string, Struct>): ObjectModel =>
    readObject(readFileSync(join(objectsDir, name)), name, known);
  const abi = files.filter((name) => name === `${ABI_OBJECT}${OBJECT_SUFFIX}`).map((name) => read(name));
  const [shared] = abi;
  const known = shared && new Map(shared.structs.map((struct) => [struct.name, struct]));
  const others = files.filter((name) => name !== `${ABI_OBJECT}${OBJECT_SUFFIX}`).map((name) => read(name, known));
  return mergeObjects([...abi, ...others]);
};

export const emitFiles = (abi: Abi): ReadonlyMap<string, string> =>
  new Map([
    ['config.ts', emitConfig(abi.config)],
    ['drop-reasons.ts', emitDrops(abi.drops)],
    ['enums.ts', emitEnums(abi.enums)],
    ['index.ts', INDEX],
    ['maps.md', emitMarkdown(abi)],
    ['maps.ts', emitMaps(abi.maps, new Set(abi.structs.map(({ name }) => name)))],
    ['structs.ts', emitStructs(abi.structs)],
  ]);
