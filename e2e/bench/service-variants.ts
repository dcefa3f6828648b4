// SPDX-License-Identifier: Apache-2.0
/**
 * How a client's connection to a service finds its backend: our programs at its sockets, or what stands on the router for
 * it: an nftables map, or iptables' chains as kube-proxy makes them. Every one knows so many services; the one asked for
 * is in the middle. Two backends each; of the one asked for both are the server.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { backend, service, service_key, service_settings, service_slot, service_slot_key } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { weirError } from '@weir/errors';
import { attachCgroup, type BpfMap, type CgroupHook, cgroup2Mount, type Link, openObject } from '@weir/loader';
import { parseIp } from '@weir/net';
import { SERVER_IP } from './triple.ts';

const TCP = 6;
const ASKED_PORT = 80;
const SERVED_PORT = 7000;
const BACKENDS = 2;
const CGROUP_TRIES = 100;

const addressOf = (i: number): string => `10.${96 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
const backendOf = (i: number, count: number): string =>
  i === count >> 1 ? SERVER_IP : `172.${16 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;

/** What is asked for, of `count` services. */
export const asked = (count: number): { address: string; port: number } => ({
  address: addressOf(count >> 1),
  port: ASKED_PORT,
});

const put = async (
  map: BpfMap,
  count: number,
  encode: (i: number, keys: Buffer, keyAt: number, values: Buffer, valueAt: number) => void,
): Promise<void> => {
  const keys = Buffer.alloc(count * map.keySize);
  const values = Buffer.alloc(count * map.valueSize);
  for (let i = 0; i < count; i++) encode(i, keys, i * map.keySize, values, i * map.valueSize);
  await map.updateBatch(keys, values, count);
};

export interface SocketServices {
  /** Folder whose processes are balanced. */
  readonly cgroup: string;
  /** Every service anew, in the order and by the batches of the agent; ms. */
  program(): Promise<number>;
  /** One backend more for the service asked for, and gone again; ms for one of the two. */
  changeOne(): Promise<number>;
  remove(): Promise<void>;
}

const removeCgroup = async (path: string): Promise<void> => {
  for (let tries = 0; ; tries++) {
    try {
      rmdirSync(path);
      return;
    } catch (error) {
      if (tries === CGROUP_TRIES) throw error;
      await sleep(20);
    }
  }
};

export const standSockets = async (name: string, count: number): Promise<SocketServices> => {
  const mount = await cgroup2Mount();
  if (mount === undefined) throw weirError('KERNEL', 'no cgroup v2 is mounted', { fix: 'mount -t cgroup2 none DIR' });
  const object = await openObject(objectPath('socket'), { maxEntries: { conntrack: 1024, events: 1 << 16 } });
  const cgroup = join(mount, `wb${process.pid}-${name}`);
  mkdirSync(cgroup);
  const links: Link[] = [];
  // the others are run, not attached
  for (const program of object.programs.values())
    if (program.name.startsWith('service_'))
      links.push(await attachCgroup(program, cgroup, program.name.replace('service_', '') as CgroupHook));
  const settings = {
    host_netns: 0n,
    node_port_low: 30_000,
    node_port_high: 32_767,
    hash_seed1: 0,
    hash_seed2: 0,
    hash_seed3: 0,
  };
  const none = new Uint8Array(16);
  const sources = { source4: none, source6: none, source4_bits: 0, source6_bits: 0 };
  object.map('service_settings').update(Buffer.alloc(4), service_settings.encode({ ...settings, ...sources }));

  const frontend = (i: number, active = BACKENDS) =>
    service.encode({
      ...{ frontend: i + 1, service: i + 1, flags: 0, table: (i + 1) * 4 },
      ...{ active, terminating: 0, affinity_timeout_s: 0, maglev: 0, maglev_place: 0 },
    });
  const keyOf = (i: number) =>
    service_key.encode({ addr: parseIp(addressOf(i)), port: ASKED_PORT, protocol: TCP, scope: 0 });
  const program = async (): Promise<number> => {
    const began = performance.now();
    await put(object.map('backends'), count * BACKENDS, (n, keys, keyAt, values, valueAt) => {
      keys.writeUInt32LE(n + 1, keyAt);
      const addr = parseIp(backendOf(Math.floor(n / BACKENDS), count));
      backend.encode({ addr, port: SERVED_PORT, protocol: TCP, flags: 0, host: 0 }, values, valueAt);
    });
    await put(object.map('service_slots'), count * BACKENDS, (n, keys, keyAt, values, valueAt) => {
      const table = (Math.floor(n / BACKENDS) + 1) * 4;
      service_slot_key.encode({ table, slot: n % BACKENDS }, keys, keyAt);
      service_slot.encode({ backend: n + 1, table }, values, valueAt);
    });
    await put(object.map('services'), count, (i, keys, keyAt, values, valueAt) => {
      keyOf(i).copy(keys, keyAt);
      frontend(i).copy(values, valueAt);
    });
    return performance.now() - began;
  };
  const changeOne = async (): Promise<number> => {
    const i = count >> 1;
    const table = (i + 1) * 4;
    const number = Buffer.alloc(4);
    number.writeUInt32LE(count * BACKENDS + 1);
    const slot = service_slot_key.encode({ table, slot: BACKENDS });
    const began = performance.now();
    const addr = parseIp(SERVER_IP);
    object
      .map('backends')
      .update(number, backend.encode({ addr, port: SERVED_PORT, protocol: TCP, flags: 0, host: 0 }));
    object.map('service_slots').update(slot, service_slot.encode({ backend: count * BACKENDS + 1, table }));
    object.map('services').update(keyOf(i), frontend(i, BACKENDS + 1));
    const tookMs = performance.now() - began;
    object.map('services').update(keyOf(i), frontend(i));
    object.map('service_slots').delete(slot);
    object.map('backends').delete(number);
    return tookMs;
  };
  await program();
  return {
    cgroup,
    program,
    changeOne,
    remove: async () => {
      for (const link of links) link.detach();
      await removeCgroup(cgroup);
      object.close();
    },
  };
};

/** On the router, where the packets of other namespaces pass. Returns how long it took, ms. */
const load = (router: string, command: readonly string[], input: string): number => {
  const began = performance.now();
  execFileSync('nsenter', [`--net=${router}`, ...command], { input, stdio: ['pipe', 'ignore', 'inherit'] });
  return performance.now() - began;
};

/** One lookup for all services, the best that nftables can do. */
export const standNftServices = (router: string, count: number): number => {
  const elements = Array.from(
    { length: count },
    (_, i) => `${addressOf(i)} . ${ASKED_PORT} : ${backendOf(i, count)} . ${SERVED_PORT}`,
  );
  return load(
    router,
    ['nft', '-f', '-'],
    `table ip bench {
      map services {
        type ipv4_addr . inet_service : ipv4_addr . inet_service
        elements = { ${elements.join(', ')} }
      }
      chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        dnat ip to ip daddr . tcp dport map @services
      }
    }`,
  );
};

/** A rule for each service, and of each a chain with a rule for each backend. */
export const standIptables = (router: string, count: number): number => {
  const all = Array.from({ length: count }, (_, i) => i);
  const destination = (i: number): string => `${backendOf(i, count)}:${SERVED_PORT}`;
  const lines = [
    '*nat',
    ':SERVICES - [0:0]',
    ...all.map((i) => `:SVC-${i} - [0:0]`),
    '-A PREROUTING -j SERVICES',
    ...all.map((i) => `-A SERVICES -d ${addressOf(i)}/32 -p tcp -m tcp --dport ${ASKED_PORT} -j SVC-${i}`),
    ...all.flatMap((i) => [
      `-A SVC-${i} -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination ${destination(i)}`,
      `-A SVC-${i} -p tcp -j DNAT --to-destination ${destination(i)}`,
    ]),
    'COMMIT',
    '',
  ];
  return load(router, ['iptables-restore'], lines.join('\n'));
};
