// SPDX-License-Identifier: Apache-2.0
/** Few prefixes and few ranges instead of many addresses and ports: what lies closest is joined, so that little is added. */
import { type Cidr, cidrContains, cidrOfAddress, compareIp, ipFamily, parseCidr, parseIp } from '@weir/net';

/** Longest prefix that holds both. */
const common = (a: Cidr, b: Cidr): Cidr => {
  let bits = Math.min(a.bits, b.bits);
  for (;;) {
    const joined = parseCidr(`${a.text.slice(0, a.text.indexOf('/'))}/${bits}`);
    if (cidrContains(joined, b)) return joined;
    bits -= 1;
  }
};

const bounded = (sorted: readonly Cidr[], most: number): Cidr[] => {
  const kept = [...sorted];
  const joins = kept.slice(1).map((cidr, index) => common(kept[index] as Cidr, cidr));
  // Halves of a prefix cost nothing; beyond, the join that adds the least addresses.
  for (;;) {
    let best = -1;
    for (const [index, join] of joins.entries()) if (best < 0 || join.bits > (joins[best] as Cidr).bits) best = index;
    const join = joins[best];
    if (join === undefined) return kept;
    const [left, right] = [kept[best] as Cidr, kept[best + 1] as Cidr];
    const isFree = join.bits === left.bits || (left.bits === right.bits && join.bits === left.bits - 1);
    if (!isFree && kept.length <= most) return kept;
    kept.splice(best, 2, join);
    joins.splice(best, 1);
    if (best > 0) joins[best - 1] = common(kept[best - 1] as Cidr, join);
    if (best < joins.length) joins[best] = common(join, kept[best + 1] as Cidr);
  }
};

/** At most `most` prefixes of each family that hold all addresses. */
export const prefixesOf = (addresses: Iterable<string>, most: number): string[] => {
  const all = [...new Set(addresses)].map(parseIp).sort(compareIp);
  return ([4, 6] as const).flatMap((family) => {
    const own = all.filter((address) => ipFamily(address) === family).map(cidrOfAddress);
    return bounded(own, most).map(({ text }) => text);
  });
};

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** At most `most` ranges that hold all ports. */
export const rangesOf = (ports: Iterable<number>, most: number): PortRange[] => {
  const sorted = [...new Set(ports)].sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((port, index) => ({ index: index + 1, gap: port - (sorted[index] as number) }));
  const cuts = new Set(
    gaps
      .sort((a, b) => b.gap - a.gap)
      .slice(0, most - 1)
      .map(({ index }) => index),
  );
  const ranges: PortRange[] = [];
  let first = 0;
  for (let index = 1; index <= sorted.length; index += 1) {
    if (index < sorted.length && !cuts.has(index)) continue;
    ranges.push({ first: sorted[first] as number, last: sorted[index - 1] as number });
    first = index;
  }
  return ranges;
};
