// SPDX-License-Identifier: Apache-2.0
/** How documents are read, for engines of other kinds of documents: one reader, one way to say what is wrong and where. */
export { readCidr } from './parse/cidr.ts';
export { createWarnings, type Issues } from './parse/issues.ts';
export { joinPath, type Located, toPlain } from './parse/located.ts';
export { readMetadata } from './parse/metadata.ts';
export {
  type Context,
  type Field,
  type Fields,
  missing,
  readBoolean,
  readInteger,
  readList,
  readObject,
  readOneOf,
  readString,
  refuseVersion,
  type Shape,
  scalarOf,
} from './parse/reader.ts';
export { readRequirements, type SelectorSyntax } from './parse/selector.ts';
export { MAX_BYTES, type ParseOptions, readPlain, readText, type TextResult } from './parse/text.ts';
export { createSelector, matches, type Requirement, type Selector } from './selector.ts';
