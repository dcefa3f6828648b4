// SPDX-License-Identifier: Apache-2.0
/** The loaded object with its pinned maps, and what is built on it. */
import { existsSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { weir_limits } from '@weir/bpf';
import { objectPath } from '@weir/bpf/objects';
import { type BpfObject, ensureBpffs, openObject, tcxSupported } from '@weir/loader';
import { type ServiceMaps, serviceEntries } from '../../plan/service-room.ts';
import { wireguardKey } from '../../wireguard-key.ts';
import { type Attachments, JUDGING, type Kernel } from '../ports.ts';
import { removeAnnouncements } from './announce.ts';
import { kernelAttachments } from './attachments.ts';
import { KernelCgroups } from './cgroups.ts';
import { kernelEgress } from './egress.ts';
import { kernelEncryption } from './encryption.ts';
import { kernelMaps } from './maps.ts';
import { type PortRange, releasePorts } from './nat-ports.ts';
import { removeNat64Device } from './nat64.ts';
import { type KernelNetwork, kernelNetwork, prepareHost } from './network.ts';
import { kernelOverlay } from './overlay.ts';
import { kernelPacing, removePacing } from './pacing.ts';
import { KernelServices } from './services.ts';
import { detachUplinkFilters } from './uplink-programs.ts';
import { type KernelUplinks, kernelUplinks } from './uplinks.ts';

export interface DatapathOptions extends ServiceMaps {
  readonly bpffsDir: string;
  readonly uplink?: string;
  readonly maxConntrack?: number;
  readonly maxCidrs?: number;
  readonly maxIpcache?: number;
  /** Power of two, in pages. */
  readonly ringBytes?: number;
  /** Of one workload; 0 = no limit. */
  readonly eventsPerSecond?: number;
  /** Path of the host's network namespace; this process's own unless told. */
  readonly hostNetns?: string;
  /** Ports of masqueraded connections. */
  readonly natPorts?: PortRange;
  readonly maxNat?: number;
  /** cgroup v2 folder of this host; that of the whole machine unless told. */
  readonly cgroup?: string;
  /** How much of arguments and environment of processes is read, bytes; without it processes are not watched. */
  readonly processes?: { readonly argsBytes: number; readonly envBytes: number };
  /** File of this host's WireGuard key, made when it is needed; without it nothing is encrypted. */
  readonly wireguardKeyPath?: string;
}

export const NAT_PORTS: PortRange = { low: 49_152, high: 65_535 };

export interface Datapath extends Kernel {
  readonly object: BpfObject;
  readonly network: KernelNetwork;
  readonly uplinks: KernelUplinks;
  readonly cgroups: KernelCgroups;
  /** Maps whose pin was of another shape: they begin empty. */
  readonly replaced: readonly string[];
  /** Puts back pins of maps that somebody removed. Returns their names. */
  repairPins(): Promise<readonly string[]>;
  close(): void;
}

const WIREGUARD_SIDES = [
  { direction: 'ingress', program: 'from_wireguard' },
  { direction: 'egress', program: 'to_wireguard' },
] as const;

const OVERLAY_SIDES = [
  { direction: 'ingress', program: 'from_overlay' },
  { direction: 'egress', program: 'to_overlay' },
] as const;

export const linksDirOf = (bpffsDir: string): string => join(bpffsDir, 'links');

/** During a change the map holds prefixes of both policies: new ones come first, old ones go last. Unused room costs nothing. */
export const CIDRS_CHANGE = 2;

/** Not pinned: nothing in it outlives a packet, or it belongs to the object. */
const pinned = (name: string): boolean => !name.startsWith('.') && name !== 'scratch';

const u32 = (value: number): Buffer => {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32LE(value, 0);
  return out;
};

export const openDatapath = async (options: DatapathOptions): Promise<Datapath> => {
  const bpffsDir = await ensureBpffs(options.bpffsDir);
  const { maxConntrack, maxCidrs, maxIpcache, ringBytes, eventsPerSecond, hostNetns, uplink } = options;
  const existed = (name: string): boolean => existsSync(join(bpffsDir, name));
  const before = new Set([...JUDGING, 'workloads', 'conntrack'].filter(existed));
  const maxEntries = {
    ...(maxConntrack === undefined ? {} : { conntrack: maxConntrack }),
    cidrs: (maxCidrs ?? weir_limits.WEIR_MAX_CIDRS) * CIDRS_CHANGE,
    ...(maxIpcache === undefined ? {} : { ipcache: maxIpcache }),
    ...(ringBytes === undefined ? {} : { events: ringBytes }),
  };
  const rodata = {
    ...(ringBytes === undefined ? {} : { events_wakeup_bytes: u32(ringBytes / 4) }),
    ...(eventsPerSecond === undefined ? {} : { events_per_second: u32(eventsPerSecond) }),
  };
  const entriesOfServices = serviceEntries(options);
  const shared = { pinDir: bpffsDir, replaceIncompatible: true, maxEntries, rodata };
  const object = await openObject(objectPath('workload'), shared);
  await object.commitPins();
  const networkOptions = { ...(uplink ? { uplink } : {}), ...(hostNetns ? { hostNetns } : {}) };
  await prepareHost(networkOptions);
  const network = kernelNetwork(networkOptions);
  const { maxNat, natPorts = NAT_PORTS } = options;
  const uplinks = kernelUplinks({
    ...{ bpffsDir, rodata, natPorts, ...networkOptions },
    ...{ maxEntries, entriesOfServices },
    ...(maxNat === undefined ? {} : { maxNat }),
  });
  const tcx = await tcxSupported();
  const where = hostNetns ? { hostNetns } : {};
  const { cgroup } = options;
  let client: BpfObject | undefined;
  const attachments = kernelAttachments(
    { program: (name) => (client?.programs.has(name) ? client : object).program(name) },
    { linksDir: linksDirOf(bpffsDir), tcx, ...where },
  );
  const services = new KernelServices({
    ...{
      bpffsDir,
      maxEntries: { ...maxEntries, ...entriesOfServices },
      rodata,
      ...where,
      ...(cgroup ? { cgroup } : {}),
    },
    useClient: (next) => {
      client = next;
      return attachments.renew();
    },
  });
  await services.resume();
  const cgroups = new KernelCgroups(object, { bpffsDir, maxEntries, rodata, ...(cgroup ? { cgroup } : {}) });
  let overlayObject: BpfObject | undefined;
  /** A host without a tunnel does not pay for its programs. Its maps are those above, by their pins. */
  const overlayLinks = async (): Promise<Attachments> => {
    overlayObject = await openObject(objectPath('overlay'), shared);
    return kernelAttachments(overlayObject, {
      linksDir: join(bpffsDir, 'overlay'),
      tcx,
      sides: OVERLAY_SIDES,
      ...where,
    });
  };
  let wireguardObject: BpfObject | undefined;
  const wireguardLinks = async (): Promise<Attachments> => {
    wireguardObject = await openObject(objectPath('wireguard'), shared);
    await wireguardObject.commitPins();
    return kernelAttachments(wireguardObject, {
      ...{ linksDir: join(bpffsDir, 'wireguard'), tcx, sides: WIREGUARD_SIDES, ...where },
    });
  };
  const { wireguardKeyPath } = options;
  return {
    object,
    uplinks,
    services,
    network,
    maps: kernelMaps(object),
    attachments,
    cgroups,
    egress: kernelEgress(object),
    pacing: kernelPacing(object, networkOptions),
    overlay: kernelOverlay(object, { network, openAttachments: overlayLinks, ...where }),
    encryption: kernelEncryption({
      ...{ network, openAttachments: wireguardLinks, ...networkOptions },
      key: wireguardKeyPath ? () => wireguardKey(wireguardKeyPath) : undefined,
    }),
    replaced: [...before].filter((name) => !object.map(name).reused),
    repairPins: async () => {
      const missing = [...object.maps.values()].filter(({ name }) => pinned(name) && !existed(name));
      if (missing.length === 0) return [];
      // The whole file system may have been unmounted.
      await ensureBpffs(options.bpffsDir);
      for (const map of missing) map.pin(join(bpffsDir, map.name));
      return missing.map(({ name }) => name);
    },
    close: () => {
      network.close();
      uplinks.close();
      services.close();
      cgroups.close();
      overlayObject?.close();
      wireguardObject?.close();
      object.close();
    },
  };
};

/** All of a folder; of one that is a mount, all that is in it. */
const removeAll = async (dir: string): Promise<void> => {
  for (const name of await readdir(dir).catch(() => [])) await rm(join(dir, name), { recursive: true, force: true });
  await rmdir(dir).catch(() => {});
};

/** Takes away everything that agents of this host have made: links, interfaces, routes, pins. */
export const cleanup = async (
  bpffsDir: string,
  hostNetns?: string,
  natPorts: PortRange = NAT_PORTS,
): Promise<{ readonly workloads: number; readonly routes: number }> => {
  const network = kernelNetwork(hostNetns ? { hostNetns } : {});
  try {
    const links = await network.links();
    for (const { ifname } of links) await network.remove(ifname);
    const routes = await network.routes();
    for (const route of routes.values()) await network.removeRoute(route);
    await detachUplinkFilters(bpffsDir, hostNetns);
    await releasePorts(hostNetns, natPorts);
    await network.removeOverlay();
    await removeNat64Device(hostNetns);
    await removePacing(hostNetns);
    await removeAnnouncements(hostNetns);
    await network.removeEncryption();
    await removeAll(bpffsDir);
    return { workloads: links.length, routes: routes.size };
  } finally {
    network.close();
  }
};
