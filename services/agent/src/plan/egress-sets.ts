// SPDX-License-Identifier: Apache-2.0
/**
 * Destinations of a workload, as a trie answers them: each prefix with the group that serves it, or 0 where it leaves
 * as if there were no gateway. Of several documents the one with the longest destination counts, then the first by name;
 * what a document excludes it does not have, but another may.
 */
import { createHash } from 'node:crypto';
import { type Cidr, cidrContains, parseCidr } from '@weir/net';
import type { EgressDocument } from './egress-documents.ts';

/** A document and which of its hops serves the workload. */
export interface Choice {
  readonly document: EgressDocument;
  readonly hop: number;
}

/** Canonical prefix -> group. */
export type EgressSet = ReadonlyMap<string, number>;

/** Of links: nobody beyond a gateway has these. */
const NEVER = ['224.0.0.0/4', '255.255.255.255/32', '169.254.0.0/16', 'ff00::/8', 'fe80::/10'].map((text) =>
  parseCidr(text),
);
/** Said in every set: in a trie of both families ::/0 would answer for IPv4 too. */
const ALL_IPV4 = parseCidr('0.0.0.0/0');

/** Of several hops a workload has one for good. */
export const hopOf = ({ body }: EgressDocument, workloadId: string): number =>
  body.gateways.length === 1
    ? 0
    : createHash('sha256').update(workloadId).digest().readUInt32BE(0) % body.gateways.length;

const longestIn = ({ destinations, excluded }: EgressDocument, prefix: Cidr): number => {
  if (excluded.some((cidr) => cidrContains(cidr, prefix))) return -1;
  return destinations.reduce(
    (longest, cidr) => (cidr.bits128 > longest && cidrContains(cidr, prefix) ? cidr.bits128 : longest),
    -1,
  );
};

/** `choices` by the names of their documents. */
export const egressSet = (choices: readonly Choice[], groupOf: (choice: Choice) => number): EgressSet => {
  const prefixes = new Map<string, Cidr>();
  for (const cidr of [ALL_IPV4, ...NEVER]) prefixes.set(cidr.text, cidr);
  for (const { document } of choices)
    for (const cidr of [...document.destinations, ...document.excluded]) prefixes.set(cidr.text, cidr);
  const set = new Map<string, number>();
  for (const [text, prefix] of [...prefixes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    let best: Choice | undefined;
    let longest = -1;
    if (!NEVER.some((cidr) => cidrContains(cidr, prefix))) {
      for (const choice of choices) {
        const bits = longestIn(choice.document, prefix);
        if (bits > longest) [best, longest] = [choice, bits];
      }
    }
    set.set(text, best ? groupOf(best) : 0);
  }
  return set;
};

/** By what is in it: another content is another set, so that a set is never changed. */
export const setNumber = (set: EgressSet, taken: ReadonlyMap<number, EgressSet>): number => {
  const text = JSON.stringify([...set]);
  let number = createHash('sha256').update(text).digest().readUInt32LE(0);
  while (taken.has(number) && JSON.stringify([...(taken.get(number) as EgressSet)]) !== text)
    number = (number + 1) >>> 0;
  return number;
};
