// SPDX-License-Identifier: Apache-2.0
/** What `weir get` lists: for each noun its service, path and columns. One table; the command is generic. */
import { parseDocument, standingAt } from '@weir/policy-engine';
import type { Service } from '../client.ts';
import { age, type Column } from '../output/table.ts';
import { HOST_FIREWALL_RESOURCES } from './host-firewall-resources.ts';
import { NETWORK_RESOURCES } from './network-resources.ts';

interface Host {
  readonly id: string;
  readonly state: string;
  readonly workloads_ready: number | null;
  readonly workloads_total: number | null;
  readonly realised: Readonly<Record<string, number | string>> | null;
  readonly last_seen_at: string | null;
  readonly underlay_ip4: string | null;
  readonly underlay_ip6: string | null;
  readonly kernel: string | null;
  readonly pools: readonly string[];
  readonly egress_limiter?: { readonly kind: string; readonly reason: string } | null;
}

interface Workload {
  readonly id: string;
  readonly name: string;
  readonly namespace: string;
  readonly host: string;
  readonly state: string;
  readonly state_message: string | null;
  readonly identity: number;
  readonly ip4: string | null;
  readonly ip6: string | null;
  readonly policy_enabled: string | null;
  readonly egress_bandwidth?: string | null;
  readonly ingress_bandwidth?: string | null;
  readonly source_check?: boolean;
  readonly host_network?: boolean;
  readonly cgroup?: string | null;
  readonly labels: Readonly<Record<string, string>>;
}

interface Identity {
  readonly identity: number;
  readonly labels: readonly string[];
  readonly workloads: number;
}

interface Policy {
  readonly kind: string;
  readonly namespace: string | null;
  readonly name: string;
  readonly revision: number | string;
  readonly rules: readonly unknown[];
  readonly document: unknown;
  readonly updated_at: string;
}

/** Of a policy with a time: how it stands now. */
const timeCell = ({ document }: Policy): string => {
  const { validity } = parseDocument(document);
  return validity ? standingAt(validity, Date.now()) : 'always';
};

interface Rule {
  readonly id: number;
  readonly policy_key: string;
  readonly path: string;
  readonly direction: string;
  readonly action: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly description: string | null;
  readonly current: boolean;
}

interface Namespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly created_at: string;
}

export interface ResourceKind {
  readonly service: Service;
  readonly path: string;
  /** Kinds of objects whose changes may change the listing. */
  readonly kinds: readonly string[];
  /** Path of one, from the words after the noun. */
  readonly one: (id: string) => string;
  readonly keyOf: (item: {
    readonly id?: string;
    readonly service?: string;
    readonly host?: string;
    readonly instance?: string;
    readonly peer?: string;
    readonly prefix?: string;
    readonly identity?: number;
    readonly key?: string;
    readonly name?: string;
    readonly address?: string;
    readonly time?: string;
    readonly sequence?: number;
  }) => string;
  // biome-ignore lint/suspicious/noExplicitAny: each noun has its own item type
  readonly columns: readonly Column<any>[];
}

const columns = <T>(list: readonly Column<T>[]): readonly Column<T>[] => list;
const pairs = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');

export const RESOURCES: Readonly<Record<string, ResourceKind>> = {
  hosts: {
    service: 'inventory',
    path: '/v1/hosts',
    kinds: ['host'],
    keyOf: ({ id }) => id ?? '',
    one: (id) => `/v1/hosts/${encodeURIComponent(id)}`,
    columns: columns<Host>([
      { title: 'NAME', cell: (h) => h.id },
      { title: 'STATE', cell: (h) => h.state },
      { title: 'WORKLOADS', cell: (h) => `${h.workloads_ready ?? 0}/${h.workloads_total ?? 0}` },
      { title: 'POLICY-REVISION', cell: (h) => h.realised?.policy },
      { title: 'SEEN', cell: (h) => age(h.last_seen_at), passing: true },
      { title: 'IPV4', cell: (h) => h.underlay_ip4 },
      { title: 'IPV6', cell: (h) => h.underlay_ip6, wide: true },
      { title: 'KERNEL', cell: (h) => h.kernel, wide: true },
      { title: 'POOLS', cell: (h) => h.pools, wide: true },
      { title: 'EGRESS-LIMITER', cell: (h) => h.egress_limiter?.kind, wide: true },
    ]),
  },
  workloads: {
    service: 'inventory',
    path: '/v1/workloads',
    kinds: ['workload'],
    keyOf: ({ id }) => id ?? '',
    one: (id) => `/v1/workloads/${encodeURIComponent(id.replace('/', '.'))}`,
    columns: columns<Workload>([
      { title: 'NAMESPACE', cell: (w) => w.namespace },
      { title: 'NAME', cell: (w) => w.name },
      { title: 'HOST', cell: (w) => w.host },
      { title: 'STATE', cell: (w) => w.state },
      { title: 'IDENTITY', cell: (w) => w.identity },
      { title: 'IPV4', cell: (w) => w.ip4 },
      { title: 'IPV6', cell: (w) => w.ip6 },
      { title: 'POLICY', cell: (w) => w.policy_enabled, wide: true },
      { title: 'EGRESS-RATE', cell: (w) => w.egress_bandwidth, wide: true },
      { title: 'INGRESS-RATE', cell: (w) => w.ingress_bandwidth, wide: true },
      { title: 'SOURCE-CHECK', cell: (w) => w.source_check, wide: true },
      { title: 'CGROUP', cell: (w) => (w.host_network ? w.cgroup : null), wide: true },
      { title: 'LABELS', cell: (w) => pairs(w.labels), wide: true },
      { title: 'MESSAGE', cell: (w) => w.state_message, wide: true },
    ]),
  },
  identities: {
    service: 'inventory',
    path: '/v1/identities',
    kinds: ['identity', 'workload'],
    keyOf: ({ identity }) => String(identity),
    one: (id) => `/v1/identities/${encodeURIComponent(id)}`,
    columns: columns<Identity>([
      { title: 'IDENTITY', cell: (i) => i.identity },
      { title: 'WORKLOADS', cell: (i) => i.workloads },
      { title: 'LABELS', cell: (i) => i.labels },
    ]),
  },
  policies: {
    service: 'policy',
    path: '/v1/policies',
    kinds: ['policy'],
    keyOf: ({ key }) => key ?? '',
    one: (id) => `/v1/policies/${id.split('/').map(encodeURIComponent).join('/')}`,
    columns: columns<Policy>([
      { title: 'KIND', cell: (p) => p.kind },
      { title: 'NAMESPACE', cell: (p) => p.namespace },
      { title: 'NAME', cell: (p) => p.name },
      { title: 'RULES', cell: (p) => p.rules.length },
      { title: 'TIME', cell: timeCell, wide: true },
      { title: 'REVISION', cell: (p) => p.revision },
      { title: 'AGE', cell: (p) => age(p.updated_at), passing: true },
    ]),
  },
  rules: {
    service: 'policy',
    path: '/v1/rules',
    kinds: ['policy'],
    keyOf: ({ id }) => String(id),
    one: (id) => `/v1/rules/${encodeURIComponent(id)}`,
    columns: columns<Rule>([
      { title: 'ID', cell: (r) => r.id },
      { title: 'POLICY', cell: (r) => r.policy_key },
      { title: 'RULE', cell: (r) => r.path },
      { title: 'DIRECTION', cell: (r) => r.direction },
      { title: 'ACTION', cell: (r) => r.action },
      { title: 'FILE', cell: (r) => r.file, wide: true },
      { title: 'LINE', cell: (r) => r.line },
      { title: 'DESCRIPTION', cell: (r) => r.description, wide: true },
      { title: 'IN-FORCE', cell: (r) => (r.current ? 'yes' : 'no'), wide: true },
    ]),
  },
  namespaces: {
    service: 'inventory',
    path: '/v1/namespaces',
    kinds: ['namespace'],
    keyOf: ({ name }) => name ?? '',
    one: (id) => `/v1/namespaces/${encodeURIComponent(id)}`,
    columns: columns<Namespace>([
      { title: 'NAME', cell: (n) => n.name },
      { title: 'LABELS', cell: (n) => pairs(n.labels) },
      { title: 'AGE', cell: (n) => age(n.created_at), passing: true },
    ]),
  },
  ...NETWORK_RESOURCES,
  ...HOST_FIREWALL_RESOURCES,
};
