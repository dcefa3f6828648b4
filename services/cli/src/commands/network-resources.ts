// SPDX-License-Identifier: Apache-2.0
/** Entries of the table in resources.ts for what joins the fleet, lets it out and balances it: pools, reservations, prefilters, gateways, services. */
import { age, type Column } from '../output/table.ts';
import {
  type Gateway,
  gatewaysText,
  type Selector,
  selectorText,
  type WorkloadSelector,
  workloadsText,
} from '../selectors.ts';
import type { ResourceKind } from './resources.ts';

interface Pool {
  readonly name: string;
  readonly cidrs: readonly string[];
  readonly block_bits4: number;
  readonly block_bits6: number;
  readonly blocks: number;
  readonly addresses: number;
  readonly created_at: string;
}

interface Reservation {
  readonly address: string;
  readonly workload: string;
  readonly created_at: string;
}

interface Prefilter {
  readonly name: string;
  readonly cidrs: readonly string[];
  readonly hosts?: Selector;
  readonly created_at: string;
}

interface EgressGateway {
  readonly name: string;
  readonly workloads: readonly WorkloadSelector[];
  readonly destination_cidrs: readonly string[];
  readonly excluded_cidrs: readonly string[];
  readonly gateways: readonly Gateway[];
  readonly created_at: string;
}

interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly number: number;
  readonly frontends: readonly {
    readonly type: string;
    readonly address: string | null;
    readonly port: number;
    readonly protocol: string;
  }[];
  readonly backends: readonly { readonly state: string }[];
  readonly spec: { readonly algorithm: string; readonly forwarding: string };
  readonly conditions: readonly Condition[];
  readonly created_at: string;
}

interface Condition {
  readonly type: string;
  readonly status: boolean;
  readonly reason: string;
}

interface LbPool {
  readonly name: string;
  readonly blocks: readonly { readonly cidr?: string; readonly start?: string; readonly stop?: string }[];
  readonly service_selector?: Selector;
  readonly frontend_type: string;
  readonly addresses_total: number;
  readonly addresses_used: number;
  readonly conditions: readonly Condition[];
  readonly created_at: string;
}

/** What is not as it should be. */
const failing = (conditions: readonly Condition[]): string =>
  conditions
    .filter(({ status }) => !status)
    .map(({ reason }) => reason)
    .join(',') || 'ready';

const frontendText = ({ type, address, port, protocol }: Service['frontends'][number]): string => {
  const host = address?.includes(':') ? `[${address}]` : address;
  return `${host ?? (type === 'node-port' ? '*' : 'pending')}:${port}/${protocol}`;
};

export const blockText = ({ cidr, start, stop }: LbPool['blocks'][number]): string =>
  cidr ?? (stop === undefined || stop === start ? `${start}` : `${start}-${stop}`);

const columns = <T>(list: readonly Column<T>[]): readonly Column<T>[] => list;
const seen = <T extends { readonly created_at: string }>(): Column<T> => ({
  title: 'AGE',
  cell: (one) => age(one.created_at),
  passing: true,
});

const kind = (noun: string, kinds: readonly string[], list: ResourceKind['columns']): ResourceKind => ({
  service: 'inventory',
  path: `/v1/${noun}`,
  kinds,
  keyOf: ({ name, address }) => name ?? address ?? '',
  one: (id) => `/v1/${noun}/${encodeURIComponent(id)}`,
  columns: list,
});

export const NETWORK_RESOURCES: Readonly<Record<string, ResourceKind>> = {
  pools: kind(
    'pools',
    // Blocks are of hosts, addresses of workloads.
    ['pool', 'host', 'workload'],
    columns<Pool>([
      { title: 'NAME', cell: (p) => p.name },
      { title: 'CIDRS', cell: (p) => p.cidrs },
      { title: 'BLOCKS', cell: (p) => p.blocks },
      { title: 'ADDRESSES', cell: (p) => p.addresses },
      { title: 'BLOCK-BITS4', cell: (p) => p.block_bits4, wide: true },
      { title: 'BLOCK-BITS6', cell: (p) => p.block_bits6, wide: true },
      seen(),
    ]),
  ),
  services: {
    ...kind(
      'services',
      ['service'],
      columns<Service>([
        { title: 'NAMESPACE', cell: (s) => s.namespace },
        { title: 'NAME', cell: (s) => s.name },
        { title: 'FRONTENDS', cell: (s) => s.frontends.map(frontendText) },
        {
          title: 'BACKENDS',
          cell: (s) => `${s.backends.filter(({ state }) => state === 'active').length}/${s.backends.length}`,
        },
        { title: 'STATE', cell: (s) => failing(s.conditions) },
        { title: 'NUMBER', cell: (s) => s.number, wide: true },
        { title: 'ALGORITHM', cell: (s) => s.spec.algorithm, wide: true },
        { title: 'FORWARDING', cell: (s) => s.spec.forwarding, wide: true },
        seen(),
      ]),
    ),
    keyOf: ({ id }) => id ?? '',
    one: (id) => `/v1/services/${encodeURIComponent(id.replace('/', '.'))}`,
  },
  'lb-pools': kind(
    'lb-pools',
    // Addresses are those of services.
    ['lbPool', 'service'],
    columns<LbPool>([
      { title: 'NAME', cell: (p) => p.name },
      { title: 'TYPE', cell: (p) => p.frontend_type },
      { title: 'BLOCKS', cell: (p) => p.blocks.map(blockText) },
      { title: 'SERVICES', cell: (p) => selectorText(p.service_selector ?? {}) },
      { title: 'ADDRESSES', cell: (p) => `${p.addresses_used}/${p.addresses_total}` },
      { title: 'STATE', cell: (p) => failing(p.conditions) },
      seen(),
    ]),
  ),
  reservations: kind(
    'reservations',
    ['reservation'],
    columns<Reservation>([
      { title: 'ADDRESS', cell: (r) => r.address },
      { title: 'WORKLOAD', cell: (r) => r.workload },
      seen(),
    ]),
  ),
  prefilters: kind(
    'prefilters',
    ['prefilter'],
    columns<Prefilter>([
      { title: 'NAME', cell: (p) => p.name },
      { title: 'HOSTS', cell: (p) => selectorText(p.hosts ?? {}) },
      { title: 'CIDRS', cell: (p) => p.cidrs },
      seen(),
    ]),
  ),
  'egress-gateways': kind(
    'egress-gateways',
    ['egressGateway'],
    columns<EgressGateway>([
      { title: 'NAME', cell: (e) => e.name },
      { title: 'WORKLOADS', cell: (e) => workloadsText(e.workloads) },
      { title: 'DESTINATIONS', cell: (e) => e.destination_cidrs },
      { title: 'EXCLUDED', cell: (e) => e.excluded_cidrs, wide: true },
      { title: 'GATEWAYS', cell: (e) => gatewaysText(e.gateways) },
      seen(),
    ]),
  ),
};
