// SPDX-License-Identifier: Apache-2.0
// Generated from the BTF of the built BPF objects by `npm run build`. Do not edit.
/** Every map: its definition, what it holds, which objects use it, and the codecs of its keys and values. */
import * as codec from '../codec.ts';
import * as structs from './structs.ts';

export interface MapDefinition {
  readonly type: string;
  readonly typeNumber: number;
  /** Struct or scalar, as in C; undefined where the type has none. */
  readonly key: string | undefined;
  readonly keySize: number;
  /** 'map' for maps of maps, whose definition is then inner. */
  readonly value: string | undefined;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly inner?: MapDefinition;
}

export interface MapInfo extends MapDefinition {
  readonly name: string;
  readonly doc: string;
  readonly objects: readonly string[];
}

export const MAPS = {
  addresses: {
    name: 'addresses',
    type: 'hash',
    typeNumber: 1,
    key: 'address_key',
    keySize: 16,
    value: 'address_value',
    valueSize: 4,
    maxEntries: 8192,
    flags: 0,
    doc: 'address of a workload of this host -> its host-side interface; written by the agent',
    objects: ['workload'],
  },
  cidrs: {
    name: 'cidrs',
    type: 'lpm_trie',
    typeNumber: 11,
    key: 'prefix_key',
    keySize: 20,
    value: 'cidr_value',
    valueSize: 4,
    maxEntries: 65536,
    flags: 1,
    doc: 'prefix named by a policy -> its host-local identity; written by the agent',
    objects: ['workload'],
  },
  conntrack: {
    name: 'conntrack',
    type: 'lru_hash',
    typeNumber: 9,
    key: 'ct_key',
    keySize: 40,
    value: 'ct_entry',
    valueSize: 168,
    maxEntries: 524288,
    flags: 0,
    doc: 'connections, one entry for each workload that takes part; written by the programs',
    objects: ['workload'],
  },
  counters: {
    name: 'counters',
    type: 'percpu_array',
    typeNumber: 6,
    key: 'u32',
    keySize: 4,
    value: 'u64',
    valueSize: 8,
    maxEntries: 16,
    flags: 0,
    doc: 'enum weir_counter -> how often, per CPU',
    objects: ['workload'],
  },
  drops: {
    name: 'drops',
    type: 'percpu_hash',
    typeNumber: 5,
    key: 'drop_key',
    keySize: 4,
    value: 'drop_value',
    valueSize: 16,
    maxEntries: 1024,
    flags: 0,
    doc: 'reason and direction -> packets and bytes dropped, per CPU; counted even when no event could be written',
    objects: ['workload'],
  },
  events: {
    name: 'events',
    type: 'ringbuf',
    typeNumber: 27,
    key: undefined,
    keySize: 0,
    value: undefined,
    valueSize: 0,
    maxEntries: 8388608,
    flags: 0,
    doc: 'events for the agent; each begins with struct event_header',
    objects: ['workload'],
  },
  fragments: {
    name: 'fragments',
    type: 'lru_hash',
    typeNumber: 9,
    key: 'frag_key',
    keySize: 40,
    value: 'frag_value',
    valueSize: 16,
    maxEntries: 16384,
    flags: 0,
    doc: 'what the first fragment of a datagram said, for the later ones; written by the programs',
    objects: ['workload'],
  },
  ipcache: {
    name: 'ipcache',
    type: 'lpm_trie',
    typeNumber: 11,
    key: 'prefix_key',
    keySize: 20,
    value: 'ipcache_value',
    valueSize: 16,
    maxEntries: 524288,
    flags: 1,
    doc: 'prefix -> identity of what the fleet manages; written by the agent',
    objects: ['workload'],
  },
  policies: {
    name: 'policies',
    type: 'hash_of_maps',
    typeNumber: 13,
    key: 'u32',
    keySize: 4,
    value: 'map',
    valueSize: 4,
    maxEntries: 4096,
    flags: 0,
    inner: {
      type: 'lpm_trie',
      typeNumber: 11,
      key: 'policy_key',
      keySize: 12,
      value: 'policy_entry',
      valueSize: 24,
      maxEntries: 16384,
      flags: 1,
    },
    doc: 'host-side interface index -> the workload\'s policy; a change swaps the whole inner map',
    objects: ['workload'],
  },
  scratch: {
    name: 'scratch',
    type: 'percpu_array',
    typeNumber: 6,
    key: 'u8[4]',
    keySize: 4,
    value: 'u8[464]',
    valueSize: 464,
    maxEntries: 1,
    flags: 0,
    doc: 'what one CPU knows about the packet it is judging; nothing in it outlives the packet',
    objects: ['workload'],
  },
  throttled: {
    name: 'throttled',
    type: 'percpu_hash',
    typeNumber: 5,
    key: 'throttled_key',
    keySize: 12,
    value: 'throttled_value',
    valueSize: 24,
    maxEntries: 16384,
    flags: 0,
    doc: 'workload, reason and direction -> events not sent, their packets and bytes, per CPU',
    objects: ['workload'],
  },
  throttles: {
    name: 'throttles',
    type: 'hash',
    typeNumber: 1,
    key: 'u32',
    keySize: 4,
    value: 'throttle',
    valueSize: 32,
    maxEntries: 4096,
    flags: 0,
    doc: 'host-side interface index -> the workload\'s allowance of events; made by the programs',
    objects: ['workload'],
  },
  workloads: {
    name: 'workloads',
    type: 'hash',
    typeNumber: 1,
    key: 'u32',
    keySize: 4,
    value: 'workload',
    valueSize: 72,
    maxEntries: 4096,
    flags: 0,
    doc: 'host-side interface index -> the workload behind it; written by the agent',
    objects: ['workload'],
  },
} as const satisfies Record<string, MapInfo>;

export type MapName = keyof typeof MAPS;

export const MAP_CODECS = {
  addresses: { key: structs.address_key, value: structs.address_value },
  cidrs: { key: structs.prefix_key, value: structs.cidr_value },
  conntrack: { key: structs.ct_key, value: structs.ct_entry },
  counters: { key: codec.u32, value: codec.u64 },
  drops: { key: structs.drop_key, value: structs.drop_value },
  fragments: { key: structs.frag_key, value: structs.frag_value },
  ipcache: { key: structs.prefix_key, value: structs.ipcache_value },
  policies: { key: codec.u32, innerKey: structs.policy_key, innerValue: structs.policy_entry },
  throttled: { key: structs.throttled_key, value: structs.throttled_value },
  throttles: { key: codec.u32, value: structs.throttle },
  workloads: { key: codec.u32, value: structs.workload },
} as const;
