// SPDX-License-Identifier: Apache-2.0
/** Egress gateways in the packet tests' world: who is selected, for what, and where gateways are. */
import {
  address_key,
  egress_gateway,
  egress_group,
  egress_key,
  egress_route,
  egress_source,
  weir_egress_bits,
  weir_egress_flags,
} from '../../gen/index.ts';
import { mapped } from './bytes.ts';
import type { World } from './world.ts';

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const bytesOf = (address: string | undefined): Buffer => (address ? mapped(address) : Buffer.alloc(16));

export interface Gateway {
  /** Number of its host in `tunnels`; without it, this host. */
  readonly host?: number;
  readonly isDead?: boolean;
  /** Of this host's. */
  readonly ifindex?: number;
  readonly ip4?: string;
  readonly ip6?: string;
}

/** These addresses leave by the group of the longest prefix that is theirs. */
export const select = (
  world: World,
  set: number,
  sources: readonly string[],
  groups: Readonly<Record<string, number>>,
): void => {
  for (const [text, group] of Object.entries(groups)) {
    const [address = '', bits] = text.split('/');
    const prefixlen = weir_egress_bits.EGRESS_SET_BITS + (address.includes(':') ? 0 : 96) + Number(bits);
    world
      .map('egress_routes')
      .update(egress_key.encode({ prefixlen, set, addr: mapped(address) }), egress_route.encode({ group }));
  }
  for (const source of sources)
    world.map('egress_sources').update(address_key.encode({ addr: mapped(source) }), egress_source.encode({ set }));
};

/** Gateways by number: 0 = none. */
export const choose = (world: World, group: number, chosen: number, own = 0): void =>
  world.map('egress_groups').update(u32(group), egress_group.encode({ chosen, own }));

export const gateway = (
  world: World,
  number: number,
  group: number,
  { host = 0, isDead = false, ifindex = 0, ip4, ip6 }: Gateway,
): void =>
  world.map('egress_gateways').update(
    u32(number),
    egress_gateway.encode({
      ...{ group, host, ifindex, ip4: bytesOf(ip4), ip6: bytesOf(ip6) },
      flags: isDead ? 0 : weir_egress_flags.EGRESS_ALIVE,
    }),
  );

/** Groups and gateways up to that number are nobody's again. */
export const clearEgress = async (world: World, upTo = 8): Promise<void> => {
  for (const name of ['egress_sources', 'egress_routes']) await world.clear(name);
  for (let number = 1; number <= upTo; number++) {
    world.map('egress_groups').update(u32(number), Buffer.alloc(egress_group.size));
    world.map('egress_gateways').update(u32(number), Buffer.alloc(egress_gateway.size));
  }
};
