// SPDX-License-Identifier: Apache-2.0
/** Objects whose programs share the maps of mappings: the uplinks', with and without services, and NAT64's. */
import { objectPath } from '@weir/bpf/objects';
import { type BpfObject, openObject } from '@weir/loader';
import type { PortRange } from './nat-ports.ts';

export interface UplinkOptions {
  readonly bpffsDir: string;
  readonly uplink?: string;
  readonly hostNetns?: string;
  /** Of the maps that all objects share. */
  readonly maxEntries: Readonly<Record<string, number>>;
  /** Of those that only objects with services have. */
  readonly entriesOfServices: Readonly<Record<string, number>>;
  readonly maxNat?: number;
  readonly rodata: Readonly<Record<string, Uint8Array>>;
  readonly natPorts: PortRange;
}

/** `frontend` is `host` with services for clients outside. */
export type UplinkObject = 'host' | 'frontend';

export const openTranslating = async (name: UplinkObject | 'nat64', options: UplinkOptions): Promise<BpfObject> => {
  const { bpffsDir, entriesOfServices, maxNat, rodata } = options;
  const own = ['nat_in', 'nat_out', ...(name === 'frontend' ? ['service_nat'] : [])];
  const sizes = maxNat === undefined ? {} : Object.fromEntries(own.map((map) => [map, maxNat]));
  const maxEntries = { ...options.maxEntries, ...sizes, ...(name === 'frontend' ? entriesOfServices : {}) };
  const object = await openObject(objectPath(name), {
    ...{ pinDir: bpffsDir, replaceIncompatible: true, maxEntries, rodata },
  });
  await object.commitPins();
  return object;
};
