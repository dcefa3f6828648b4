// SPDX-License-Identifier: Apache-2.0
/** The real host as the agent's platform: counters, sweep, events and connections beside the executor's doors. */
import {
  ct_entry,
  ct_key,
  DROP_TEXT,
  drop_key,
  drop_value,
  MAPS,
  weir_counter,
  weir_ct_flags,
  weir_direction,
  weir_limits,
} from '@weir/bpf';
import {
  type BpfMap,
  cgroup2Mount,
  clockOffsetNs,
  type Features,
  featureProbe,
  openWireguard,
  ping,
  ringBuffer,
} from '@weir/loader';
import { formatIp } from '@weir/net';
import { serviceCapacity } from '../../plan/service-room.ts';
import type { Connection, Counters, EventSourceOptions, Platform } from '../../platform.ts';
import { KernelAnnounce } from './announce.ts';
import { probeFromNetns } from './attempt.ts';
import { CIDRS_CHANGE, type DatapathOptions, openDatapath } from './datapath.ts';
import { FlowProcesses } from './flow-processes.ts';
import { endpointPlace } from './health-endpoint.ts';
import { kernelProcesses, removeProcesses } from './processes.ts';
import { KernelRuntime, removeRuntime } from './runtime.ts';
import { sweepConnections } from './sweep.ts';
import { readThrottles } from './throttles.ts';

const U64_BYTES = 8;

/** Sum over all CPUs of a u64 at `at` of each CPU's value. */
const sumCpus = (values: Buffer, start: number, stride: number, valueBytes: number, at: number): bigint => {
  let sum = 0n;
  for (let cpu = start; cpu < start + stride; cpu += valueBytes) sum += values.readBigUInt64LE(cpu + at);
  return sum;
};

const counterName = (name: string): string => name.replace('COUNTER_', '').toLowerCase();

const readCounters = async (counters: BpfMap, drops: BpfMap): Promise<Counters> => {
  const named: Record<string, bigint> = {};
  const all = await counters.lookupAll();
  const byIndex = new Map<number, bigint>();
  for (let i = 0; i < all.count; i++) {
    const value = sumCpus(all.values, i * counters.valueStride, counters.valueStride, U64_BYTES, 0);
    byIndex.set(all.keys.readUInt32LE(i * 4), value);
  }
  for (const [name, index] of Object.entries(weir_counter)) {
    if (name !== 'COUNTER_MAX') named[counterName(name)] = byIndex.get(index) ?? 0n;
  }
  const dropped = await drops.lookupAll();
  for (let i = 0; i < dropped.count; i++) {
    const { reason, direction } = drop_key.decode(dropped.keys, i * drop_key.size);
    const way =
      direction === weir_direction.DIRECTION_INGRESS
        ? 'ingress'
        : direction === weir_direction.DIRECTION_EGRESS
          ? 'egress'
          : 'unknown';
    const packets = sumCpus(
      dropped.values,
      i * drops.valueStride,
      drops.valueStride,
      drop_value.size,
      drop_value.offsets.packets,
    );
    named[`drop.${(DROP_TEXT[reason]?.name ?? String(reason)).toLowerCase()}.${way}`] = packets;
  }
  return {
    named,
    eventsLost: byIndex.get(weir_counter.COUNTER_EVENTS_LOST) ?? 0n,
    eventsThrottled: byIndex.get(weir_counter.COUNTER_EVENTS_THROTTLED) ?? 0n,
  };
};

const readConnections = async (conntrack: BpfMap, limit: number): Promise<Connection[]> => {
  const { keys, values, count } = await conntrack.lookupAll();
  const nowNs = process.hrtime.bigint();
  const shown = Math.min(count, limit);
  return Array.from({ length: shown }, (_, i): Connection => {
    const key = ct_key.decode(keys, i * ct_key.size);
    const entry = ct_entry.decode(values, i * ct_entry.size);
    const { orig, reply } = entry;
    return {
      local: formatIp(key.local),
      remote: formatIp(key.remote),
      localPort: key.local_port,
      remotePort: key.remote_port,
      protocol: key.protocol,
      direction: entry.flags & weir_ct_flags.CT_INGRESS ? 'ingress' : 'egress',
      flags: entry.flags,
      ifindex: entry.ifindex,
      workloadId: entry.workload_id,
      peerIdentity: entry.peer_identity,
      ruleId: entry.rule_id,
      packets: orig.packets + orig.new_packets + reply.packets + reply.new_packets,
      bytes: orig.bytes + orig.new_bytes + reply.bytes + reply.new_bytes,
      expiresInS: Number((entry.expires_ns - nowNs) / 1_000_000_000n),
    };
  });
};

const featureNames = (features: Features): string[] =>
  Object.entries(features)
    .filter(([, value]) => value === true)
    .map(([name]) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));

/** Whether it can be had; asking loads the module. */
const hasWireguard = async (hostNetns: string | undefined): Promise<boolean> => {
  const wireguard = openWireguard(hostNetns);
  try {
    return await wireguard.supported();
  } finally {
    wireguard.close();
  }
};

export const kernelPlatform = async (options: DatapathOptions): Promise<Platform> => {
  const features = await featureProbe();
  const isEncrypting = await hasWireguard(options.hostNetns);
  const datapath = await openDatapath(options);
  const { object, network } = datapath;
  const conntrack = object.map('conntrack');
  const ctSweep = object.program('ct_sweep');
  if (!options.processes) await Promise.all([removeProcesses, removeRuntime].map((remove) => remove(options.bpffsDir)));
  const flowProcesses = options.processes && new FlowProcesses(options.bpffsDir, await cgroup2Mount());
  /** Until the kernel announces a change. */
  let addresses: readonly string[] | undefined;
  let subnets: readonly string[] | undefined;
  return {
    kernel: datapath,
    replaced: datapath.replaced,
    kernelVersion: features.kernel,
    features: [...featureNames(features), ...(isEncrypting ? ['wireguard'] : [])],
    capacity: {
      workloads: object.map('workloads').maxEntries,
      addresses: object.map('addresses').maxEntries,
      ipcache: object.map('ipcache').maxEntries,
      cidrs: object.map('cidrs').maxEntries / CIDRS_CHANGE,
      policy: MAPS.policies.inner.maxEntries,
      conntrack: conntrack.maxEntries,
      nat: options.maxNat ?? weir_limits.WEIR_MAX_NAT,
      ...serviceCapacity(options),
    },
    hostAddresses: async () => {
      addresses ??= await network.hostAddresses();
      return addresses;
    },
    hostSubnets: async () => {
      subnets ??= await network.hostSubnets();
      return subnets;
    },
    encryptionFacts: () => datapath.encryption.facts(),
    clockOffsetNs,
    monitor: (onChange) =>
      network.monitor(() => {
        addresses = undefined;
        subnets = undefined;
        onChange();
      }),
    repairPins: () => datapath.repairPins(),
    sweep: async () => {
      const mappings = await datapath.uplinks.nat?.sweep();
      const services = await datapath.services.count();
      const swept = await sweepConnections(ctSweep);
      return { ...swept, ...(mappings === undefined ? {} : { mappings }), ...(services ? { services } : {}) };
    },
    counters: () => readCounters(object.map('counters'), object.map('drops')),
    throttles: () => readThrottles(object.map('throttles'), object.map('throttled'), clockOffsetNs()),
    ping: (addresses, timeoutMs) => ping(addresses, timeoutMs),
    probe: probeFromNetns,
    healthEndpoint: endpointPlace,
    hasBgp: true,
    announce: new KernelAnnounce({
      bpffsDir: options.bpffsDir,
      ...(options.uplink ? { uplink: options.uplink } : {}),
      ...(options.hostNetns ? { hostNetns: options.hostNetns } : {}),
    }),
    ...(options.processes
      ? {
          processes: kernelProcesses({
            ...{ bpffsDir: options.bpffsDir, ...options.processes },
            ...(options.cgroup ? { cgroup: options.cgroup } : {}),
          }),
          runtime: (listener) =>
            new KernelRuntime(
              { bpffsDir: options.bpffsDir, ...(options.cgroup ? { cgroup: options.cgroup } : {}) },
              listener,
            ),
        }
      : {}),
    connections: (limit) => readConnections(conntrack, limit),
    nat: async (limit) => datapath.uplinks.nat?.read(limit),
    prefilter: () => datapath.uplinks.prefilter(),
    acceleration: () => datapath.uplinks.acceleration(),
    uplinks: () => ({ interfaces: datapath.uplinks.interfaces }),
    startEvents: ({ boot, firstSeq, connectionOffsetNs, onBatch, onTrouble }: EventSourceOptions) => {
      const ring = ringBuffer({
        map: object.map('events'),
        flow: { boot, firstSeq, ...(connectionOffsetNs === undefined ? {} : { connectionOffsetNs }) },
        onBatch: ({ firstSeq: first, count, bytes, owners }) => {
          const named = owners.length > 0 ? flowProcesses?.encode(owners) : undefined;
          return onBatch({ firstSeq: first, count, bytes: named ? Buffer.concat([bytes, named]) : bytes });
        },
        onError: (error) => onTrouble('a batch of events could not be handed on', error),
      });
      let lastSeq = firstSeq;
      return {
        get nextSeq() {
          try {
            lastSeq = ring.nextSeq;
          } catch {
            // Stopped: it stays what it was.
          }
          return lastSeq;
        },
        stop: () => ring.stop(),
      };
    },
    close: async () => {
      flowProcesses?.close();
      datapath.close();
    },
  };
};
