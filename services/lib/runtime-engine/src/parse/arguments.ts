// SPDX-License-Identifier: Apache-2.0
/** What a hook tells of a call: its arguments, and data beside them. */
import { type Context, type Field, type Fields, missing, readObject } from '@weir/policy-engine/reading';
import type { Argument } from '../model.ts';
import { ARG_TYPE_NAMES, LIMITS, SOURCES_OF_DATA } from '../words.ts';
import { flag, given, items, oneOf, refuse, text, whole } from './fields.ts';

const FIELDS = [
  'index',
  'type',
  'sizeArgIndex',
  'returnCopy',
  'maxData',
  'label',
  'resolve',
  'btfType',
  'btfTypeModule',
  'source',
];
/** Members, elements and pointers on the way: a.b[3].c */
const RESOLVE = /^[A-Za-z_][A-Za-z0-9_]*(\[[0-9]+\])?(\.[A-Za-z_][A-Za-z0-9_]*(\[[0-9]+\])?)*$/;
const WITH_SIZE = ['char_buf', 'char_iovec', 'const_buf'];

/** `indexed`: its place must be said (an argument; data has a source instead). */
export const readArgument = (context: Context, field: Field, indexed: boolean): Argument | undefined => {
  const arg = readObject(context, field, { fields: FIELDS });
  if (!arg) return undefined;
  const source = oneOf(context, arg, 'source', SOURCES_OF_DATA);
  if (indexed && !arg.get('index')) return missing(context, arg, 'index', 'write its place, from 0');
  const index = whole(context, arg, 'index') ?? 0;
  const type = oneOf(context, arg, 'type', ARG_TYPE_NAMES) ?? 'auto';
  const size = whole(context, arg, 'sizeArgIndex', 0, LIMITS.places);
  const sizeField = arg.get('sizeArgIndex');
  if (sizeField && size && !WITH_SIZE.includes(type)) {
    refuse(context, sizeField, `a ${type} has no size`, size, `remove it, or use one of ${WITH_SIZE.join(', ')}`);
  }
  const resolve = text(context, arg, 'resolve');
  const resolveField = arg.get('resolve');
  if (resolveField && resolve !== undefined && source !== 'pt_regs' && !RESOLVE.test(resolve)) {
    refuse(context, resolveField, `${JSON.stringify(resolve)} names no members`, resolve, 'write a.b.c or a[0].b');
  }
  if (source && resolve === undefined) missing(context, arg, 'resolve', `say what of ${source} to read`);
  return {
    index,
    type,
    ...given('label', text(context, arg, 'label')),
    ...(size ? { sizeArgIndex: size } : {}),
    ...(flag(context, arg, 'returnCopy') ? { returnCopy: true } : {}),
    ...(flag(context, arg, 'maxData') ? { maxData: true } : {}),
    ...given('resolve', resolve),
    ...given('btfType', text(context, arg, 'btfType')),
    ...given('source', source),
  };
};

export const readArguments = (context: Context, hook: Fields, name: 'args' | 'data'): Argument[] =>
  items(context, hook, name, LIMITS.arguments).flatMap((item) => readArgument(context, item, name === 'args') ?? []);
