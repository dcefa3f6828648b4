// SPDX-License-Identifier: Apache-2.0
/** The maps of load balancing that only remember. Element by element, as the kernel does it. */
import type { MaglevSlots } from '../apply/maglev-tables.ts';
import type { Services } from '../apply/ports.ts';
import type { HeldServices } from '../apply/services.ts';
import { keyText } from '../plan/service-view.ts';

export interface ServiceMemory {
  services: HeldServices | undefined;
  /** For tests: called after each single write. */
  onServiceWrite?: (held: HeldServices) => void;
  writes: number;
}

const noServices = (): HeldServices => ({
  ...{ frontends: new Map(), slots: new Map(), members: new Map(), backends: new Map() },
  ...{ maglev: new Set(), nodeAddresses: new Set(), nodePorts: undefined, seed: undefined, sources: undefined },
  ranges: new Set(),
});

export const memoryServices = (state: ServiceMemory): Services => {
  const held = (): HeldServices => {
    state.services ??= noServices();
    return state.services;
  };
  const each = async <T>(items: readonly T[], write: (item: T) => unknown): Promise<void> => {
    for (const item of items) {
      state.writes++;
      write(item);
      state.onServiceWrite?.(held());
    }
  };
  const tables = new Map<number, MaglevSlots>();
  return {
    read: async () => structuredClone(held()),
    peek: async () => state.services,
    writeNodeAddresses: (addresses) => each(addresses, (address) => held().nodeAddresses.add(address)),
    removeNodeAddresses: (addresses) => each(addresses, (address) => held().nodeAddresses.delete(address)),
    writeSettings: async (ports, seed, sources) => {
      held().nodePorts = ports;
      held().seed = Buffer.from(seed).toString('base64');
      held().sources = JSON.stringify(sources);
    },
    readMaglev: async (table) => tables.get(table)?.slice(),
    writeMaglev: (entries) =>
      each(entries, ([table, slots]) => {
        tables.set(table, slots);
        held().maglev.add(table);
      }),
    removeMaglev: (numbers) =>
      each(numbers, (table) => {
        tables.delete(table);
        held().maglev.delete(table);
      }),
    // No packet passes here.
    readFlows: async () => {},
    writeBackends: (entries) => each(entries, ([number, value]) => held().backends.set(number, value)),
    removeBackends: (numbers) => each(numbers, (number) => held().backends.delete(number)),
    writeMembers: (entries) =>
      each(entries, ([table, backend, weight]) =>
        held().members.set(table, (held().members.get(table) ?? new Map<number, number>()).set(backend, weight)),
      ),
    removeMembers: (entries) =>
      each(entries, ([table, backend]) => {
        const members = held().members.get(table);
        members?.delete(backend);
        if (members?.size === 0) held().members.delete(table);
      }),
    writeSlots: (entries) =>
      each(entries, ([table, slot, backend]) => {
        const slots = held().slots.get(table) ?? [];
        slots[slot] = backend;
        held().slots.set(table, slots);
      }),
    removeSlots: (entries) =>
      each(entries, ([table, slot]) => {
        const slots = held().slots.get(table);
        if (!slots) return;
        delete slots[slot];
        if (slots.every((backend) => backend === undefined)) held().slots.delete(table);
      }),
    writeFrontends: (entries) => each(entries, (one) => held().frontends.set(keyText(one.key), one)),
    removeFrontends: (keys) => each(keys, (key) => held().frontends.delete(keyText(key))),
    writeRanges: (ranges) => each(ranges, (range) => held().ranges.add(range)),
    removeRanges: (ranges) => each(ranges, (range) => held().ranges.delete(range)),
    writePlaces: async () => {},
    closeSockets: async () => 0,
    count: async () => undefined,
    attach: async () => undefined,
    // Nobody asks here.
    readCounts: async () => [],
    tidyCounts: async () => {},
    inspect: async () => [],
    end: async () => {
      state.services = undefined;
    },
  };
};
