// SPDX-License-Identifier: Apache-2.0
/** An uplink in the packet tests' world: the interface that exists, with the host's addresses in the world. */
import {
  nat_in_value,
  nat_key,
  nat_out_value,
  nat_sweep_ctx,
  prefix_key,
  strict_value,
  unmasqueraded_value,
  uplink,
} from '../../gen/index.ts';
import { uplinkFlags } from '../../uplink-flags.ts';
import { mapped } from './bytes.ts';
import { WEB, type World } from './world.ts';

export const NAT = { ip4: '198.51.100.1', ip6: '2001:db8:100::1' } as const;

export interface UplinkOptions {
  readonly low?: number;
  readonly high?: number;
  readonly ip4?: string;
  readonly ip6?: string;
  /** Ids that pass; without it all pass, 0 = every id. */
  readonly vlans?: readonly number[];
  /** Egress gateways are looked at. */
  readonly isEgress?: boolean;
  /** Source of what NAT64 translates. */
  readonly nat64Ip4?: string;
  /** Prefixes between which nothing is in the clear. */
  readonly strict?: readonly string[];
  readonly strictIngress?: boolean;
  readonly exceptHosts?: boolean;
  /** Clients outside are served. */
  readonly services?: boolean;
  /** The host's own packets are judged. */
  readonly guard?: boolean;
}

export const WIREGUARD_PORT = 51_871;
export const TUNNEL_PORT = 8_472;

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const prefixOf = (text: string): Buffer => {
  const [address = '', bits] = text.split('/');
  return prefix_key.encode({ prefixlen: (address.includes(':') ? 0 : 96) + Number(bits), addr: mapped(address) });
};

/** As a table's `setup`: programs on the uplink masquerade with ports low to high. */
export const uplinkOf =
  ({ low = 50_000, high = 50_000, ip4 = NAT.ip4, ip6 = NAT.ip6, nat64Ip4 = '', ...more }: UplinkOptions = {}) =>
  (world: World): void => {
    const { vlans, isEgress = false, strict = [], strictIngress = false, exceptHosts = false } = more;
    const { services = false, guard = false } = more;
    const addr = (text: string): Buffer => (text === '' ? Buffer.alloc(16) : mapped(text));
    const flags = uplinkFlags({
      vlans: vlans && new Set(vlans),
      egress: isEgress,
      services,
      guard,
      strict: { cidrs: new Set(strict), ingress: strictIngress, exceptHosts },
    });
    world.map('uplinks').update(
      u32(WEB.ifindex),
      uplink.encode({
        ...{ flags, port_low: low, port_high: high, ip4: addr(ip4), ip6: addr(ip6) },
        ...{ nat64_ip4: addr(nat64Ip4), wireguard_port: WIREGUARD_PORT, tunnel_port: TUNNEL_PORT },
        ...{ service_ip4: addr(services ? NAT.ip4 : ''), service_ip6: addr(services ? NAT.ip6 : '') },
      }),
    );
    for (const prefix of strict) world.map('strict').update(prefixOf(prefix), strict_value.encode({ flags: 0 }));
    for (const id of vlans ?? []) if (id !== 0) world.map('vlans').update(u32(id), u32(1));
  };

export const keepAddressTo = (world: World, text: string): void => {
  world.map('unmasqueraded').update(prefixOf(text), unmasqueraded_value.encode({ flags: 0 }));
};

export interface Mapping {
  readonly key: nat_key;
  readonly value: nat_in_value;
}

export const mappings = async (world: World): Promise<Mapping[]> => {
  const { keys, values, count } = await world.map('nat_in').lookupAll();
  return Array.from({ length: count }, (_, i) => ({
    key: nat_key.decode(keys, i * nat_key.size),
    value: nat_in_value.decode(values, i * nat_in_value.size),
  }));
};

export const halves = async (world: World): Promise<{ key: nat_key; value: nat_out_value }[]> => {
  const { keys, values, count } = await world.map('nat_out').lookupAll();
  return Array.from({ length: count }, (_, i) => ({
    key: nat_key.decode(keys, i * nat_key.size),
    value: nat_out_value.decode(values, i * nat_out_value.size),
  }));
};

/** As if so much time had passed for every mapping. */
export const ageMappings = async (world: World, seconds: number): Promise<void> => {
  const ns = BigInt(Math.round(seconds * 1e9));
  for (const { key, value } of await mappings(world)) {
    const expires_ns = value.expires_ns > ns ? value.expires_ns - ns : 1n;
    world.map('nat_in').update(nat_key.encode(key), nat_in_value.encode({ ...value, expires_ns }));
  }
};

export const sweepMappings = async (world: World, flags = 0): Promise<nat_sweep_ctx> => {
  const none = { now_ns: 0n, flags, failed: 0, entries: 0n, expired: 0n, orphans: 0n };
  const { ctxOut } = await world.program('nat_sweep').testRun({ ctx: nat_sweep_ctx.encode(none) });
  return nat_sweep_ctx.decode(Buffer.from(ctxOut as Uint8Array));
};
