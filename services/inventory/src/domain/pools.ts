// SPDX-License-Identifier: Apache-2.0
/**
 * Address pools: CIDRs cut into blocks of one size for each family. A host holds blocks, its workloads get addresses of
 * them, next fit. Pure arithmetic; who has what is in the store.
 */
import { weirError } from '@weir/errors';
import { named } from '@weir/http';
import { type Cidr, cidrContains, type Family, formatIp, parseCidr } from '@weir/net';
import { type Static, Type } from 'typebox';
import { unusableRange } from './addresses.ts';
import { Issues } from './refused.ts';

export const DEFAULT_POOL = 'default';
export const BLOCK_BITS4 = 24;
export const BLOCK_BITS6 = 112;
/** Skipped at the beginning of a block: the network itself and what is kept for the host; at the end: broadcast. */
const KEPT_OFFSET = 1n;
const FIRST_OFFSET = 2n;
const ADDRESS_BITS = 128;
/** Smallest block: five addresses for workloads. */
const LAST_BITS4 = 29;
const LAST_BITS6 = 125;
/** Blocks of one CIDR that are counted; more hosts than anybody has. */
const BLOCKS_MAX_BITS = 24;
const CIDRS_MAX = 64;

const toNumber = (addr: Uint8Array): bigint => BigInt(`0x${Buffer.from(addr).toString('hex')}`);
const toBytes = (value: bigint): Uint8Array => Buffer.from(value.toString(16).padStart(32, '0'), 'hex');

export const PoolPutSchema = named(
  'PoolPut',
  Type.Object(
    {
      cidrs: Type.Array(Type.String({ maxLength: 64 }), {
        minItems: 1,
        maxItems: CIDRS_MAX,
        description: 'give one CIDR at least; IPv4, IPv6, or of both',
      }),
      block_bits4: Type.Optional(
        Type.Integer({
          minimum: 8,
          maximum: LAST_BITS4,
          default: BLOCK_BITS4,
          description: 'Prefix length of the IPv4 blocks that hosts get',
        }),
      ),
      block_bits6: Type.Optional(
        Type.Integer({
          minimum: 32,
          maximum: LAST_BITS6,
          default: BLOCK_BITS6,
          description: 'Prefix length of the IPv6 blocks that hosts get',
        }),
      ),
    },
    { additionalProperties: false },
  ),
);
export type PoolSpec = Required<Static<typeof PoolPutSchema>>;

export const blockBits = ({ block_bits4, block_bits6 }: Omit<PoolSpec, 'cidrs'>, family: Family): number =>
  family === 4 ? block_bits4 : block_bits6;

/** Throws INVALID_ARGUMENT that lists everything wrong; gives the CIDRs in their one spelling. */
export const checkPool = (spec: PoolSpec): PoolSpec => {
  const issues = new Issues();
  const cidrs = issues.cidrs('cidrs', spec.cidrs);
  for (const [i, cidr] of cidrs.entries()) {
    const bits = blockBits(spec, cidr.family);
    if (bits < cidr.bits) {
      const fix = `give block_bits${cidr.family} from ${cidr.bits} to ${cidr.family === 4 ? LAST_BITS4 : LAST_BITS6}, or a larger CIDR`;
      issues.add(`block_bits${cidr.family}`, bits, `makes blocks larger than their pool ${cidr.text}`, fix);
    }
    const unusable = unusableRange(formatIp(cidr.addr));
    if (unusable)
      issues.add(
        `cidrs[${i}]`,
        spec.cidrs[i],
        `lies in ${unusable}, where no other host reaches it`,
        'give a unicast range',
      );
    const other = cidrs.findIndex((one, j) => j < i && (cidrContains(one, cidr) || cidrContains(cidr, one)));
    if (other >= 0 && cidrs[other]?.text !== cidr.text) {
      issues.add(`cidrs[${i}]`, spec.cidrs[i], `overlaps ${cidrs[other]?.text}`, 'leave one of both out');
    }
  }
  issues.throw();
  return { ...spec, cidrs: cidrs.map(({ text }) => text) };
};

/** The settings that the pool `default` is made of at the first start. */
export const parsePools = (pool4: string, pool6: string): PoolSpec => {
  for (const [field, text, family, bits] of [
    ['pool4', pool4, 4, BLOCK_BITS4],
    ['pool6', pool6, 6, BLOCK_BITS6],
  ] as const) {
    const cidr = parseCidr(text);
    if (cidr.family === family && cidr.bits <= bits) continue;
    throw weirError('INVALID_ARGUMENT', `${field} ${text} can't be cut into blocks`, {
      field,
      value: text,
      fix: `give an IPv${family} prefix of at most ${bits} bits`,
    });
  }
  const cidrs = [parseCidr(pool4).text, parseCidr(pool6).text];
  return { cidrs, block_bits4: BLOCK_BITS4, block_bits6: BLOCK_BITS6 };
};

/** How many blocks of `bits` a CIDR of a pool has. */
export const blockCount = (base: Cidr, bits: number): bigint =>
  1n << BigInt(Math.min(Math.max(bits - base.bits, 0), BLOCKS_MAX_BITS));

const sizeBits = (family: Family, bits: number): bigint => BigInt((family === 4 ? 32 : ADDRESS_BITS) - bits);

export const blockAt = (base: Cidr, bits: number, index: bigint): string =>
  `${formatIp(toBytes(toNumber(base.addr) + (index << sizeBits(base.family, bits))))}/${bits}`;

/** Which block of `base` holds the address, which lies in it. */
export const blockIndex = (base: Cidr, bits: number, address: Uint8Array): bigint =>
  (toNumber(address) - toNumber(base.addr)) >> sizeBits(base.family, bits);

/** Addresses of a block that may be given to workloads. */
export const capacity = (block: Cidr): bigint => (1n << BigInt(ADDRESS_BITS - block.bits128)) - FIRST_OFFSET - 1n;

/** The `index`th of them (wraps), as text. */
export const addressAt = (block: Cidr, index: bigint): string =>
  formatIp(toBytes(toNumber(block.addr) + FIRST_OFFSET + (index % capacity(block))));

/**
 * What no workload gets of the host's first block of that family: its health endpoint's, so that a full block has room for
 * it and nobody has to remember it. Empty: the host has no such block.
 */
export const keptAddress = (blocks: readonly string[], family: Family): string => {
  const first = blocks.map((text) => parseCidr(text)).find((block) => block.family === family);
  return first ? formatIp(toBytes(toNumber(first.addr) + KEPT_OFFSET)) : '';
};

/** Throws unless `address` may be given out of the block. */
export const checkStatic = (field: string, address: string, block: Cidr): void => {
  const offset = toNumber(parseCidr(`${address}/${block.family === 4 ? 32 : 128}`).addr) - toNumber(block.addr);
  if (offset >= FIRST_OFFSET && offset < FIRST_OFFSET + capacity(block)) return;
  throw weirError('INVALID_ARGUMENT', `${field} ${address} is not a free address of the block ${block.text}`, {
    field,
    value: address,
    fix: `choose from ${addressAt(block, 0n)} to ${addressAt(block, capacity(block) - 1n)}, or leave it out`,
  });
};
