// SPDX-License-Identifier: Apache-2.0
/**
 * A kernel that only remembers: for the simulated agent, and for tests that look at every state between two writes.
 * Its rules are those of the real one as far as the executor can see them: a table is swapped whole, an interface takes
 * its attachments with it, what was written stays when the agent goes.
 */

import type { PolicyTable } from '@weir/bpf/policy-table';
import type {
  Attachments,
  Cgroups,
  Egress,
  EgressGatewayValue,
  Encryption,
  HostLink,
  Kernel,
  LimiterState,
  Maps,
  Network,
  Overlay,
  Pacing,
  WorkloadValue,
} from '../apply/ports.ts';
import type { HeldServices } from '../apply/services.ts';
import { type EncryptionPlan, NO_FACTS } from '../plan/encryption.ts';
import type { IpcacheEntry, PrefixText } from '../plan/ipcache.ts';
import type { Bandwidth, Route, Wiring } from '../plan/model.ts';
import type { OverlayDevice, Tunnel } from '../plan/overlay.ts';
import type { DesiredUplinks } from '../plan/uplinks.ts';
import { memoryServices } from './memory-services.ts';

export interface MemoryState {
  readonly workloads: Map<number, WorkloadValue>;
  readonly policies: Map<number, PolicyTable>;
  readonly addresses: Map<string, number>;
  readonly cidrs: Map<string, number>;
  readonly bandwidths: Map<number, Bandwidth>;
  readonly drains: Map<number, bigint>;
  readonly ipcache: Map<PrefixText, IpcacheEntry>;
  readonly links: Map<string, { ifindex: number; up: boolean; netnsId: string }>;
  readonly attached: Map<string, number>;
  readonly routes: Map<string, Route>;
  readonly tunnels: Map<number, Tunnel>;
  readonly identities: Set<number>;
  overlayDevice: OverlayDevice | undefined;
  /** Network namespaces that exist, path -> id. With `anyNetns` all do. */
  readonly netns: Map<string, string>;
  /** Cgroups that exist, path -> id. With `anyNetns` all do. */
  readonly cgroups: Map<string, string>;
  /** Which of them have programs, by number. */
  readonly attachedCgroups: Map<number, string>;
  uplinks: DesiredUplinks | undefined;
  readonly egress: {
    readonly sources: Map<string, number>;
    readonly sets: Map<number, ReadonlyMap<string, number>>;
    readonly groups: Map<number, { readonly chosen: number; readonly own: number }>;
    readonly gateways: Map<number, EgressGatewayValue>;
  };
  services: HeldServices | undefined;
  /** For tests: called after each single write to the maps of services. */
  onServiceWrite?: (held: HeldServices) => void;
  encryption: EncryptionPlan | undefined;
  /** Of workloads' interfaces: overhead and MTU. */
  fit: string;
  nextIfindex: number;
  /** Writes so far, all kinds. */
  writes: number;
}

export interface MemoryKernelOptions {
  readonly anyNetns?: boolean;
  /** Entries that fit into one table. */
  readonly maxPolicy?: number;
}

export const emptyState = (): MemoryState => ({
  workloads: new Map(),
  policies: new Map(),
  addresses: new Map(),
  cidrs: new Map(),
  bandwidths: new Map(),
  drains: new Map(),
  ipcache: new Map(),
  links: new Map(),
  attached: new Map(),
  routes: new Map(),
  tunnels: new Map(),
  identities: new Set(),
  overlayDevice: undefined,
  netns: new Map(),
  cgroups: new Map(),
  attachedCgroups: new Map(),
  uplinks: undefined,
  egress: { sources: new Map(), sets: new Map(), groups: new Map(), gateways: new Map() },
  services: undefined,
  encryption: undefined,
  fit: '0 0',
  nextIfindex: 2,
  writes: 0,
});

const memoryMaps = (state: MemoryState, maxPolicy: number): Maps => {
  const wrote = (count: number): void => {
    state.writes += count;
  };
  return {
    readWorkloads: async () => [...state.workloads.values()],
    writeWorkloads: async (values) => {
      for (const value of values) state.workloads.set(value.ifindex, value);
      wrote(values.length);
    },
    removeWorkload: async (ifindex) => {
      state.policies.delete(ifindex);
      state.workloads.delete(ifindex);
      wrote(2);
    },
    readPolicy: async (ifindex) => state.policies.get(ifindex),
    swapPolicies: async (swaps) => {
      const tooLarge = swaps.filter(({ table }) => table.count > maxPolicy);
      for (const swap of swaps) if (!tooLarge.includes(swap)) state.policies.set(swap.ifindex, swap.table);
      wrote(swaps.length);
      return tooLarge.map(({ ifindex }) => ({ ifindex, error: new Error('no space') }));
    },
    readAddresses: async () => state.addresses,
    writeAddress: async (address, ifindex) => {
      state.addresses.set(address, ifindex);
      wrote(1);
    },
    removeAddress: async (address) => {
      state.addresses.delete(address);
      wrote(1);
    },
    readCidrs: async () => state.cidrs,
    writeCidrs: async (entries) => {
      for (const [prefix, identity] of entries) state.cidrs.set(prefix, identity);
      wrote(entries.length);
    },
    removeCidrs: async (prefixes) => {
      for (const prefix of prefixes) state.cidrs.delete(prefix);
      wrote(prefixes.length);
    },
    writeBandwidth: async (ifindex, bandwidth) => {
      if (bandwidth) {
        state.bandwidths.set(ifindex, bandwidth);
        wrote(1);
      } else if (state.bandwidths.delete(ifindex)) wrote(1);
    },
    writeDrain: async (ifindex, untilNs) => {
      if (untilNs !== undefined) {
        state.drains.set(ifindex, untilNs);
        wrote(1);
      } else if (state.drains.delete(ifindex)) wrote(1);
    },
    readIpcache: async () => state.ipcache,
    writeIpcache: async (entries) => {
      for (const [key, entry] of entries) state.ipcache.set(key, entry);
      wrote(entries.length);
    },
    removeIpcache: async (keys) => {
      for (const key of keys) state.ipcache.delete(key);
      wrote(keys.length);
    },
    removeConnections: async () => 0,
  };
};

const memoryNetwork = (state: MemoryState, anyNetns: boolean): Network => {
  const netnsId = (path: string): string | undefined => (anyNetns ? `id of ${path}` : state.netns.get(path));
  return {
    links: async () => [...state.links].map(([ifname, { ifindex, up }]): HostLink => ({ ifname, ifindex, up })),
    netnsId: async (path) => netnsId(path),
    create: async ({ ifname, netns }: Wiring) => {
      const id = netnsId(netns);
      if (id === undefined) throw new Error(`${netns} does not exist`);
      const ifindex = state.nextIfindex++;
      state.links.set(ifname, { ifindex, up: false, netnsId: id });
      state.writes++;
      return ifindex;
    },
    configure: async ({ ifname }) => {
      const link = state.links.get(ifname);
      if (link) link.up = true;
      state.writes++;
    },
    remove: async (ifname) => {
      state.links.delete(ifname);
      state.attached.delete(ifname);
      state.writes++;
    },
    routes: async () => state.routes,
    putRoute: async (route) => {
      state.routes.set(route.dst, route);
      state.writes++;
    },
    removeRoute: async ({ dst }) => {
      state.routes.delete(dst);
      state.writes++;
    },
  };
};

const memoryCgroups = (state: MemoryState, anyCgroup: boolean): Cgroups => ({
  id: async (path) => (anyCgroup ? `id of ${path}` : state.cgroups.get(path)),
  read: async () => state.attachedCgroups,
  attach: async (number, _, id) => {
    state.attachedCgroups.set(number, id);
    state.writes++;
  },
  check: async (number, id) => (state.attachedCgroups.get(number) === id ? [] : ['both programs are detached']),
  release: async (number) => {
    state.attachedCgroups.delete(number);
    state.writes++;
  },
  known: async () => [...state.attachedCgroups.keys()],
  watch: async () => {},
  onChange: () => {},
});

const memoryAttachments = (state: MemoryState): Attachments => ({
  attach: async (ifname, ifindex) => {
    state.attached.set(ifname, ifindex);
    state.writes++;
  },
  settle: async () => false,
  guarded: async (ifname, ifindex) => state.attached.get(ifname) === ifindex,
  unsettled: 0,
  check: async (ifname, ifindex) => (state.attached.get(ifname) === ifindex ? [] : ['both programs are detached']),
  release: async (ifname) => {
    state.attached.delete(ifname);
  },
  detach: async (ifname) => {
    state.attached.delete(ifname);
  },
  known: async () => [...state.attached.keys()],
});

const sameDevice = (a: OverlayDevice | undefined, b: OverlayDevice): boolean =>
  a?.port === b.port && a.sourceLow === b.sourceLow && a.sourceHigh === b.sourceHigh;

const memoryOverlay = (state: MemoryState): Overlay => {
  const wrote = (count: number): void => {
    state.writes += count;
  };
  return {
    read: async () => ({
      tunnels: state.tunnels,
      identities: state.identities,
      hasDevice: state.overlayDevice !== undefined,
    }),
    ensureDevice: async (device) => {
      if (sameDevice(state.overlayDevice, device)) return false;
      state.overlayDevice = device;
      wrote(1);
      return true;
    },
    takeOver: async () => {},
    removeDevice: async () => {
      state.overlayDevice = undefined;
      wrote(1);
    },
    writeTunnels: async (entries) => {
      for (const [number, tunnel] of entries) state.tunnels.set(number, tunnel);
      wrote(entries.length);
    },
    removeTunnels: async (numbers) => {
      for (const number of numbers) state.tunnels.delete(number);
      wrote(numbers.length);
    },
    addIdentities: async (identities) => {
      for (const identity of identities) state.identities.add(identity);
      wrote(identities.length);
    },
    removeIdentities: async (identities) => {
      for (const identity of identities) state.identities.delete(identity);
      wrote(identities.length);
    },
    fitMtu: async ({ overheadBytes, mtu }) => {
      const fit = `${overheadBytes} ${mtu}`;
      if (state.fit !== fit) wrote(1);
      state.fit = fit;
    },
    check: async () => [],
  };
};

const memoryEgress = (state: MemoryState): Egress => {
  const { sources, sets, groups, gateways } = state.egress;
  return {
    read: async () => ({ sources, sets, groups, gateways }),
    writeRoutes: async (set, entries) => {
      state.writes++;
      sets.set(set, new Map([...(sets.get(set) ?? []), ...entries]));
    },
    removeRoutes: async (set, prefixes) => {
      state.writes++;
      const left = [...(sets.get(set) ?? [])].filter(([prefix]) => !prefixes.includes(prefix));
      if (left.length > 0) sets.set(set, new Map(left));
      else sets.delete(set);
    },
    writeGroup: async (number, group) => {
      state.writes++;
      groups.set(number, group);
    },
    writeGateway: async (number, gateway) => {
      state.writes++;
      if (gateway) gateways.set(number, gateway);
      else gateways.delete(number);
    },
    writeSource: async (address, set) => {
      state.writes++;
      sources.set(address, set);
    },
    removeSource: async (address) => {
      state.writes++;
      sources.delete(address);
    },
  };
};

const memoryPacing = (): Pacing => {
  let state: LimiterState = { kind: '', reason: '' };
  return {
    sync: async (wanted) => {
      state = wanted ? { kind: 'token-bucket', reason: 'simulated' } : { kind: '', reason: '' };
    },
    get state() {
      return state;
    },
    inspect: async () => [],
  };
};

/** Of a kernel without WireGuard: what is wanted of it is remembered, and refused. */
const memoryEncryption = (state: MemoryState): Encryption => ({
  publicKey: '',
  facts: async () => NO_FACTS,
  prepare: async (plan) => {
    state.encryption = plan.device && plan;
    return plan.device ? ['a simulated host encrypts nothing'] : [];
  },
  finish: async () => [],
  doubt: () => {},
  inspect: async () => [],
});

/** Deletes the namespace, and with it the pair of interfaces that has an end in it, as the kernel does. */
export const deleteNetns = (state: MemoryState, path: string): void => {
  const id = state.netns.get(path);
  state.netns.delete(path);
  for (const [ifname, link] of state.links) {
    if (link.netnsId !== id) continue;
    state.links.delete(ifname);
    state.attached.delete(ifname);
  }
};

export const memoryKernel = (state: MemoryState = emptyState(), options: MemoryKernelOptions = {}): Kernel => ({
  maps: memoryMaps(state, options.maxPolicy ?? 16_384),
  network: memoryNetwork(state, options.anyNetns ?? false),
  attachments: memoryAttachments(state),
  cgroups: memoryCgroups(state, options.anyNetns ?? false),
  services: memoryServices(state),
  uplinks: {
    sync: async (desired) => {
      if (state.uplinks !== desired) state.writes++;
      state.uplinks = desired;
      return [];
    },
    way: () => undefined,
    doubt: () => {},
    inspect: async () => [],
  },
  egress: memoryEgress(state),
  overlay: memoryOverlay(state),
  pacing: memoryPacing(),
  encryption: memoryEncryption(state),
});
