// SPDX-License-Identifier: Apache-2.0
/** enums.ts: each enum as a const object and the union of its values. */
import { header, integer } from './emit.ts';
import type { Enum } from './model.ts';

const emitEnum = ({ name, values }: Enum): string => `
export const ${name} = {
${values.map((value) => `  ${value.name}: ${integer(value.value)},`).join('\n')}
} as const;
export type ${name} = (typeof ${name})[keyof typeof ${name}];
`;

export const emitEnums = (enums: readonly Enum[]): string =>
  `${header('The enums of bpf/include/abi.h.')}${enums.map(emitEnum).join('')}`;
