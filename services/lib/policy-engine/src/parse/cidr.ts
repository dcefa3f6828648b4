// SPDX-License-Identifier: Apache-2.0
/** CIDR texts inside documents, with a warning where bits behind the prefix were set and are ignored. */
import { isWeirError } from '@weir/errors';
import { type Cidr, cidrContains, compareIp, parseCidr, parseIp } from '@weir/net';
import { type Context, type Field, readList, readString } from './reader.ts';

const isCanonicalAddress = (text: string, cidr: Cidr): boolean =>
  compareIp(parseIp(text.slice(0, text.indexOf('/'))), cidr.addr) === 0;

export const readCidr = (context: Context, field: Field, allowAddress: boolean): Cidr | undefined => {
  const text = readString(context, field);
  if (text === undefined) return undefined;
  try {
    const cidr = parseCidr(text, { allowAddress });
    if (text.includes('/') && !isCanonicalAddress(text, cidr)) {
      context.warnings.add(
        'cidr-host-bits',
        field.path,
        field.node.at,
        `${text} means ${cidr.text}`,
        `write ${cidr.text}`,
      );
    }
    return cidr;
  } catch (error) {
    if (!isWeirError(error)) throw error;
    context.issues.add(field.path, field.node.at, error.message, {
      value: text,
      fix: error.facts.fix ?? 'correct the prefix',
    });
    return undefined;
  }
};

/** Exceptions lie inside their prefix; Kubernetes also refuses one that equals it. */
export const readExcept = (
  context: Context,
  field: Field | undefined,
  cidr: Cidr | undefined,
  strict: boolean,
): Cidr[] => {
  const excepts: Cidr[] = [];
  for (const item of field ? (readList(context, field) ?? []) : []) {
    const except = readCidr(context, item, false);
    if (!except) continue;
    excepts.push(except);
    if (!cidr) continue;
    const inside = cidrContains(cidr, except) && !(strict && except.bits === cidr.bits);
    if (inside) continue;
    context.issues.add(item.path, item.node.at, `except ${except.text} does not lie inside ${cidr.text}`, {
      value: except.text,
      fix: `use a prefix ${strict ? 'smaller than and ' : ''}within ${cidr.text}, or remove it`,
    });
  }
  return excepts;
};
