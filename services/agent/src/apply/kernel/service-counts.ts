// SPDX-License-Identifier: Apache-2.0
/**
 * What clients asked of services, as the kernel has counted it, and the upkeep of these counts: backends that are gone are
 * added up under one key of their frontend, so that neither a sum goes back nor the map fills; of connections that the LRU
 * forgot before they ended it is told how many they are, or the fewest connections would seem more with time.
 */
import {
  service,
  service_count,
  service_count_key,
  service_load,
  service_nat,
  service_turn,
  weir_service_count_bits,
  weir_service_nat_flags,
  weir_service_turn_flags,
} from '@weir/bpf';
import type { BpfMap } from '@weir/loader';
import type { ServiceCount } from '../ports.ts';
import { take, walk } from './batches.ts';
import { u32, u32Bytes } from './service-keys.ts';

export const COUNTS_PAST = weir_service_count_bits.COUNTS_PAST;
const { HALF_COUNTED } = weir_service_nat_flags;
const { TURN_COUNTED } = weir_service_turn_flags;

type Maps = (name: string) => BpfMap;
type Sums = Omit<ServiceCount, 'frontend' | 'backend' | 'open'>;

interface Load {
  readonly begun: bigint;
  readonly ended: bigint;
}

/** All CPUs together. */
const sumsAt = (values: Buffer, at: number, stride: number): Sums => {
  const sums = {
    ...{ connections: 0n, packets: 0n, bytes: 0n, flowHits: 0n, flowMisses: 0n },
    ...{ noBackend: 0n, denied: 0n },
  };
  for (let cpu = at; cpu < at + stride; cpu += service_count.size) {
    const one = service_count.decode(values, cpu);
    sums.connections += one.connections;
    sums.packets += one.packets;
    sums.bytes += one.bytes;
    sums.flowHits += one.flow_hits;
    sums.flowMisses += one.flow_misses;
    sums.noBackend += one.no_backend;
    sums.denied += one.denied;
  }
  return sums;
};

const readLoads = async (map: BpfMap): Promise<Map<number, Load>> => {
  const loads = new Map<number, Load>();
  await walk(map, (keys, values, i) => {
    loads.set(keys.readUInt32LE(i * 4), service_load.decode(values, i * service_load.size));
  });
  return loads;
};

const readUnseen = async (map: BpfMap): Promise<Map<number, bigint>> => {
  const unseen = new Map<number, bigint>();
  await walk(map, (keys, values, i) => {
    unseen.set(keys.readUInt32LE(i * 4), values.readBigInt64LE(i * 8));
  });
  return unseen;
};

const i64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};

export const readCounts = async (map: Maps): Promise<ServiceCount[]> => {
  const loads = await readLoads(map('service_loads'));
  const unseen = loads.size > 0 ? await readUnseen(map('service_unseen')) : new Map<number, bigint>();
  const open = (backend: number): number => {
    const load = loads.get(backend);
    return load ? Math.max(0, Number(load.begun - load.ended - (unseen.get(backend) ?? 0n))) : 0;
  };
  const counts: ServiceCount[] = [];
  const { valueStride } = map('service_counts');
  await walk(map('service_counts'), (keys, values, i) => {
    const { frontend, backend } = service_count_key.decode(keys, i * service_count_key.size);
    counts.push({ frontend, backend, ...sumsAt(values, i * valueStride, valueStride), open: open(backend) });
  });
  return counts;
};

/** On the first CPU; of the others nothing. */
const encoded = (sums: Sums, stride: number): Buffer => {
  const bytes = Buffer.alloc(stride);
  const { connections, packets, bytes: length, flowHits, flowMisses, noBackend, denied } = sums;
  service_count.encode(
    {
      ...{ connections, packets, bytes: length, flow_hits: flowHits, flow_misses: flowMisses },
      ...{ no_backend: noBackend, denied },
    },
    bytes,
    0,
  );
  return bytes;
};

const added = (a: Sums, b: Sums): Sums => ({
  connections: a.connections + b.connections,
  packets: a.packets + b.packets,
  bytes: a.bytes + b.bytes,
  flowHits: a.flowHits + b.flowHits,
  flowMisses: a.flowMisses + b.flowMisses,
  noBackend: a.noBackend + b.noBackend,
  denied: a.denied + b.denied,
});

/** Backends and frontends that are gone. */
const fold = async (map: Maps): Promise<void> => {
  const counts = await readCounts(map);
  const backends = map('backends');
  const gone = counts.filter(
    ({ backend }) => backend !== 0 && backend !== COUNTS_PAST && backends.lookup(u32Bytes(backend)) === undefined,
  );
  const frontends = new Set<number>();
  await walk(map('services'), (_, values, i) => {
    frontends.add(service.read.frontend(values, i * service.size));
  });
  const past = new Map<number, Sums>();
  for (const one of [...gone, ...counts.filter(({ backend }) => backend === COUNTS_PAST)]) {
    if (!frontends.has(one.frontend)) continue;
    const had = past.get(one.frontend);
    past.set(one.frontend, had ? added(had, one) : one);
  }
  const target = map('service_counts');
  for (const frontend of new Set(gone.map((one) => one.frontend))) {
    const sums = past.get(frontend);
    const key = service_count_key.encode({ frontend, backend: COUNTS_PAST });
    if (sums) target.update(key, encoded(sums, target.valueStride));
  }
  const left = [...gone, ...counts.filter(({ frontend }) => !frontends.has(frontend))];
  const keys = new Map(left.map((one) => [`${one.frontend} ${one.backend}`, one]));
  await take(target, [...keys.values()], ({ frontend, backend }, out, at) => {
    service_count_key.encode({ frontend, backend }, out, at);
  });
};

/** What remembers connections beside sockets. */
export interface Kept {
  /** `service_nat`, while clients outside are served. */
  readonly halves?: BpfMap | undefined;
  /** `service_turns`, of workloads whose packets ask for services. */
  readonly turns?: BpfMap | undefined;
}

/** How many are open in truth, by what remembers each. */
const countOpen = async (map: Maps, { halves, turns }: Kept): Promise<Map<number, number>> => {
  const open = new Map<number, number>();
  const add = (backend: number): void => {
    open.set(backend, (open.get(backend) ?? 0) + 1);
  };
  await walk(map('service_open'), (_, values, i) => add(values.readUInt32LE(i * 4)));
  if (halves)
    await walk(halves, (_, values, i) => {
      const at = i * service_nat.size;
      if (service_nat.read.flags(values, at) & HALF_COUNTED) add(service_nat.read.backend(values, at));
    });
  if (turns)
    await walk(turns, (_, values, i) => {
      const at = i * service_turn.size;
      if (service_turn.read.flags(values, at) & TURN_COUNTED) add(service_turn.read.backend(values, at));
    });
  return open;
};

/** What begins or ends meanwhile is no error: as many as that may be wrong, and no more are believed to be. */
const recount = async (map: Maps, kept: Kept): Promise<void> => {
  const first = await readLoads(map('service_loads'));
  if (first.size === 0) return;
  const open = await countOpen(map, kept);
  const last = await readLoads(map('service_loads'));
  const unseen = await readUnseen(map('service_unseen'));
  const gone: number[] = [];
  for (const [backend, { begun, ended }] of last) {
    const before = first.get(backend) ?? { begun: 0n, ended: 0n };
    const moved = begun - before.begun + (ended - before.ended);
    const seen = BigInt(open.get(backend) ?? 0);
    const missed = begun - ended - seen;
    const off = missed - (unseen.get(backend) ?? 0n);
    if (off > moved || off < -moved) map('service_unseen').update(u32Bytes(backend), i64(missed));
    if (seen === 0n && moved === 0n && map('backends').lookup(u32Bytes(backend)) === undefined) gone.push(backend);
  }
  await take(map('service_loads'), gone, u32);
  await take(
    map('service_unseen'),
    [...unseen.keys()].filter((backend) => gone.includes(backend) || !last.has(backend)),
    u32,
  );
};

export const tidyCounts = async (map: Maps, kept: Kept): Promise<void> => {
  await fold(map);
  await recount(map, kept);
};
