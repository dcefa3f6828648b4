// SPDX-License-Identifier: Apache-2.0
/**
 * Before a prefix gets a number of its own in the cidrs map, the tables in force must know that number, or its
 * addresses would be judged for a moment as by no policy at all. What they were until now is what they go on to be:
 * entries of the next shorter known prefix (or of the world) are repeated for the new number. The new policy, which may
 * treat them differently, comes after.
 */
import { policy_entry, policy_key, weir_identity } from '@weir/bpf';
import type { PolicyTable } from '@weir/bpf/policy-table';
import { type Cidr, cidrContains, parseCidr } from '@weir/net';

const { IDENTITY_SCOPE_IPBLOCK, IDENTITY_WORLD_IPV4, IDENTITY_WORLD_IPV6 } = weir_identity;
const LOCAL_BITS = 0xffffff;

const twinOf = (identity: number): number => (IDENTITY_SCOPE_IPBLOCK | (identity & LOCAL_BITS)) >>> 0;

/** Identity in the tables -> those that are to have the same entries. */
export type Repeats = ReadonlyMap<number, readonly number[]>;

interface Known {
  readonly cidr: Cidr;
  readonly identity: number;
}

const parentOf = (cidr: Cidr, known: readonly Known[]): Known | undefined => {
  let best: Known | undefined;
  for (const candidate of known) {
    if (!cidrContains(candidate.cidr, cidr)) continue;
    if (!best || candidate.cidr.bits128 > best.cidr.bits128) best = candidate;
  }
  return best;
};

/** `installed` is what the cidrs map holds, `added` what it will hold besides. */
export const repeatsFor = (
  installed: ReadonlyMap<string, number>,
  added: Iterable<readonly [prefix: string, identity: number]>,
): Repeats => {
  const known = [...installed].map(([prefix, identity]): Known => ({ cidr: parseCidr(prefix), identity }));
  const repeats = new Map<number, number[]>();
  const repeat = (from: number, to: number): void => {
    const list = repeats.get(from);
    if (list) list.push(to);
    else repeats.set(from, [to]);
  };
  for (const [prefix, identity] of added) {
    const cidr = parseCidr(prefix);
    const parent = parentOf(cidr, known);
    repeat(parent?.identity ?? (cidr.family === 4 ? IDENTITY_WORLD_IPV4 : IDENTITY_WORLD_IPV6), identity);
    if (parent) repeat(twinOf(parent.identity), twinOf(identity));
  }
  return repeats;
};

/** The same table when nothing in it is to be repeated, or when it would not fit. */
export const extendTable = (table: PolicyTable, repeats: Repeats, maxEntries: number): PolicyTable => {
  const copies: { readonly from: number; readonly identity: number }[] = [];
  for (let i = 0; i < table.count; i++) {
    const identities = repeats.get(policy_key.read.identity(table.keys, i * policy_key.size));
    for (const identity of identities ?? []) copies.push({ from: i, identity });
  }
  const count = table.count + copies.length;
  if (copies.length === 0 || count > maxEntries) return table;
  const keys = Buffer.alloc(count * policy_key.size);
  const values = Buffer.alloc(count * policy_entry.size);
  table.keys.copy(keys);
  table.values.copy(values);
  for (const [n, { from, identity }] of copies.entries()) {
    const at = (table.count + n) * policy_key.size;
    table.keys.copy(keys, at, from * policy_key.size, (from + 1) * policy_key.size);
    keys.writeUInt32LE(identity, at + policy_key.offsets.identity);
    table.values.copy(
      values,
      (table.count + n) * policy_entry.size,
      from * policy_entry.size,
      (from + 1) * policy_entry.size,
    );
  }
  return { ...table, keys, values, count };
};
