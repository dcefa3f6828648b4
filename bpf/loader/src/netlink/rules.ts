// SPDX-License-Identifier: Apache-2.0
/** Policy rules (which routing table a packet is looked up in): RTM_*RULE, linux/fib_rules.h. */
import { type Family, familyNumber, familyOf, ipText, rawCidr } from './ip.ts';
import { AF, attribute, attributes, FLAG, message, number, RTM, u8, u32 } from './message.ts';

const FRA = { SRC: 2, PRIORITY: 6, FWMARK: 10, TABLE: 15, FWMASK: 16, PROTOCOL: 21 } as const;
const TO_TABLE = 1;
const FIB_RULE_FIND_SADDR = 0x10000;
const HEADER_BYTES = 12;

export interface Rule {
  readonly family: Family;
  /** Prefix of the source; 0.0.0.0/0 and ::/0: any. */
  readonly src: string;
  readonly table: number;
  /** The lower is asked first. */
  readonly priority: number;
  readonly mark: number | undefined;
  readonly mask: number | undefined;
  readonly protocol: number;
}

export interface RuleOptions {
  readonly family: Family;
  readonly src?: string;
  readonly table: number;
  readonly priority: number;
  /** Of the packet, whole. */
  readonly mark?: number;
  /** Of IPv6: also for who has not chosen a source yet, when it would be this one. */
  readonly findSource?: boolean;
  /** Who made it. */
  readonly protocol?: number;
}

const header = (family: number, fields: { srcBits?: number; table?: number; action?: number; flags?: number } = {}) => {
  const { srcBits = 0, table = 0, action = 0, flags = 0 } = fields;
  const out = Buffer.alloc(HEADER_BYTES);
  out[0] = family;
  out[2] = srcBits;
  out[4] = table < 256 ? table : 0;
  out[7] = action;
  out.writeUInt32LE(flags >>> 0, 8);
  return out;
};

export const listRules = (family: Family): Buffer => message(RTM.GETRULE, FLAG.DUMP, header(familyNumber(family)));

export const readRule = (body: Buffer): Rule | undefined => {
  const family = body[0] ?? 0;
  if (body.length < HEADER_BYTES || (family !== AF.INET && family !== AF.INET6)) return undefined;
  const found = attributes(body, HEADER_BYTES);
  const any = family === AF.INET ? '0.0.0.0' : '::';
  return {
    family: familyOf(family),
    src: `${ipText(found.get(FRA.SRC)) ?? any}/${body[2]}`,
    table: number(found.get(FRA.TABLE)) ?? body[4] ?? 0,
    priority: number(found.get(FRA.PRIORITY)) ?? 0,
    mark: number(found.get(FRA.FWMARK)),
    mask: number(found.get(FRA.FWMASK)),
    protocol: found.get(FRA.PROTOCOL)?.[0] ?? 0,
  };
};

const parts = (options: RuleOptions): { readonly header: Buffer; readonly attributes: (Buffer | undefined)[] } => {
  const { family, src, table, priority, mark, findSource, protocol } = options;
  const source = src === undefined ? undefined : rawCidr(src);
  const flags = findSource ? FIB_RULE_FIND_SADDR : 0;
  return {
    header: header(familyNumber(family), { srcBits: source?.bits ?? 0, table, action: TO_TABLE, flags }),
    attributes: [
      source && source.bits > 0 ? attribute(FRA.SRC, source.bytes) : undefined,
      attribute(FRA.PRIORITY, u32(priority)),
      attribute(FRA.TABLE, u32(table)),
      mark === undefined ? undefined : attribute(FRA.FWMARK, u32(mark)),
      mark === undefined ? undefined : attribute(FRA.FWMASK, u32(0xffffffff)),
      protocol === undefined ? undefined : attribute(FRA.PROTOCOL, u8(protocol)),
    ],
  };
};

/** One that is there already is an error (EEXIST). */
export const addRule = (options: RuleOptions): Buffer => {
  const { header: fixed, attributes: all } = parts(options);
  return message(RTM.NEWRULE, FLAG.CREATE | FLAG.EXCL, fixed, all);
};

export const deleteRule = (options: RuleOptions): Buffer => {
  const { header: fixed, attributes: all } = parts(options);
  return message(RTM.DELRULE, 0, fixed, all);
};
