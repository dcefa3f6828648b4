// SPDX-License-Identifier: Apache-2.0
/** What stands in a host's pinned maps, read past its agent. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { weir_ct_flags as CT, ct_entry, nat_in_value, nat_key, policy_entry } from '@weir/bpf';
import { BpfMap, openMapById, openPinnedLink, openPinnedMap } from '@weir/loader';
import { formatIp } from '@weir/net';

const withMap = async <T>(map: BpfMap, use: (map: BpfMap) => Promise<T>): Promise<T> => {
  try {
    return await use(map);
  } finally {
    map.close();
  }
};

const elements = (map: BpfMap, textOf: (value: Buffer) => string): Promise<string[]> =>
  withMap(map, async () => {
    const { keys, values, count } = await map.lookupAll();
    return Array.from({ length: count }, (_, i) => {
      const key = keys.subarray(i * map.keySize, (i + 1) * map.keySize).toString('hex');
      return `${key}=${textOf(values.subarray(i * map.valueStride, (i + 1) * map.valueStride))}`;
    }).sort();
  });

const hex = (value: Buffer): string => value.toString('hex');
/** Without what it has counted. */
const rule = (value: Buffer): string => {
  const { rule_id, verdict, prefix_bits, rank } = policy_entry.decode(value);
  return `${rule_id}/${verdict}/${prefix_bits}/${rank}`;
};

/** Everything the agent wrote: workloads, addresses, identities, prefixes, and each workload's policy. */
export const configuredMaps = async (bpffs: string): Promise<Readonly<Record<string, readonly string[]>>> => {
  const maps: Record<string, readonly string[]> = {};
  for (const name of ['workloads', 'addresses', 'ipcache', 'cidrs'])
    maps[name] = await elements(openPinnedMap(join(bpffs, name)), hex);
  await withMap(openPinnedMap(join(bpffs, 'policies')), async (policies) => {
    for (const element of maps.workloads ?? []) {
      const key = element.slice(0, 8);
      const id = policies.lookupInnerId(Buffer.from(key, 'hex'));
      maps[`policies/${key}`] = id === undefined ? [] : await elements(openMapById(id), rule);
    }
  });
  return maps;
};

/** Whom sockets are sent to: frontends, the slots of their tables, and backends. */
export const serviceMaps = async (bpffs: string): Promise<Readonly<Record<string, readonly string[]>>> => {
  const maps: Record<string, readonly string[]> = {};
  for (const name of ['services', 'service_slots', 'backends'])
    maps[name] = await elements(openPinnedMap(join(bpffs, name)), hex);
  return maps;
};

/** Clients (`address port`) of a frontend's address that were sent to a backend -> the backend's address. */
export const clientsOf = (bpffs: string, frontend: string): Promise<ReadonlyMap<string, string>> =>
  withMap(openPinnedMap(join(bpffs, 'nat_in')), async (map) => {
    const { keys, values, count } = await map.lookupAll();
    const clients = new Map<string, string>();
    for (let i = 0; i < count; i++) {
      const { local, remote, remote_port: port } = nat_key.decode(keys, i * nat_key.size);
      if (formatIp(local) !== frontend) continue;
      clients.set(`${formatIp(remote)} ${port}`, formatIp(nat_in_value.read.addr(values, i * nat_in_value.size)));
    }
    return clients;
  });

/** Keys of established connections that were made at least `ageMs` ago and are not closing. */
export const establishedConnections = (bpffs: string, ageMs: number): Promise<ReadonlySet<string>> =>
  withMap(openPinnedMap(join(bpffs, 'conntrack')), async (map) => {
    const { keys, values, count } = await map.lookupAll();
    const youngest = process.hrtime.bigint() - BigInt(ageMs) * 1_000_000n;
    const closing = CT.CT_FIN_ORIG | CT.CT_FIN_REPLY | CT.CT_RST;
    const found = new Set<string>();
    for (let i = 0; i < count; i++) {
      const { flags, created_ns } = ct_entry.decode(values, i * map.valueStride);
      if (flags & CT.CT_ESTABLISHED && !(flags & closing) && created_ns < youngest)
        found.add(keys.subarray(i * map.keySize, (i + 1) * map.keySize).toString('hex'));
    }
    return found;
  });

const idOf = (path: string): string | undefined => {
  const isLink = path.includes('/links/');
  try {
    const pinned = isLink ? openPinnedLink(path) : openPinnedMap(path);
    const id = pinned instanceof BpfMap ? pinned.id : pinned.info().id;
    pinned.close();
    return `${path} ${isLink ? 'link' : 'map'} ${id}`;
  } catch (error) {
    if (isLink) throw error;
    return undefined; // another kind of object
  }
};

/** Pinned maps and links below the host's bpffs folder, by path and kernel id: a line each. */
export const pinnedIds = (bpffs: string): string =>
  readdirSync(bpffs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
    .map(idOf)
    .filter((line) => line !== undefined)
    .join('\n');
