// SPDX-License-Identifier: Apache-2.0
/** What filters look things up in when four numbers do not hold it: each becomes a map of the kernel's. */
import type { FilterValue, NamedList, WorkloadFilter } from '../model.ts';
import { readNumber } from '../parse/values.ts';

export type Table =
  /** Disjoint, in order. */
  | { readonly kind: 'ranges'; readonly ranges: readonly { readonly from: bigint; readonly to: bigint }[] }
  /** A hash of whole texts, or a trie of their beginnings (ends: written backwards), or a list to search for. */
  | { readonly kind: 'texts'; readonly texts: readonly Uint8Array[] }
  /** A trie with the family in front, so that ::/0 holds no IPv4; 16 bytes, IPv4 mapped. */
  | { readonly kind: 'prefixes'; readonly prefixes: readonly Extract<FilterValue, { kind: 'prefix' }>[] }
  /** Resolved to cgroups on the host. */
  | { readonly kind: 'workloads'; readonly workloads: readonly WorkloadFilter[] };

interface Range {
  readonly from: bigint;
  readonly to: bigint;
}

/** Overlapping and adjoining ones joined. */
export const disjoint = (ranges: readonly Range[]): Range[] => {
  const joined: { from: bigint; to: bigint }[] = [];
  for (const { from, to } of [...ranges].sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))) {
    const last = joined.at(-1);
    if (last && from <= last.to + 1n) {
      if (to > last.to) last.to = to;
    } else joined.push({ from, to });
  }
  return joined;
};

/** What a host knows that a document does not say. */
export interface HostFacts {
  /** Name without `sys_` -> number, of the host's architecture. */
  readonly syscalls?: ReadonlyMap<string, number>;
}

export type Unresolved = (message: string) => void;

/** `sys_dup`, `__x64_sys_dup`, `dup`. */
export const syscallName = (written: string): string => written.replace(/^(__(x64|arm64|ia32)_)?sys_/, '');

const listNumbers = (list: NamedList, host: HostFacts, unresolved: Unresolved): Range[] => {
  const { syscalls } = host;
  const isSyscalls = list.type === 'syscalls' || list.type === 'generated_syscalls';
  if (isSyscalls && !syscalls) {
    unresolved(`the numbers of the system calls in the list ${list.name} are not known`);
    return [];
  }
  if (list.type === 'generated_syscalls') {
    return [...(syscalls?.values() ?? [])].map((number) => ({ from: BigInt(number), to: BigInt(number) }));
  }
  return list.values.flatMap((value) => {
    const number = isSyscalls ? syscalls?.get(syscallName(value)) : readNumber(value);
    if (number === undefined) {
      unresolved(`${JSON.stringify(value)} of the list ${list.name} is no number known here`);
      return [];
    }
    return [{ from: BigInt(number), to: BigInt(number) }];
  });
};

export const numbersOf = (
  values: readonly FilterValue[],
  lists: readonly NamedList[],
  host: HostFacts,
  unresolved: Unresolved,
): Range[] =>
  values.flatMap((value) => {
    if (value.kind === 'number') return [{ from: value.from, to: value.to }];
    if (value.kind !== 'list') return [];
    const list = lists.find(({ name }) => name === value.name);
    return list ? listNumbers(list, host, unresolved) : [];
  });
