// SPDX-License-Identifier: Apache-2.0
/**
 * Who the outside world hears: every source address by protocol, noted by nftables before anything else looks. Errors of
 * routers on the way, which hosts are too, do not count.
 */
import { execFileSync } from 'node:child_process';
import { inNetns, netnsPath } from '@weir/infra/netns';

const TABLE = 'weir_witness';
const PROTOCOLS: Readonly<Record<string, string>> = { tcp: 'tcp', udp: 'udp', icmp: 'icmp', 'ipv6-icmp': 'icmp' };

const RULES = `
table inet ${TABLE} {
  set four { type inet_proto . ipv4_addr; flags dynamic; size 4096; }
  set six { type inet_proto . ipv6_addr; flags dynamic; size 4096; }
  chain input {
    type filter hook input priority -300; policy accept;
    icmp type destination-unreachable accept
    icmpv6 type packet-too-big accept
    ip daddr SERVER4 add @four { meta l4proto . ip saddr }
    ip6 daddr SERVER6 add @six { meta l4proto . ip6 saddr }
  }
}
`;

interface Listed {
  readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[];
}

export class Witness {
  readonly #netns: string;
  readonly #rules: string;

  constructor(netns: string, server: { readonly ip4: string; readonly ip6: string }) {
    this.#netns = netns;
    this.#rules = RULES.replace('SERVER4', server.ip4).replace('SERVER6', server.ip6);
    this.forget();
  }

  forget(): void {
    const text = `add table inet ${TABLE}\ndelete table inet ${TABLE}\n${this.#rules}`;
    execFileSync('nsenter', [`--net=${netnsPath(this.#netns)}`, '--', 'nft', '-f', '-'], { input: text });
  }

  /** `tcp 198.18.1.11`, sorted. */
  heard(): string[] {
    const { nftables } = JSON.parse(inNetns(this.#netns, 'nft', '-j', 'list', 'table', 'inet', TABLE)) as Listed;
    const found = nftables.flatMap(({ set }) => set?.elem ?? []).map((elem) => this.#pair(elem));
    return [...new Set(found)].sort();
  }

  #pair(elem: unknown): string {
    const inner = (elem as { elem?: { val?: unknown } }).elem?.val ?? elem;
    const [protocol = '', address = ''] = (inner as { concat: string[] }).concat;
    return `${PROTOCOLS[protocol] ?? protocol} ${address}`;
  }
}
