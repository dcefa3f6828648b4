// SPDX-License-Identifier: Apache-2.0
/**
 * A host cut off from an address on the underlay, both ways or one: packets are dropped inside the host's namespace by
 * nftables, as a network that lost them would. What other hosts, and the rest of the host's traffic, see is unchanged.
 */
import { execFileSync } from 'node:child_process';
import { netnsPath } from './netns.ts';

/** in: nothing comes from there; out: nothing gets there. */
export type CutDirection = 'both' | 'in' | 'out';

const TABLE = 'weir_cut';

const nft = (netns: string, text: string): void => {
  execFileSync('nsenter', [`--net=${netnsPath(netns)}`, '--', 'nft', '-f', '-'], {
    input: text,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
};

/** Replaces the host's cut, if there is one. */
export const cutOff = (netns: string, address: string, direction: CutDirection): void => {
  const family = address.includes(':') ? 'ip6' : 'ip';
  const chain = (hook: string, match: string) =>
    `chain ${hook} { type filter hook ${hook} priority -300; policy accept; ${family} ${match} ${address} drop; }`;
  const chains = [
    ...(direction === 'out' ? [] : [chain('input', 'saddr')]),
    ...(direction === 'in' ? [] : [chain('output', 'daddr')]),
  ];
  healCut(netns);
  nft(netns, `table inet ${TABLE} {\n${chains.join('\n')}\n}\n`);
};

export const healCut = (netns: string): void => {
  nft(netns, `add table inet ${TABLE}\ndelete table inet ${TABLE}\n`);
};
