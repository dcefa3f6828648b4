// SPDX-License-Identifier: Apache-2.0
/** config.ts: per object the variables that the loader may set before load, typed, with their docs. */
import { codecOf, header, quote, tsType } from './emit.ts';
import { type Abi, type ConfigVariable, type FieldType, typeName } from './model.ts';

/** Struct types come from structs.ts under a prefix here. */
const qualified = (type: FieldType): string =>
  type.kind === 'struct'
    ? `structs.${type.name}`
    : type.kind === 'array'
      ? `readonly ${qualified(type.element)}[]`
      : tsType(type);

const initial = ({ type, initial: value }: ConfigVariable): string => {
  if (value === undefined) return 'undefined';
  if (type.kind === 'bool') return value === 0n ? 'false' : 'true';
  return type.kind === 'int' && type.size === 8 ? `${value}n` : `${value}`;
};

const emitVariable = (variable: ConfigVariable): string => `      ${variable.name}: {
        name: ${quote(variable.name)},
        type: ${quote(typeName(variable.type))},
        offset: ${variable.offset},
        size: ${variable.size},
        initial: ${initial(variable)},
        doc: ${quote(variable.doc)},
      },
`;

const emitInterface = ({ object, section }: Abi['config'][number]): string => `
/** Settings of ${object}.bpf.o; what is left out keeps its initial value. */
export interface ${object}_config {
${section.variables
  .map(({ name, type, doc }) => `  /** ${doc.replaceAll('*/', '* /')} */\n  readonly ${name}?: ${qualified(type)};`)
  .join('\n')}
}
`;

const emitEncode = ({
  object,
  section,
}: Abi['config'][number]): string => `    encode(values: ${object}_config): Record<string, Buffer> {
      const out: Record<string, Buffer> = {};
${section.variables
  .map(({ name, type }) => {
    return `      if (values.${name} !== undefined) out.${name} = ${codecOf(type, 'structs.')}.encode(values.${name});`;
  })
  .join('\n')}
      return out;
    },
`;

const emitObject = (config: Abi['config'][number]): string => `  ${config.object}: {
    section: ${quote(config.section.section)},
    size: ${config.section.size},
    variables: {
${config.section.variables.map(emitVariable).join('')}    },
    /** Bytes by variable name, as the loader takes them. */
${emitEncode(config)}  },
`;

export const emitConfig = (config: Abi['config']): string => {
  const types = config.flatMap(({ section }) => section.variables.map(({ type }) => codecOf(type, 'structs.')));
  const imports = [
    types.some((type) => type.includes('codec.')) ? "import * as codec from '../codec.ts';\n" : '',
    types.some((type) => type.includes('structs.')) ? "import * as structs from './structs.ts';\n" : '',
  ].join('');
  return `${header('Load-time configuration of each object: `const volatile` variables of .rodata, by which the verifier prunes.')}${imports}
export interface ConfigVariable {
  readonly name: string;
  readonly type: string;
  /** Inside the section, bytes. */
  readonly offset: number;
  readonly size: number;
  /** Value when the loader sets none; undefined where it is not a plain number. */
  readonly initial: number | bigint | boolean | undefined;
  readonly doc: string;
}

export interface ObjectConfig {
  readonly section: string;
  readonly size: number;
  readonly variables: Readonly<Record<string, ConfigVariable>>;
  /** Takes what the object's own interface says. */
  encode(values: never): Record<string, Buffer>;
}
${config.map(emitInterface).join('')}
export const CONFIG = {
${config.map(emitObject).join('')}} as const satisfies Record<string, ObjectConfig>;
`;
};
