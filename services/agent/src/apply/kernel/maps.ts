// SPDX-License-Identifier: Apache-2.0
/** The maps of the real kernel. Few elements are written one by one (a microsecond each), many by batch. */
import {
  address_key,
  address_value,
  bandwidth,
  cidr_value,
  ipcache_value,
  prefix_key,
  weir_host_endpoint,
  workload,
} from '@weir/bpf';
import { readPolicyTable } from '@weir/bpf/policy-table';
import { type BpfObject, createInner, openMapById } from '@weir/loader';
import { formatIp, formatMac, parseIp, parseMac } from '@weir/net';
import { breathing } from '../../breathe.ts';
import {
  encodeIpcacheValue,
  encodePrefixKey,
  type IpcacheEntry,
  type PrefixText,
  prefixText,
} from '../../plan/ipcache.ts';
import type { Maps, PolicySwap, SwapFailure, WorkloadValue } from '../ports.ts';
import { cidrKey, cidrText } from './prefixes.ts';
import { sweepConnections } from './sweep.ts';
import { forgetThrottle } from './throttles.ts';

const NO_ADDRESS = new Uint8Array(16);
const BATCH = 4096;
const SWAPS_AT_ONCE = 64;

const u32 = (value: number): Buffer => {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32LE(value, 0);
  return out;
};

const addressBytes = (text: string): Uint8Array => (text === '' ? NO_ADDRESS : parseIp(text));
const addressText = (bytes: Uint8Array): string => (bytes.every((byte) => byte === 0) ? '' : formatIp(bytes));

export const encodeWorkload = (value: WorkloadValue): Buffer =>
  workload.encode({
    id: value.localId,
    identity: value.identity,
    flags: value.flags,
    policy_revision: value.revision,
    default_rule_ingress: value.defaultRuleIngress,
    default_rule_egress: value.defaultRuleEgress,
    ip4: addressBytes(value.ip4),
    ip6: addressBytes(value.ip6),
    mac: parseMac(value.mac),
    host_mac: parseMac(value.hostMac),
    ifindex: value.ifindex,
  });

export const decodeWorkload = (bytes: Buffer, at = 0): WorkloadValue => {
  const value = workload.decode(bytes, at);
  return {
    ifindex: value.ifindex,
    localId: value.id,
    identity: value.identity,
    flags: value.flags,
    revision: value.policy_revision,
    defaultRuleIngress: value.default_rule_ingress,
    defaultRuleEgress: value.default_rule_egress,
    ip4: addressText(value.ip4),
    ip6: addressText(value.ip6),
    mac: formatMac(value.mac),
    hostMac: formatMac(value.host_mac),
  };
};

const inBatches = async <T>(items: readonly T[], work: (batch: readonly T[]) => Promise<void>): Promise<void> => {
  for (let i = 0; i < items.length; i += BATCH) await work(items.slice(i, i + BATCH));
};

/** Keys of `items` one after the other, as a batch call takes them. */
const keysOf = <T>(items: readonly T[], size: number, encode: (item: T, out: Buffer, at: number) => void): Buffer => {
  const keys = Buffer.alloc(items.length * size);
  items.forEach((item, i) => {
    encode(item, keys, i * size);
  });
  return keys;
};

export const kernelMaps = (object: BpfObject): Maps => {
  const workloads = object.map('workloads');
  const policies = object.map('policies');
  const addresses = object.map('addresses');
  const cidrs = object.map('cidrs');
  const ipcache = object.map('ipcache');
  const bandwidths = object.map('bandwidths');
  const drains = object.map('drains');
  const sweep = object.program('ct_sweep');

  /** A table apart from everything, filled; or why it can't be. */
  const build = async ({
    ifindex,
    table,
  }: PolicySwap): Promise<{ ifindex: number; map?: Awaited<ReturnType<typeof createInner>>; error?: Error }> => {
    const map = await createInner(
      policies,
      ifindex === weir_host_endpoint.HOST_IFINDEX ? 'policy_host' : `policy_${ifindex}`,
    );
    try {
      await map.updateBatch(table.keys, table.values, table.count);
      return { ifindex, map };
    } catch (error) {
      map.close();
      return { ifindex, error: error as Error };
    }
  };

  const swapSome = async (swaps: readonly PolicySwap[]): Promise<SwapFailure[]> => {
    const built = await Promise.all(swaps.map(build));
    const good = built.flatMap(({ ifindex, map }) => (map ? [{ ifindex, map }] : []));
    try {
      // One call for all: the kernel waits for the packets under way once per call, not once per table.
      const keys = Buffer.concat(good.map(({ ifindex }) => u32(ifindex)));
      const values = Buffer.concat(good.map(({ map }) => u32(map.fd)));
      await policies.updateBatch(keys, values, good.length);
    } finally {
      for (const { map } of good) map.close();
    }
    return built.flatMap(({ ifindex, error }) => (error ? [{ ifindex, error }] : []));
  };

  return {
    readWorkloads: async () => {
      const { values, count } = await workloads.lookupAll();
      return Array.from({ length: count }, (_, i) => decodeWorkload(values, i * workload.size));
    },
    writeWorkloads: async (values) => {
      for (const value of values) workloads.update(u32(value.ifindex), encodeWorkload(value));
    },
    removeWorkload: async (ifindex) => {
      policies.delete(u32(ifindex));
      workloads.delete(u32(ifindex));
      bandwidths.delete(u32(ifindex));
      drains.delete(u32(ifindex));
      await forgetThrottle(object.map('throttles'), object.map('throttled'), ifindex);
    },

    writeDrain: async (ifindex, untilNs) => {
      if (untilNs === undefined) return void drains.delete(u32(ifindex));
      const until = Buffer.alloc(8);
      until.writeBigUInt64LE(untilNs);
      drains.update(u32(ifindex), until);
    },

    readPolicy: async (ifindex) => {
      const id = policies.lookupInnerId(u32(ifindex));
      if (id === undefined) return undefined;
      const map = openMapById(id);
      try {
        const { keys, values, count } = await map.lookupAll();
        return readPolicyTable(keys, values, count);
      } finally {
        map.close();
      }
    },
    swapPolicies: async (swaps) => {
      const failures: SwapFailure[] = [];
      for (let i = 0; i < swaps.length; i += SWAPS_AT_ONCE) {
        failures.push(...(await swapSome(swaps.slice(i, i + SWAPS_AT_ONCE))));
      }
      return failures;
    },

    readAddresses: async () => {
      const { keys, values, count } = await addresses.lookupAll();
      const found = new Map<string, number>();
      for (let i = 0; i < count; i++) {
        const { addr } = address_key.decode(keys, i * address_key.size);
        found.set(formatIp(addr), address_value.read.ifindex(values, i * address_value.size));
      }
      return found;
    },
    writeAddress: async (address, ifindex) =>
      addresses.update(address_key.encode({ addr: parseIp(address) }), address_value.encode({ ifindex })),
    removeAddress: async (address) => {
      addresses.delete(address_key.encode({ addr: parseIp(address) }));
    },

    readCidrs: async () => {
      const { keys, values, count } = await cidrs.lookupAll();
      const found = new Map<string, number>();
      for (let i = 0; i < count; i++) {
        found.set(cidrText(keys, i * prefix_key.size), cidr_value.read.identity(values, i * cidr_value.size));
      }
      return found;
    },
    writeCidrs: (entries) =>
      inBatches(entries, async (batch) => {
        const keys = keysOf(batch, prefix_key.size, ([prefix], out, at) => cidrKey(prefix, out, at));
        const values = keysOf(batch, cidr_value.size, ([, identity], out, at) =>
          cidr_value.encode({ identity }, out, at),
        );
        await cidrs.updateBatch(keys, values, batch.length);
      }),
    removeCidrs: (prefixes) =>
      inBatches(prefixes, async (batch) => {
        await cidrs.deleteBatch(
          keysOf(batch, prefix_key.size, (prefix, out, at) => cidrKey(prefix, out, at)),
          batch.length,
        );
      }),

    writeBandwidth: async (ifindex, limit) => {
      const held = bandwidths.lookup(u32(ifindex));
      if (!limit) {
        if (held) bandwidths.delete(u32(ifindex));
        return;
      }
      const rates = { egress_bytes_per_second: BigInt(limit.egress), ingress_bytes_per_second: BigInt(limit.ingress) };
      const before = held && bandwidth.decode(held);
      if (before?.egress_bytes_per_second === rates.egress_bytes_per_second)
        if (before.ingress_bytes_per_second === rates.ingress_bytes_per_second) return;
      const unused = { egress_paid_ns: 0n, ingress_paid_ns: 0n, here_paid_ns: 0n };
      bandwidths.update(u32(ifindex), bandwidth.encode({ ...rates, ...unused }));
    },

    readIpcache: async () => {
      const { keys, values, count } = await ipcache.lookupAll();
      const found = new Map<PrefixText, IpcacheEntry>();
      const breathe = breathing();
      for (let i = 0; i < count; i++) {
        const pause = breathe();
        if (pause) await pause;
        const { prefixlen, addr } = prefix_key.decode(keys, i * prefix_key.size);
        const { identity, host4, host } = ipcache_value.decode(values, i * ipcache_value.size);
        found.set(prefixText(addr, prefixlen), { identity, host4, ...(host ? { host } : {}) });
      }
      return found;
    },
    writeIpcache: (entries) =>
      inBatches(entries, async (batch) => {
        const keys = keysOf(batch, prefix_key.size, ([key], out, at) => encodePrefixKey(key, out, at));
        const values = keysOf(batch, ipcache_value.size, ([, entry], out, at) => encodeIpcacheValue(entry, out, at));
        await ipcache.updateBatch(keys, values, batch.length);
      }),
    removeIpcache: (texts) =>
      inBatches(texts, async (batch) => {
        await ipcache.deleteBatch(
          keysOf(batch, prefix_key.size, (key, out, at) => encodePrefixKey(key, out, at)),
          batch.length,
        );
      }),

    removeConnections: async (ifindexes) => {
      let removed = 0;
      for (const ifindex of ifindexes) removed += (await sweepConnections(sweep, ifindex)).expired;
      return removed;
    },
  };
};
