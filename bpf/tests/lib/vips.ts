// SPDX-License-Identifier: Apache-2.0
/** Frontends with Maglev tables in the maps of the programs that balance packets, and where a connection must go. */
import { type BpfMap, createInner } from '@weir/loader';
import {
  backend,
  maglev_slot,
  service,
  service_count,
  service_count_key,
  service_flood,
  service_flow,
  service_key,
  service_settings,
  service_slot,
  service_slot_key,
  service_way,
  weir_backend_flags,
  weir_service_flags,
} from '../../gen/index.ts';
import { ip, mac, mapped } from './bytes.ts';

const FLAG = weir_service_flags;
export const IPIP = FLAG.SERVICE_DSR | FLAG.SERVICE_DSR_IPIP | FLAG.SERVICE_ROUTABLE;
export const OPTION = FLAG.SERVICE_DSR | FLAG.SERVICE_ROUTABLE;
export const MACS = { own: '02:00:00:00:99:01', next: '02:00:00:00:99:02', client: '02:00:00:00:99:03' } as const;
export const SEEDS = [0x01020304, 0x50607080, 0xfedcba98] as const;
const FOREVER = 2n ** 62n;
const MAPS = ['services', 'backends', 'service_flows', 'service_counts'];
/** Places in the arrays of the programs that tests use. */
const PLACES = 128;

export interface Vip {
  readonly number: number;
  readonly address: string;
  readonly port: number;
  readonly protocol: number;
  readonly flags?: number;
}

export interface Connection {
  readonly client: string;
  readonly sport: number;
}

/** Current and previous backend of each slot. */
export type Slots = readonly (readonly [number, number])[];

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const rotate = (word: number, bits: number): number => ((word << bits) | (word >>> (32 - bits))) >>> 0;

const MIX = [4, 6, 8, 16, 19, 4] as const;
const END = [14, 11, 25, 16, 4, 14, 24] as const;

/** lookup3 once more. `sport` 0 with affinity. */
const hashOf = ({ client, sport }: Connection, vip: Vip): number => {
  const words = (text: string): number[] => [0, 4, 8, 12].map((at) => mapped(text).readUInt32LE(at));
  const wire = (port: number): number => ((port & 0xff) << 8) | (port >> 8);
  const state = Uint32Array.from(SEEDS);
  const at = (i: number): number => state[i % 3] as number;
  const add = (i: number, word: number): void => {
    state[i % 3] = at(i) + word;
  };
  const [from, to] = [words(client), words(vip.address)];
  add(2, vip.protocol);
  for (const block of vip.address.includes(':') ? [from, to] : []) {
    for (let i = 0; i < 3; i++) add(i, block[i] ?? 0);
    for (const [i, bits] of MIX.entries()) {
      state[i % 3] = (at(i) - at(i + 2)) ^ rotate(at(i + 2), bits);
      add(i + 2, at(i + 1));
    }
  }
  add(0, from[3] ?? 0);
  add(1, to[3] ?? 0);
  add(2, (wire(sport) << 16) | wire(vip.port));
  for (const [i, bits] of END.entries()) state[(i + 2) % 3] = (at(i + 2) ^ at(i + 1)) - rotate(at(i + 1), bits);
  return at(2);
};

export const slotOf = (connection: Connection, vip: Vip, size: number): number =>
  Number((BigInt(hashOf(connection, vip)) * BigInt(size)) >> 32n);

/** Where the maps are. */
interface Maps {
  map(name: string): BpfMap;
}

export class Vips {
  readonly #world: Maps;

  readonly #tables = new Set<number>();

  constructor(world: Maps) {
    this.#world = world;
  }

  /** `isXdp`: with the maps that only XDP has. */
  async reset(isXdp = true): Promise<void> {
    for (const name of MAPS) {
      const map = this.#world.map(name);
      const { keys, count } = await map.lookupAll();
      await map.deleteBatch(keys.subarray(0, count * map.keySize), count);
    }
    for (const table of this.#tables) this.#world.map('maglev_tables').delete(u32(table));
    this.#tables.clear();
    for (const name of isXdp ? ['service_ways'] : [])
      for (let place = 0; place < PLACES; place++)
        this.#world.map(name).update(u32(place), Buffer.alloc(this.#world.map(name).valueStride));
    this.settings();
    this.flood(0n, 0n);
  }

  /** `bits`: of the sources that connections decide. */
  settings(source4 = '203.0.113.64', source6 = '2001:db8:f::', bits4 = '0.0.0.0', bits6 = '0.0.0.0'): void {
    const [hash_seed1, hash_seed2, hash_seed3] = SEEDS;
    const value = {
      ...{ host_netns: 0n, node_port_low: 30_000, node_port_high: 32_767, hash_seed1, hash_seed2, hash_seed3 },
      ...{ source4: mapped(source4), source6: mapped(source6) },
      ...{ source4_bits: ip(bits4).readUInt32BE(0), source6_bits: ip(bits6).readUInt32BE(0) },
    };
    this.#world.map('service_settings').update(u32(0), service_settings.encode(value));
  }

  flood(second: bigint, remembered: bigint): void {
    this.#world
      .map('service_floods')
      .update(u32(0), this.#onAll('service_floods', service_flood.encode({ second, remembered })));
  }

  backend(number: number, address: string, flags: number = weir_backend_flags.BACKEND_DSR, port = 80): void {
    const value = { addr: mapped(address), port, protocol: 6, flags, host: 0 };
    this.#world.map('backends').update(u32(number), backend.encode(value));
  }

  /** The next hop that XDP remembers, so that no route is asked for. */
  way(number: number, address: string, { mtu = 1500, ifindex = 1, own = MACS.own as string, port = 80 } = {}): void {
    const macs = Buffer.concat([mac(MACS.next), mac(own)]);
    const value = service_way.encode({ until: FOREVER, addr: mapped(address), macs, mtu, ifindex, number, port });
    this.#world.map('service_ways').update(u32(number), this.#onAll('service_ways', value));
  }

  async frontend({ number, address, port, protocol, flags = IPIP }: Vip, slots: Slots): Promise<void> {
    const key = service_key.encode({ addr: mapped(address), port, protocol, scope: 0 });
    const counts = { active: 1, terminating: 0, affinity_timeout_s: 0, maglev: slots.length, maglev_place: number };
    if (slots.length > 0) await this.table(number, slots);
    const value = { frontend: number, service: number, flags, table: number, ...counts };
    this.#world.map('services').update(key, service.encode(value));
  }

  async table(table: number, slots: Slots): Promise<void> {
    const outer = this.#world.map('maglev_tables');
    const inner = await createInner(outer, 'maglev', { maxEntries: slots.length });
    for (const [i, [current, previous]] of slots.entries())
      inner.update(u32(i), maglev_slot.encode({ current, previous }));
    outer.updateInner(u32(table), inner);
    this.#tables.add(table);
    inner.close();
  }

  /** Of a frontend without a table of Maglev. */
  slot(table: number, slot: number, number: number): void {
    const key = service_slot_key.encode({ table, slot });
    this.#world.map('service_slots').update(key, service_slot.encode({ backend: number, table }));
  }

  /** Backends of remembered connections, by the client's port. */
  async flows(): Promise<{ backend: number; slot: number }[]> {
    const { values, count } = await this.#world.map('service_flows').lookupAll();
    return Array.from({ length: count }, (_, i) => service_flow.decode(values, i * service_flow.size));
  }

  counts(frontend: number, to: number): { packets: number; bytes: number } {
    const key = service_count_key.encode({ frontend, backend: to });
    const value = this.#world.map('service_counts').lookup(key) ?? Buffer.alloc(0);
    let [packets, bytes] = [0, 0];
    for (let at = 0; at < value.length; at += service_count.size) {
      packets += Number(service_count.read.packets(value, at));
      bytes += Number(service_count.read.bytes(value, at));
    }
    return { packets, bytes };
  }

  #onAll(name: string, value: Buffer): Buffer {
    const { valueStride } = this.#world.map(name);
    const each = Buffer.alloc(Math.ceil(value.length / 8) * 8);
    value.copy(each);
    return Buffer.concat(Array.from({ length: valueStride / each.length }, () => each));
  }
}
