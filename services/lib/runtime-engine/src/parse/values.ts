// SPDX-License-Identifier: Apache-2.0
/** Values of argument filters, as their operator and the argument's type want them. */
import { type Context, type Field, readCidr, readString } from '@weir/policy-engine/reading';
import type { FilterValue } from '../model.ts';
import {
  type ArgType,
  CAPABILITIES,
  type Comparison,
  FAMILIES,
  FILE_TYPES,
  factsOf,
  LIMITS,
  PROTOCOLS,
  TCP_STATES,
} from '../words.ts';
import { refuse } from './fields.ts';

/** Decimal, 0x hexadecimal, 0 octal; as C writes them. */
export const readNumber = (written: string): bigint | undefined => {
  const match = /^(-?)(?:0x([0-9a-fA-F]{1,16})|0([0-7]{1,22})|([0-9]{1,20}))$/.exec(written);
  if (!match) return undefined;
  const [, sign, hex, octal, decimal] = match;
  const size = BigInt(hex ? `0x${hex}` : octal ? `0o${octal}` : (decimal as string));
  return sign === '-' ? -size : size;
};

const number = (from: bigint, to = from): FilterValue => ({ kind: 'number', from, to });

const limitsOf = (type: ArgType): { least: bigint; most: bigint } => {
  const { class: name, bits = 64 } = factsOf(type);
  const width = BigInt(bits);
  return name === 'signed'
    ? { least: -(1n << (width - 1n)), most: (1n << (width - 1n)) - 1n }
    : { least: 0n, most: (1n << width) - 1n };
};

const readInt = (context: Context, field: Field, written: string, type: ArgType): bigint | undefined => {
  const value = type === 'capability' ? capabilityNumber(written) : readNumber(written);
  if (value === undefined) {
    return refuse(context, field, `${JSON.stringify(written)} is not a number`, written, 'write 5, 0x5 or 05');
  }
  const { least, most } = limitsOf(type);
  if (value >= least && value <= most) return value;
  return refuse(context, field, `${written} does not fit into ${type}`, written, `use ${least} to ${most}`);
};

const capabilityNumber = (written: string): bigint | undefined => {
  const known = CAPABILITIES.indexOf(written);
  return known >= 0 ? BigInt(known) : readNumber(written);
};

const readRange = (
  context: Context,
  field: Field,
  written: string,
  one: (part: string) => bigint | undefined,
): FilterValue | undefined => {
  const [first = '', last, ...more] = written.split(':');
  if (more.length > 0) {
    return refuse(context, field, `${JSON.stringify(written)} is not a range`, written, 'write least:most');
  }
  const from = one(first);
  const to = last === undefined ? from : one(last);
  if (from === undefined || to === undefined) return undefined;
  if (from <= to) return number(from, to);
  return refuse(context, field, `the range ${written} is empty`, written, `write ${to}:${from}`);
};

const readPort = (context: Context, field: Field, part: string): bigint | undefined => {
  const port = readNumber(part);
  if (port !== undefined && port >= 0n && port <= 65_535n) return port;
  return refuse(context, field, `${JSON.stringify(part)} is not a port`, part, 'use 0 to 65535, or least:most');
};

const readName = (
  context: Context,
  field: Field,
  written: string,
  names: Readonly<Record<string, number>>,
  most: bigint,
): FilterValue | undefined => {
  if (Object.hasOwn(names, written)) return number(BigInt(names[written] as number));
  const value = readNumber(written);
  if (value !== undefined && value >= 0n && value <= most) return number(value);
  return refuse(
    context,
    field,
    `${JSON.stringify(written)} is not one of ${Object.keys(names).join(', ')}`,
    written,
    `write a name, or a number from 0 to ${most}`,
  );
};

const TEXT_LIMITS: Readonly<Partial<Record<Comparison, number>>> = {
  prefix: LIMITS.prefixBytes,
  postfix: LIMITS.postfixBytes,
  substring: LIMITS.substringBytes,
  'substring-any-case': LIMITS.substringBytes,
};

export const readBytes = (
  context: Context,
  field: Field,
  written: string,
  comparison: Comparison,
): Uint8Array | undefined => {
  const most = TEXT_LIMITS[comparison] ?? LIMITS.textBytes;
  const bytes = Buffer.from(written);
  if (bytes.includes(0)) {
    return refuse(context, field, 'holds a zero byte', written, 'remove it: the kernel ends a text there');
  }
  if (bytes.length === 0 && comparison !== 'equal') {
    return refuse(context, field, 'is empty and would match everything', written, 'remove the filter, or write a text');
  }
  if (bytes.length > most) {
    return refuse(context, field, `has ${bytes.length} bytes`, written, `use ${most} bytes at most`);
  }
  return Uint8Array.from(bytes);
};

const LIST = /^list:(.+)$/;

const readText = (context: Context, field: Field, written: string, comparison: Comparison): FilterValue | undefined => {
  const bytes = readBytes(context, field, written, comparison);
  return bytes && { kind: 'text', bytes };
};

const readEqual = (context: Context, field: Field, written: string, type: ArgType): FilterValue | undefined => {
  const { class: name } = factsOf(type);
  if (name === 'text' || name === 'path' || name === 'unix') return readText(context, field, written, 'equal');
  const value = readInt(context, field, written, type);
  return value === undefined ? undefined : number(value);
};

/** One value; undefined when it is wrong, which has been said. */
export const readValue = (
  context: Context,
  field: Field,
  comparison: Comparison,
  type: ArgType,
): FilterValue | undefined => {
  const written = readString(context, field);
  if (written === undefined) return undefined;
  const list = LIST.exec(written)?.[1];
  if (list !== undefined && (comparison === 'in-list' || comparison === 'equal') && factsOf(type).class !== 'text') {
    return { kind: 'list', name: list };
  }
  switch (comparison) {
    case 'equal':
      return readEqual(context, field, written, type);
    case 'greater':
    case 'less':
    case 'mask':
    case 'in-list': {
      const value = readInt(context, field, written, type);
      if (value === undefined) return undefined;
      if (comparison !== 'mask' || value !== 0n) return number(value);
      return refuse(context, field, 'a mask of 0 matches nothing', written, 'write the bits to look for');
    }
    case 'range':
      return readRange(context, field, written, (part) => readInt(context, field, part, type));
    case 'prefix':
    case 'postfix':
    case 'substring':
    case 'substring-any-case':
      return readText(context, field, written, comparison);
    case 'source-port':
    case 'destination-port':
      return readRange(context, field, written, (part) => readPort(context, field, part));
    case 'source-address':
    case 'destination-address': {
      const cidr = readCidr(context, field, true);
      return cidr && { kind: 'prefix', family: cidr.family, address: cidr.addr, bits: cidr.bits128 };
    }
    case 'protocol':
      return readName(context, field, written, PROTOCOLS, 65_535n);
    case 'family':
      return readName(context, field, written, FAMILIES, 65_535n);
    case 'state':
      return readName(context, field, written, TCP_STATES, 255n);
    case 'file-type':
      if (Object.hasOwn(FILE_TYPES, written)) {
        return number(BigInt(FILE_TYPES[written as keyof typeof FILE_TYPES]));
      }
      return refuse(
        context,
        field,
        `${JSON.stringify(written)} is not one of ${Object.keys(FILE_TYPES).join(', ')}`,
        written,
        'write the type as ls -l and find -type mean it',
      );
    case 'source-port-privileged':
    case 'destination-port-privileged':
    case 'capabilities-gained':
      return undefined;
  }
};
