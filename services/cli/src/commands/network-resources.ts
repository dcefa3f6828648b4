// SPDX-License-Identifier: Apache-2.0
/** Entries of the table in resources.ts for what joins the fleet and lets it out: pools, reservations, prefilters, gateways. */
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
