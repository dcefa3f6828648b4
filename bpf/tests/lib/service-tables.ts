// SPDX-License-Identifier: Apache-2.0
/** The maps of load balancing, written as the agent writes them. */
import type { BpfMap } from '@weir/loader';
import {
  address_key,
  backend,
  service,
  service_count,
  service_count_key,
  service_key,
  service_load,
  service_member_key,
  service_range_key,
  service_settings,
  service_slot,
  service_slot_key,
  weir_service_range_bits,
  weir_service_scope,
} from '../../gen/index.ts';
import { mapped } from './bytes.ts';

export const TCP = 6;
export const UDP = 17;
export const NODE_PORTS = { low: 30_000, high: 32_767 } as const;

/** What a packet test leaves in them counts for the next. */
export const SERVICE_MAPS: readonly string[] = [
  ...['services', 'service_slots', 'service_members', 'service_affinity', 'service_ranges', 'service_nat'],
  ...['backends', 'node_addresses', 'service_counts', 'service_loads', 'service_unseen', 'service_open'],
  ...['service_turns', 'workload_netns'],
];

export interface Frontend {
  readonly number: number;
  readonly address: string;
  readonly port: number;
  readonly protocol?: number;
  readonly flags?: number;
  readonly internal?: boolean;
  readonly affinityS?: number;
  /** By number of a backend. */
  readonly weights?: Readonly<Record<number, number>>;
  /** Numbers of backends. */
  readonly active: readonly number[];
  readonly terminating?: readonly number[];
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const tableOf = ({ number, address, internal }: Frontend): number =>
  number * 4 + (address.includes(':') ? 2 : 0) + (internal ? 1 : 0);

export class ServiceTables {
  readonly map: (name: string) => BpfMap;

  constructor(map: (name: string) => BpfMap) {
    this.map = map;
  }

  settings(hostNetns: bigint): void {
    const none = new Uint8Array(16);
    const seed = { hash_seed1: 1, hash_seed2: 2, hash_seed3: 3 };
    const sources = { source4: none, source6: none, source4_bits: 0, source6_bits: 0 };
    const value = {
      host_netns: hostNetns,
      node_port_low: NODE_PORTS.low,
      node_port_high: NODE_PORTS.high,
      ...seed,
      ...sources,
    };
    this.map('service_settings').update(u32(0), service_settings.encode(value));
  }

  nodeAddress(address: string): void {
    this.map('node_addresses').update(address_key.encode({ addr: mapped(address) }), u32(0));
  }

  backend(number: number, address: string, port: number, protocol = TCP, { flags = 0, host = 0 } = {}): void {
    const value = backend.encode({ addr: mapped(address), port, protocol, flags, host });
    this.map('backends').update(u32(number), value);
  }

  noBackend(number: number): void {
    this.map('backends').delete(u32(number));
  }

  /** In the order of writes that the agent has: slots, the frontend, then what is left over. */
  frontend(one: Frontend): void {
    const { number, active, terminating = [], affinityS = 0 } = one;
    const table = tableOf(one);
    const key = this.#key(one);
    const slots = this.map('service_slots');
    const all = [...active, ...terminating];
    const slotKey = (slot: number): Buffer => service_slot_key.encode({ table, slot });
    for (const [slot, to] of all.entries()) {
      slots.update(slotKey(slot), service_slot.encode({ backend: to, table }));
      this.map('service_members').update(
        service_member_key.encode({ table, backend: to }),
        u32(one.weights?.[to] ?? 0),
      );
    }
    const value = {
      ...{ frontend: number, service: number + 1000, flags: one.flags ?? 0, table },
      ...{
        active: active.length,
        terminating: terminating.length,
        affinity_timeout_s: affinityS,
        maglev: 0,
        maglev_place: 0,
      },
    };
    this.map('services').update(key, service.encode(value));
    for (let slot = all.length; slots.delete(slotKey(slot)); slot++);
  }

  /** What clients asked of a frontend, by backend, all CPUs together. */
  async counts(frontend: number): Promise<Map<number, Record<keyof typeof service_count.read, number>>> {
    const map = this.map('service_counts');
    const { keys, values, count } = await map.lookupAll();
    const found = new Map<number, Record<keyof typeof service_count.read, number>>();
    for (let i = 0; i < count; i++) {
      const key = service_count_key.decode(keys, i * service_count_key.size);
      if (key.frontend !== frontend) continue;
      const sums = { connections: 0, packets: 0, bytes: 0, flow_hits: 0, flow_misses: 0, no_backend: 0, denied: 0 };
      for (let at = i * map.valueStride; at < (i + 1) * map.valueStride; at += service_count.size)
        for (const name of Object.keys(sums) as (keyof typeof sums)[])
          sums[name] += Number(service_count.read[name](values, at));
      found.set(key.backend, sums);
    }
    return found;
  }

  /** Connections of a backend where the least decide. */
  open(backend: number): number {
    const value = this.map('service_loads').lookup(u32(backend));
    return value ? Number(service_load.read.begun(value, 0) - service_load.read.ended(value, 0)) : 0;
  }

  /** As the agent says it: so many ended and nobody counted them. */
  unseen(backend: number, count: bigint): void {
    const value = Buffer.alloc(8);
    value.writeBigInt64LE(count);
    this.map('service_unseen').update(u32(backend), value);
  }

  notMember(one: Frontend, to: number): void {
    this.map('service_members').delete(service_member_key.encode({ table: tableOf(one), backend: to }));
  }

  noFrontend(one: Frontend): void {
    this.map('services').delete(this.#key(one));
  }

  /** Clients that a service names; its number is 1000 above its frontend's. */
  range(service: number, cidr: string): void {
    const [address = '', bits] = cidr.split('/');
    const prefixlen =
      weir_service_range_bits.SERVICE_RANGE_STATIC_BITS + (address.includes(':') ? 0 : 96) + Number(bits);
    this.map('service_ranges').update(service_range_key.encode({ prefixlen, service, addr: mapped(address) }), u32(0));
  }

  #key({ address, port, protocol = TCP, internal = false }: Frontend): Buffer {
    const scope = internal ? weir_service_scope.SERVICE_SCOPE_INTERNAL : weir_service_scope.SERVICE_SCOPE_ANY;
    return service_key.encode({ addr: mapped(address), port, protocol: port ? protocol : 0, scope });
  }
}
