// SPDX-License-Identifier: Apache-2.0
/**
 * The real programs and maps, of one host that has every pod, loaded by the real loader and pinned nowhere. Tables are
 * those that an agent writes (@weir/bpf/policy-table). A test run needs an interface that exists: the pod whose programs run
 * stands in the slot of interface 1, under its own number.
 */
import {
  address_key,
  address_value,
  CONFIG,
  cidr_value,
  DROP_TEXT,
  drop_key,
  ipcache_value,
  prefix_key,
  weir_drop_reason,
  workload,
} from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { buildPolicyTable, enforcementFlags } from '@weir/bpf/policy-table';
import { mac, mapped } from '@weir/bpf/testing';
import { type BpfMap, createInner, openObject, skbContext } from '@weir/loader';
import { parseCidr } from '@weir/net';
import type { CompiledWorkload } from '@weir/policy-engine';

/** Enough for the connections of one chunk of cells; see CHUNK in mode.ts. */
const CONNECTIONS = 1 << 17;
const SLOT = 1;
/** Interface of no workload, by which packets from elsewhere come. */
const UPLINK = 99;
const POLICY_DROPS: readonly number[] = [weir_drop_reason.DROP_POLICY_DENIED, weir_drop_reason.DROP_POLICY_DENY];

export interface KernelPod {
  readonly ifindex: number;
  readonly identity: number;
  readonly ip4?: string;
  readonly ip6?: string;
  readonly mac: string;
  readonly hostMac: string;
  readonly compiled: CompiledWorkload;
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

const NONE = Buffer.alloc(16);

const clear = async (map: BpfMap): Promise<void> => {
  const { keys, count } = await map.lookupAll();
  if (count > 0) await map.deleteBatch(keys, count);
};

const prefixKey = (cidr: string): Buffer => {
  const { addr, bits128 } = parseCidr(cidr);
  return prefix_key.encode({ prefixlen: bits128, addr });
};

const workloadValue = (pod: KernelPod): Buffer =>
  workload.encode({
    id: pod.ifindex,
    identity: pod.identity,
    flags: enforcementFlags({ ...pod.compiled, allowHost: true }),
    policy_revision: 2,
    default_rule_ingress: pod.compiled.defaultRuleIngress,
    default_rule_egress: pod.compiled.defaultRuleEgress,
    ip4: pod.ip4 ? mapped(pod.ip4) : NONE,
    ip6: pod.ip6 ? mapped(pod.ip6) : NONE,
    mac: mac(pod.mac),
    host_mac: mac(pod.hostMac),
    ifindex: pod.ifindex,
  });

export const openKernel = async () => {
  const object = await openObject(objectPath('workload'), {
    rodata: CONFIG.workload.encode({ report_flows: 0 }),
    maxEntries: { conntrack: CONNECTIONS, fragments: 64, events: 4096 },
  });
  const map = (name: string): BpfMap => object.map(name);
  const addresses = map('addresses');
  const policies = map('policies');
  const from = object.program('from_workload');
  const to = object.program('to_workload');
  const outside = skbContext({ ifindex: SLOT, ingressIfindex: UPLINK });
  const fromHost = skbContext({ ifindex: SLOT });
  let pods: readonly KernelPod[] = [];

  /** All tables in one call: the kernel waits for packets under way once per call, not once per table. */
  const writeTables = async (): Promise<void> => {
    const inners = await Promise.all(pods.map(({ ifindex }) => createInner(policies, `conf${ifindex}`)));
    try {
      for (const [at, inner] of inners.entries()) {
        const { entries, enforceIngress, enforceEgress } = (pods[at] as KernelPod).compiled;
        const table = buildPolicyTable(entries, { ingress: enforceIngress, egress: enforceEgress });
        if (table.count > 0) await inner.updateBatch(table.keys, table.values, table.count);
      }
      const keys = Buffer.concat(pods.map(({ ifindex }) => u32(ifindex)));
      if (pods.length > 0)
        await policies.updateBatch(keys, Buffer.concat(inners.map(({ fd }) => u32(fd))), pods.length);
    } finally {
      for (const inner of inners) inner.close();
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
      for (const [address, identity] of managed) {
        const addr = mapped(address);
        map('ipcache').update(
          prefix_key.encode({ prefixlen: 128, addr }),
          ipcache_value.encode({ identity, flags: 0, host4: 0, host: 0 }),
        );
      }
      for (const [cidr, identity] of cidrs) map('cidrs').update(prefixKey(cidr), cidr_value.encode({ identity }));
      await writeTables();
      for (const pod of pods) map('workloads').update(u32(pod.ifindex), workloadValue(pod));
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

    /** What the pod's program returns for each frame. */
    run(pod: KernelPod, way: 'sends' | 'receives' | 'receives from the host', frames: readonly Buffer[]) {
      map('workloads').update(u32(SLOT), workloadValue(pod));
      let end = 0;
      const ends = frames.map(({ length }) => {
        end += length;
        return end;
      });
      const context = way === 'receives' ? outside : fromHost;
      return (way === 'sends' ? from : to).testRuns(Buffer.concat(frames), ends, context);
    },

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

    close: () => object.close(),
  };
};

export type Kernel = Awaited<ReturnType<typeof openKernel>>;
