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

interface Announcement {
  readonly name: string;
  readonly services?: Selector;
  readonly hosts?: Selector;
  readonly interfaces: readonly string[];
  readonly external_ips: boolean;
  readonly load_balancer_ips: boolean;
  readonly lease_duration_ms: number;
  readonly renew_deadline_ms: number;
  readonly retry_period_ms: number;
  readonly created_at: string;
}

interface Lease {
  readonly service: string;
  readonly host: string;
  readonly state: string;
  readonly announcement: string;
  readonly addresses: readonly string[];
  readonly interfaces: readonly string[];
  readonly since: string;
  readonly renewed_at: string;
  readonly transitions: number;
}

interface BgpInstance {
  readonly name: string;
  readonly hosts?: Selector;
  readonly local_asn: number;
  readonly peers: readonly { readonly name: string; readonly address: string; readonly asn: number }[];
  readonly advertisements: readonly { readonly type: string; readonly addresses?: readonly string[] }[];
  readonly created_at: string;
}

interface BgpPeer {
  readonly host: string;
  readonly instance: string;
  readonly peer: string;
  readonly address: string;
  readonly asn: number;
  readonly local_asn: number;
  readonly state: string;
  readonly since: string;
  readonly error: string | null;
  readonly families: readonly { readonly family: string; readonly received: number; readonly advertised: number }[];
}

interface BgpRoute {
  readonly host: string;
  readonly instance: string;
  readonly peer: string;
  readonly address: string;
  readonly prefix: string;
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
  'l2-announcements': kind(
    'l2-announcements',
    ['l2Announcement'],
    columns<Announcement>([
      { title: 'NAME', cell: (a) => a.name },
      { title: 'SERVICES', cell: (a) => selectorText(a.services ?? {}) },
      { title: 'HOSTS', cell: (a) => selectorText(a.hosts ?? {}) },
      { title: 'INTERFACES', cell: (a) => (a.interfaces.length > 0 ? a.interfaces : 'uplinks') },
      {
        title: 'ADDRESSES',
        cell: (a) => [...(a.load_balancer_ips ? ['load-balancer'] : []), ...(a.external_ips ? ['external-ip'] : [])],
      },
      { title: 'LEASE-MS', cell: (a) => a.lease_duration_ms, wide: true },
      { title: 'RENEW-MS', cell: (a) => a.renew_deadline_ms, wide: true },
      { title: 'RETRY-MS', cell: (a) => a.retry_period_ms, wide: true },
      seen(),
    ]),
  ),
  'bgp-instances': kind(
    'bgp-instances',
    ['bgpInstance'],
    columns<BgpInstance>([
      { title: 'NAME', cell: (b) => b.name },
      { title: 'HOSTS', cell: (b) => selectorText(b.hosts ?? {}) },
      { title: 'ASN', cell: (b) => b.local_asn },
      { title: 'PEERS', cell: (b) => b.peers.map(({ name, address, asn }) => `${name}=${address}/${asn}`) },
      {
        title: 'ADVERTISED',
        cell: (b) => [...new Set(b.advertisements.flatMap(({ type, addresses }) => addresses ?? [type]))],
      },
      seen(),
    ]),
  ),
  'bgp-peers': {
    ...kind(
      'bgp-peers',
      ['bgpInstance', 'host'],
      columns<BgpPeer>([
        { title: 'HOST', cell: (p) => p.host },
        { title: 'INSTANCE', cell: (p) => p.instance },
        { title: 'PEER', cell: (p) => p.peer },
        { title: 'ADDRESS', cell: (p) => p.address },
        { title: 'ASN', cell: (p) => p.asn },
        { title: 'STATE', cell: (p) => p.state },
        { title: 'SINCE', cell: (p) => age(p.since), passing: true },
        { title: 'FAMILIES', cell: (p) => p.families.map(({ family }) => family) },
        { title: 'RECEIVED', cell: (p) => p.families.map(({ received }) => String(received)) },
        { title: 'ADVERTISED', cell: (p) => p.families.map(({ advertised }) => String(advertised)) },
        { title: 'LOCAL-ASN', cell: (p) => p.local_asn, wide: true },
        { title: 'ERROR', cell: (p) => p.error ?? '', wide: true },
      ]),
    ),
    keyOf: ({ host, instance, peer }) => `${host} ${instance} ${peer}`,
  },
  'bgp-routes': {
    ...kind(
      'bgp-routes',
      ['bgpInstance', 'host'],
      columns<BgpRoute>([
        { title: 'HOST', cell: (r) => r.host },
        { title: 'INSTANCE', cell: (r) => r.instance },
        { title: 'PEER', cell: (r) => r.peer },
        { title: 'ADDRESS', cell: (r) => r.address },
        { title: 'PREFIX', cell: (r) => r.prefix },
      ]),
    ),
    keyOf: ({ host, instance, peer, prefix }) => `${host} ${instance} ${peer} ${prefix}`,
  },
  'l2-leases': {
    ...kind(
      'l2-leases',
      // Leases are on the bus: what tells of them are the services.
      ['service', 'l2Announcement'],
      columns<Lease>([
        { title: 'SERVICE', cell: (l) => l.service },
        { title: 'HOST', cell: (l) => l.host },
        { title: 'STATE', cell: (l) => l.state },
        { title: 'ADDRESSES', cell: (l) => l.addresses },
        { title: 'INTERFACES', cell: (l) => l.interfaces },
        { title: 'ANNOUNCEMENT', cell: (l) => l.announcement, wide: true },
        { title: 'TRANSITIONS', cell: (l) => l.transitions, wide: true },
        { title: 'RENEWED', cell: (l) => age(l.renewed_at), passing: true, wide: true },
        { title: 'SINCE', cell: (l) => age(l.since), passing: true },
      ]),
    ),
    keyOf: ({ service }) => String(service ?? ''),
  },
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
