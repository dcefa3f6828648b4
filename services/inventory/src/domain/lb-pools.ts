// SPDX-License-Identifier: Apache-2.0
/** Pools of addresses that services get (LB-IPAM): blocks by prefix, or from one address to another. */
import { named } from '@weir/http';
import { compareIp, formatIp, ipFamily, isIp, lastAddress, nextAddress, parseIp } from '@weir/net';
import { type Static, Type } from 'typebox';
import { unservableBetween } from './addresses.ts';
import { Issues } from './refused.ts';
import { checkSelector, LabelSelectorSchema } from './selectors.ts';

const closed = { additionalProperties: false };
const BLOCKS_MAX = 256;

const BlockPut = Type.Object(
  {
    cidr: Type.Optional(Type.String({ maxLength: 64, description: 'Prefix such as 192.0.2.0/24' })),
    start: Type.Optional(Type.String({ maxLength: 64, description: 'First address' })),
    stop: Type.Optional(Type.String({ maxLength: 64, description: 'Last address; absent: start alone' })),
  },
  { ...closed, description: 'cidr, or start and stop' },
);

export const LbPoolPutSchema = named(
  'LbPoolPut',
  Type.Object(
    {
      blocks: Type.Array(BlockPut, {
        minItems: 1,
        maxItems: BLOCKS_MAX,
        description: 'give one block at least: {cidr}, or {start, stop}',
      }),
      service_selector: Type.Optional({
        ...LabelSelectorSchema,
        description: 'Services by their labels; io.kubernetes.service.namespace and .name stand for those. Absent: all',
      }),
      allow_first_last_ips: Type.Optional(
        Type.Boolean({ default: true, description: 'Whether the first and last address of a cidr are given too' }),
      ),
      disabled: Type.Optional(
        Type.Boolean({ default: false, description: 'Nothing more is given of it; what was given stays' }),
      ),
      frontend_type: Type.Optional(
        Type.Unsafe<'load-balancer' | 'cluster-ip'>(
          Type.Union([Type.Literal('load-balancer'), Type.Literal('cluster-ip')], {
            default: 'load-balancer',
            description: 'Frontends of which type get its addresses',
          }),
        ),
      ),
    },
    closed,
  ),
);
export type LbPoolPut = Static<typeof LbPoolPutSchema>;
export type LbPoolSpec = LbPoolPut & Required<Pick<LbPoolPut, 'allow_first_last_ips' | 'disabled' | 'frontend_type'>>;

/** First and last address that is given, both of one family. */
export interface Range {
  readonly start: string;
  readonly stop: string;
}

type Block = LbPoolPut['blocks'][number];

const FIX = 'write {cidr: 192.0.2.0/24}, or {start: 192.0.2.10, stop: 192.0.2.20}';

const cidrRange = (at: string, text: string, whole: boolean, issues: Issues): Range | undefined => {
  const cidr = issues.cidr(at, text);
  if (cidr === undefined) return undefined;
  const first = cidr.addr;
  const last = lastAddress(cidr);
  // Of one or two addresses there is none between the first and the last (RFC 3021, 6164).
  const small = cidr.bits >= (cidr.family === 4 ? 31 : 127);
  if (whole || small) return { start: formatIp(first), stop: formatIp(last) };
  return {
    start: formatIp(nextAddress(first) as Uint8Array),
    stop: formatIp(nextAddress(last, -1n) as Uint8Array),
  };
};

const rangeOf = (at: string, block: Block, whole: boolean, issues: Issues): Range | undefined => {
  const { cidr, start, stop = start } = block;
  if ((cidr === undefined) === (start === undefined) || (cidr !== undefined && block.stop !== undefined)) {
    issues.add(at, block, 'is neither a prefix nor a range', FIX);
    return undefined;
  }
  if (cidr !== undefined) return cidrRange(`${at}.cidr`, cidr, whole, issues);
  for (const [field, text] of Object.entries({ start, stop })) {
    if (isIp(String(text))) continue;
    issues.add(`${at}.${field}`, text, 'is not an IP address', FIX);
    return undefined;
  }
  const [first, last] = [parseIp(String(start)), parseIp(String(stop))];
  if (ipFamily(first) !== ipFamily(last)) {
    issues.add(`${at}.stop`, stop, `is not of the family of start ${start}`, 'give both of one family');
    return undefined;
  }
  if (compareIp(first, last) > 0) {
    issues.add(`${at}.stop`, stop, `comes before start ${start}`, 'exchange the two');
    return undefined;
  }
  return { start: formatIp(first), stop: formatIp(last) };
};

/** Throws INVALID_ARGUMENT that lists everything wrong; gives the ranges in the order of the blocks. */
export const checkLbPool = (given: LbPoolPut): { readonly spec: LbPoolSpec; readonly ranges: readonly Range[] } => {
  const spec = given as LbPoolSpec;
  const issues = new Issues();
  const ranges: Range[] = [];
  for (const [i, block] of spec.blocks.entries()) {
    const at = `blocks[${i}]`;
    const range = rangeOf(at, block, spec.allow_first_last_ips, issues);
    if (range === undefined) continue;
    const unusable = unservableBetween(range.start, range.stop);
    if (unusable)
      issues.add(at, block, `touches ${unusable}, where no other host reaches it`, 'give unicast addresses');
    const other = ranges.findIndex(
      (one) =>
        one.start.includes(':') === range.start.includes(':') &&
        compareIp(parseIp(one.start), parseIp(range.stop)) <= 0 &&
        compareIp(parseIp(range.start), parseIp(one.stop)) <= 0,
    );
    if (other >= 0) issues.add(at, block, `overlaps blocks[${other}]`, 'leave one out');
    ranges.push(range);
  }
  if (spec.service_selector) checkSelector('service_selector', spec.service_selector, issues);
  issues.throw();
  return { spec, ranges };
};

/** How many addresses a range has. */
export const sizeOf = ({ start, stop }: Range): bigint => {
  const value = (text: string): bigint => parseIp(text).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return value(stop) - value(start) + 1n;
};
