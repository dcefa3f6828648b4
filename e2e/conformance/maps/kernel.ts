// SPDX-License-Identifier: Apache-2.0
/**
 * The real programs and maps, of one host that has every pod, loaded by the real loader. Tables are those that an agent writes
 * (@weir/bpf/policy-table). A test run needs an interface that exists: the pod whose programs run stands in the slot of
 * interface 1, under its own number, and that interface is the host's uplink, too.
 */
import { rmSync } from 'node:fs';
import {
  address_key,
  address_value,
  CONFIG,
  cidr_value,
  DROP_TEXT,
  drop_key,
  ipcache_value,
  MAPS,
  prefix_key,
  uplink,
  weir_drop_reason,
  weir_host_endpoint,
  weir_identity,
  weir_workload_flags,
  workload,
} from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { buildPolicyTable, enforcementFlags, type ViewedPolicy } from '@weir/bpf/policy-table';
import { mac, mapped } from '@weir/bpf/testing';
import { FlowReader, type SeenFlow } from '@weir/bpf/testing/flows';
import { uplinkFlags } from '@weir/bpf/uplink-flags';
import { type BpfMap, createInner, ensureBpffs, openObject, skbContext } from '@weir/loader';
import { parseCidr } from '@weir/net';
import type { CompiledWorkload } from '@weir/policy-engine';

/** Enough for the connections of one chunk of cells; see CHUNK in mode.ts. */
const CONNECTIONS = 1 << 17;
const SLOT = 1;
/** Interface of no workload, by which packets from elsewhere come. */
const UPLINK = 99;
/** Room for what a chunk of cells reports, twice over. */
const EVENTS_BYTES = 1 << 23;
const OBJECTS = ['workload', 'host'] as const;
const { HOST_IFINDEX } = weir_host_endpoint;
const { WORKLOAD_GUARD_HOST } = weir_workload_flags;
const POLICY_DROPS: readonly number[] = [weir_drop_reason.DROP_POLICY_DENIED, weir_drop_reason.DROP_POLICY_DENY];

/** Whose policy is asked: the host is one under HOST_ENDPOINT. */
export interface KernelPod {
  readonly ifindex: number;
  readonly identity: number;
  readonly ip4?: string;
  readonly ip6?: string;
  readonly mac: string;
  readonly hostMac: string;
  readonly compiled: CompiledWorkload;
  readonly views: readonly ViewedPolicy[];
}

const NO_MAC = '00:00:00:00:00:00';
export const HOST_ENDPOINT = {
  ifindex: HOST_IFINDEX,
  identity: weir_identity.IDENTITY_HOST,
  mac: NO_MAC,
  hostMac: NO_MAC,
} as const;

export type Way =
  | 'sends'
  /** And its host's policy is asked about what is for the host. */
  | 'sends to the host'
  | 'receives'
  | 'receives from the host'
  | 'enters the host'
  | 'leaves the host';

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const NONE = Buffer.alloc(16);

/** Far from now: whoever has used up its answers until then gets none, so that what is refused is dropped in every case. */
const NO_ANSWERS = Buffer.alloc(8, 0x7f);

const clear = async (map: BpfMap): Promise<void> => {
  const { keys, count } = await map.lookupAll();
  if (count > 0) await map.deleteBatch(keys, count);
};

const prefixKey = (cidr: string): Buffer => {
  const { addr, bits128 } = parseCidr(cidr);
  return prefix_key.encode({ prefixlen: bits128, addr });
};

const flagsOf = ({ ifindex, compiled, views }: KernelPod): number =>
  enforcementFlags({
    ...compiled,
    ipBlock: [compiled, ...views].some((one) => 'ipBlock' in one && one.ipBlock),
    tiers: [compiled, ...views].some((one) => 'tiers' in one && one.tiers),
    allowHost: ifindex !== HOST_IFINDEX,
    views,
  });

const workloadValue = (pod: KernelPod, moreFlags = 0): Buffer =>
  workload.encode({
    id: pod.ifindex,
    identity: pod.identity,
    flags: flagsOf(pod) | moreFlags,
    policy_revision: 2,
    default_rule_ingress: pod.compiled.defaultRuleIngress,
    default_rule_egress: pod.compiled.defaultRuleEgress,
    ip4: pod.ip4 ? mapped(pod.ip4) : NONE,
    ip6: pod.ip6 ? mapped(pod.ip6) : NONE,
    mac: mac(pod.mac),
    host_mac: mac(pod.hostMac),
    ifindex: pod.ifindex,
  });

const SIZES: Readonly<Record<string, number>> = { conntrack: CONNECTIONS, fragments: 64, events: EVENTS_BYTES };

/** The programs of workloads and of uplinks on the same maps. */
const openObjects = async (name: string) => {
  const pinDir = await ensureBpffs(`/sys/fs/bpf/weir-conformance-${process.pid}-${name}`);
  const objects: Awaited<ReturnType<typeof openObject>>[] = [];
  try {
    for (const one of OBJECTS) {
      const has = ([map]: [string, number]) => MAPS[map as keyof typeof MAPS].objects.includes(one as never);
      const maxEntries = Object.fromEntries(Object.entries(SIZES).filter(has));
      const rodata = CONFIG.workload.encode({ report_flows: name === 'telling' ? 1 : 0 });
      const object = await openObject(objectPath(one), { rodata, maxEntries, pinDir });
      objects.push(object);
      await object.commitPins();
    }
    return objects;
  } catch (error) {
    for (const object of objects) object.close();
    throw error;
  } finally {
    rmSync(pinDir, { recursive: true, force: true });
  }
};

/** `telling`: what passes is reported, so that `flows` has it. */
export const openKernel = async ({ telling = false } = {}) => {
  const objects = await openObjects(telling ? 'telling' : 'silent');
  const map = (name: string): BpfMap => {
    const holder = objects.find(({ maps }) => maps.has(name)) as (typeof objects)[number];
    return holder.map(name);
  };
  const program = (name: string) => {
    const holder = objects.find(({ programs }) => programs.has(name)) as (typeof objects)[number];
    return holder.program(name);
  };
  const addresses = map('addresses');
  const policies = map('policies');
  const reader = new FlowReader({ map });
  const programs = {
    sends: program('from_workload'),
    'sends to the host': program('from_workload'),
    receives: program('to_workload'),
    'receives from the host': program('to_workload'),
    'enters the host': program('from_uplink'),
    'leaves the host': program('to_uplink'),
  } as const;
  map('uplinks').update(
    u32(SLOT),
    uplink.encode({
      ...{ flags: uplinkFlags({ egress: false, services: false, guard: true }), port_low: 0, port_high: 0 },
      ...{ ip4: NONE, ip6: NONE, nat64_ip4: NONE, service_ip4: NONE, service_ip6: NONE },
      ...{ wireguard_port: 0, tunnel_port: 0 },
    }),
  );
  const outside = skbContext({ ifindex: SLOT, ingressIfindex: UPLINK });
  const fromHost = skbContext({ ifindex: SLOT });
  let pods: readonly KernelPod[] = [];

  /** All tables in one call: the kernel waits for packets under way once per call, not once per table. */
  const writeTables = async (ends: readonly KernelPod[]): Promise<void> => {
    const inners = await Promise.all(ends.map(({ ifindex }) => createInner(policies, `conf${ifindex}`)));
    try {
      for (const [at, inner] of inners.entries()) {
        const { compiled, views } = ends[at] as KernelPod;
        const { entries, enforceIngress, enforceEgress } = compiled;
        const table = buildPolicyTable(entries, { ingress: enforceIngress, egress: enforceEgress }, views);
        if (table.count > 0) await inner.updateBatch(table.keys, table.values, table.count);
      }
      const keys = Buffer.concat(ends.map(({ ifindex }) => u32(ifindex)));
      if (ends.length > 0)
        await policies.updateBatch(keys, Buffer.concat(inners.map(({ fd }) => u32(fd))), ends.length);
    } finally {
      for (const inner of inners) inner.close();
    }
  };

  /** Whose an address is. */
  const know = (managed: ReadonlyMap<string, number>): void => {
    for (const [address, identity] of managed) {
      const addr = mapped(address);
      map('ipcache').update(
        prefix_key.encode({ prefixlen: 128, addr }),
        ipcache_value.encode({ identity, flags: 0, host4: 0, host: 0 }),
      );
    }
  };

  return {
    /** All that is to hold from now on. */
    async write(
      next: readonly KernelPod[],
      managed: ReadonlyMap<string, number>,
      cidrs: ReadonlyMap<string, number>,
    ): Promise<void> {
      // A table whose pod is gone stays until another pod gets its number: no program finds it.
      for (const name of ['workloads', 'ipcache', 'cidrs', 'addresses']) await clear(map(name));
      pods = next;
      know(managed);
      for (const [cidr, identity] of cidrs) map('cidrs').update(prefixKey(cidr), cidr_value.encode({ identity }));
      await writeTables(pods);
      for (const pod of pods) map('workloads').update(u32(pod.ifindex), workloadValue(pod));
      for (const ifindex of [SLOT, ...pods.map((pod) => pod.ifindex)]) map('answers').update(u32(ifindex), NO_ANSWERS);
    },

    /** This is the host now, and those have these identities; undefined: the host has no policy. */
    async stand(host: KernelPod | undefined, managed: ReadonlyMap<string, number>): Promise<void> {
      know(managed);
      if (host) await writeTables([host]);
      if (host) map('workloads').update(u32(HOST_IFINDEX), workloadValue(host));
      else map('workloads').delete(u32(HOST_IFINDEX));
    },

    /** Whether pods find each other on this host, or each is known elsewhere. */
    async together(here: boolean): Promise<void> {
      await clear(addresses);
      for (const { ifindex, ip4, ip6 } of here ? pods : []) {
        for (const ip of [ip4, ip6]) {
          if (ip) addresses.update(address_key.encode({ addr: mapped(ip) }), address_value.encode({ ifindex }));
        }
      }
    },

    /** What the program returns for each frame: of the pod, or of the host's uplink. */
    run(pod: KernelPod, way: Way, frames: readonly Buffer[]) {
      map('workloads').update(u32(SLOT), workloadValue(pod, way === 'sends to the host' ? WORKLOAD_GUARD_HOST : 0));
      let end = 0;
      const ends = frames.map(({ length }) => {
        end += length;
        return end;
      });
      const context = way === 'receives' || way === 'enters the host' ? outside : fromHost;
      return programs[way].testRuns(Buffer.concat(frames), ends, context);
    },

    /** What was reported since the last call. */
    flows: (): Promise<SeenFlow[]> => reader.drain(),

    async forgetConnections(): Promise<void> {
      await clear(map('conntrack'));
    },

    /** Packets dropped for anything but policy since the last call, in words. */
    async otherDrops(): Promise<string[]> {
      const drops = map('drops');
      const { keys, values, count } = await drops.lookupAll();
      await clear(drops);
      const found: string[] = [];
      for (let at = 0; at < count; at++) {
        const { reason } = drop_key.decode(keys, at * drops.keySize);
        if (POLICY_DROPS.includes(reason)) continue;
        let packets = 0n;
        for (let cpu = 0; cpu < drops.valueStride; cpu += 16) {
          packets += values.readBigUInt64LE(at * drops.valueStride + cpu);
        }
        if (packets > 0n) found.push(`${packets} x ${reason} ${DROP_TEXT[reason]?.text ?? ''}`);
      }
      return found;
    },

    close: () => {
      for (const object of objects) object.close();
    },
  };
};

export type Kernel = Awaited<ReturnType<typeof openKernel>>;
