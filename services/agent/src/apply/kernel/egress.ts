// SPDX-License-Identifier: Apache-2.0
/** The maps of egress gateways of the real kernel. */
import {
  address_key,
  egress_gateway,
  egress_group,
  egress_key,
  egress_route,
  egress_source,
  prefix_key,
  weir_egress_bits,
  weir_egress_flags,
} from '@weir/bpf';
import type { BpfObject } from '@weir/loader';
import { formatIp, parseCidr, parseIp } from '@weir/net';
import type { Egress, EgressGatewayValue } from '../ports.ts';
import { cidrText } from './prefixes.ts';

const { EGRESS_SET_BITS } = weir_egress_bits;
const { EGRESS_ALIVE } = weir_egress_flags;
const NO_ADDRESS = new Uint8Array(16);

const u32 = (value: number): Buffer => {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32LE(value, 0);
  return out;
};

const addressBytes = (text: string): Uint8Array => (text === '' ? NO_ADDRESS : parseIp(text));
const addressText = (bytes: Uint8Array): string => (bytes.every((byte) => byte === 0) ? '' : formatIp(bytes));

const routeKey = (set: number, prefix: string): Buffer => {
  const { addr, bits128 } = parseCidr(prefix);
  return egress_key.encode({ prefixlen: EGRESS_SET_BITS + bits128, set, addr });
};

export const kernelEgress = (object: BpfObject): Egress => {
  const sources = object.map('egress_sources');
  const routes = object.map('egress_routes');
  const groups = object.map('egress_groups');
  const gateways = object.map('egress_gateways');

  const readSets = async (): Promise<Map<number, Map<string, number>>> => {
    const { keys, values, count } = await routes.lookupAll();
    const sets = new Map<number, Map<string, number>>();
    for (let i = 0; i < count; i++) {
      const { prefixlen, set, addr } = egress_key.decode(keys, i * egress_key.size);
      const prefix = cidrText(prefix_key.encode({ prefixlen: prefixlen - EGRESS_SET_BITS, addr }), 0);
      const held = sets.get(set) ?? new Map<string, number>();
      held.set(prefix, egress_route.read.group(values, i * egress_route.size));
      sets.set(set, held);
    }
    return sets;
  };
  const readGroups = async (): Promise<Map<number, { chosen: number; own: number }>> => {
    const { values, count } = await groups.lookupAll();
    const all = Array.from(
      { length: count },
      (_, i) => [i, egress_group.decode(values, i * egress_group.size)] as const,
    );
    return new Map(all.filter(([, { chosen, own }]) => chosen !== 0 || own !== 0));
  };
  const readGateways = async (): Promise<Map<number, EgressGatewayValue>> => {
    const { values, count } = await gateways.lookupAll();
    const found = new Map<number, EgressGatewayValue>();
    for (let i = 0; i < count; i++) {
      if (egress_gateway.read.group(values, i * egress_gateway.size) === 0) continue;
      const { group, host, flags, ifindex, ip4, ip6 } = egress_gateway.decode(values, i * egress_gateway.size);
      const alive = (flags & EGRESS_ALIVE) !== 0;
      found.set(i, { group, tunnel: host, alive, ifindex, ip4: addressText(ip4), ip6: addressText(ip6) });
    }
    return found;
  };

  return {
    read: async () => {
      const { keys, values, count } = await sources.lookupAll();
      const found = Array.from({ length: count }, (_, i): [string, number] => [
        formatIp(address_key.decode(keys, i * address_key.size).addr),
        egress_source.read.set(values, i * egress_source.size),
      ]);
      return {
        sources: new Map(found),
        sets: await readSets(),
        groups: await readGroups(),
        gateways: await readGateways(),
      };
    },
    writeRoutes: async (set, entries) => {
      for (const [prefix, group] of entries) routes.update(routeKey(set, prefix), egress_route.encode({ group }));
    },
    removeRoutes: async (set, prefixes) => {
      for (const prefix of prefixes) routes.delete(routeKey(set, prefix));
    },
    writeGroup: async (number, value) => groups.update(u32(number), egress_group.encode(value)),
    writeGateway: async (number, value) => {
      if (!value) {
        gateways.update(u32(number), Buffer.alloc(egress_gateway.size));
        return;
      }
      const { group, tunnel, alive, ifindex, ip4, ip6 } = value;
      const flags = alive ? EGRESS_ALIVE : 0;
      gateways.update(
        u32(number),
        egress_gateway.encode({ group, host: tunnel, flags, ifindex, ip4: addressBytes(ip4), ip6: addressBytes(ip6) }),
      );
    },
    writeSource: async (address, set) =>
      sources.update(address_key.encode({ addr: parseIp(address) }), egress_source.encode({ set })),
    removeSource: async (address) => {
      sources.delete(address_key.encode({ addr: parseIp(address) }));
    },
  };
};
