// SPDX-License-Identifier: Apache-2.0
/** What the REST API shows: schemas with names, and rows made into them. */
import { named, nullable } from '@weir/http';
import { type Static, Type } from 'typebox';
import { formatBandwidth } from '../domain/bandwidth.ts';
import { hostState } from '../domain/liveness.ts';
import type { HostWithStatus } from '../store/hosts.ts';
import type { NamespaceRow } from '../store/namespaces.ts';
import type { WorkloadWithStatus } from '../store/workloads.ts';

export const LabelsSchema = Type.Record(Type.String(), Type.String(), { description: 'Kubernetes label syntax' });

export const PortSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$', description: 'IANA service name style' }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    protocol: Type.Union([Type.Literal('TCP'), Type.Literal('UDP'), Type.Literal('SCTP')]),
  },
  { additionalProperties: false },
);

const Count = Type.Integer({ minimum: 0 });

export const HostSchema = named(
  'Host',
  Type.Object({
    id: Type.String(),
    name: Type.String(),
    labels: LabelsSchema,
    underlay_ip4: nullable(Type.String()),
    underlay_ip6: nullable(Type.String()),
    pools: Type.Array(Type.String({ description: 'CIDR of which its workloads get addresses' })),
    state: Type.Union([Type.Literal('never-seen'), Type.Literal('alive'), Type.Literal('stale')]),
    created_at: Type.String({ format: 'date-time' }),
    last_seen_at: nullable(Type.String({ format: 'date-time' })),
    boot: nullable(Type.Integer({ description: 'Start of its agent, Unix milliseconds' })),
    version: nullable(Type.String()),
    kernel: nullable(Type.String()),
    features: Type.Array(Type.String()),
    egress_limiter: nullable(
      Type.Object(
        { kind: Type.String({ description: 'edt or token-bucket' }), reason: Type.String() },
        { description: 'By what limits of what its workloads send hold, and why; null: none has one' },
      ),
    ),
    wireguard_key: nullable(Type.String({ description: 'Public key of its agent; null: it encrypts nothing' })),
    revision: Type.Integer(),
    realised: Type.Record(Type.String(), Type.Integer(), {
      description: 'Newest revision in its kernel, per publisher',
    }),
    workloads_ready: Count,
    workloads_total: Count,
    flows: Type.Object(
      {
        produced: Count,
        lost_throttle: Count,
        lost_ring: Count,
        lost_spool: Count,
        published: Count,
        committed_seq: Count,
      },
      { description: 'Since its agent started: produced = published + waiting + lost' },
    ),
    counters: Type.Record(Type.String(), Type.Integer(), {
      description:
        'What else its agent counts: refused map writes, repairs of what was taken away, evicted connections ...',
    }),
  }),
);

export const hostView = (row: HostWithStatus, now = Date.now()): Static<typeof HostSchema> => {
  const count = (value: string | undefined) => Number(value ?? 0);
  return {
    id: row.id,
    name: row.id,
    labels: { ...row.labels },
    underlay_ip4: row.underlay_ip4,
    underlay_ip6: row.underlay_ip6,
    pools: [...row.pools],
    state: hostState(row.last_seen_at, now),
    created_at: row.created_at.toISOString(),
    last_seen_at: row.last_seen_at?.toISOString() ?? null,
    boot: row.boot === null ? null : Number(row.boot),
    version: row.version,
    kernel: row.kernel,
    features: row.features ?? [],
    egress_limiter: row.egress_limiter ? { kind: row.egress_limiter, reason: row.egress_limiter_reason ?? '' } : null,
    wireguard_key: row.wireguard_key || null,
    revision: Number(row.revision),
    realised: Object.fromEntries(Object.entries(row.realised ?? {}).map(([publisher, r]) => [publisher, Number(r)])),
    workloads_ready: row.workloads_ready ?? 0,
    workloads_total: row.workloads_total ?? 0,
    flows: {
      produced: count(row.flows?.produced),
      lost_throttle: count(row.flows?.lost_throttle),
      lost_ring: count(row.flows?.lost_ring),
      lost_spool: count(row.flows?.lost_spool),
      published: count(row.flows?.published),
      committed_seq: count(row.flows?.committed_seq),
    },
    counters: Object.fromEntries(Object.entries(row.counters ?? {}).map(([name, n]) => [name, Number(n)])),
  };
};

export const WorkloadSchema = named(
  'Workload',
  Type.Object({
    id: Type.String({ description: 'namespace.name' }),
    name: Type.String(),
    namespace: Type.String(),
    host: Type.String(),
    labels: LabelsSchema,
    identity: Type.Integer({ description: 'Number of its set of security labels, the same in the whole fleet' }),
    ip4: nullable(Type.String()),
    ip6: nullable(Type.String()),
    pool: Type.String({ description: 'Of which its addresses are' }),
    egress_bandwidth: nullable(Type.String({ description: 'Bits per second that it may send, as a quantity' })),
    ingress_bandwidth: nullable(Type.String({ description: 'Bits per second that it may receive' })),
    source_check: Type.Boolean({ description: 'What it sends from an address that is not its own is dropped (132)' }),
    netns: nullable(Type.String()),
    cgroup: nullable(Type.String({ description: 'Below the cgroup2 mount of its host' })),
    host_network: Type.Boolean({ description: "It is its cgroup, and has the host's own addresses" }),
    ports: Type.Array(PortSchema),
    state: Type.String({ description: 'ready, waiting-for-identity, not-ready, waiting-to-regenerate ...' }),
    state_message: nullable(Type.String()),
    local_id: nullable(Type.Integer({ description: 'Number on its host, used in flows' })),
    policy_enabled: nullable(Type.String({ description: 'none, ingress, egress, both' })),
    policy_entries: nullable(Type.Integer()),
    created_at: Type.String({ format: 'date-time' }),
    revision: Type.Integer(),
  }),
);

/** Ready means ready as what it is now: what the host said of an earlier identity says nothing of this one. */
const workloadState = (row: WorkloadWithStatus): { state: string; state_message: string | null } => {
  // Until its host has spoken of it.
  if (row.state === null) return { state: 'waiting-to-regenerate', state_message: null };
  if (row.state === 'ready' && row.reported_identity !== null && row.reported_identity !== row.identity) {
    const state_message = `host ${row.host_id} still has it with identity ${row.reported_identity}`;
    return { state: 'waiting-to-regenerate', state_message };
  }
  return { state: row.state, state_message: row.message || null };
};

export const workloadView = (row: WorkloadWithStatus): Static<typeof WorkloadSchema> => ({
  id: row.id,
  name: row.name,
  namespace: row.namespace,
  host: row.host_id,
  labels: { ...row.labels },
  identity: row.identity,
  ip4: row.ip4,
  ip6: row.ip6,
  pool: row.pool,
  egress_bandwidth: formatBandwidth(row.egress_bandwidth),
  ingress_bandwidth: formatBandwidth(row.ingress_bandwidth),
  source_check: row.source_check,
  netns: row.netns || null,
  cgroup: row.cgroup || null,
  host_network: row.host_network,
  ports: row.ports.map((port) => ({ ...port }) as Static<typeof PortSchema>),
  ...workloadState(row),
  local_id: row.local_id,
  policy_enabled: row.policy_enabled,
  policy_entries: row.policy_entries,
  created_at: row.created_at.toISOString(),
  revision: Number(row.revision),
});

export const NamespaceSchema = named(
  'Namespace',
  Type.Object({
    name: Type.String(),
    labels: LabelsSchema,
    created_at: Type.String({ format: 'date-time' }),
    revision: Type.Integer(),
  }),
);

export const namespaceView = (row: NamespaceRow): Static<typeof NamespaceSchema> => ({
  name: row.name,
  labels: { ...row.labels },
  created_at: row.created_at.toISOString(),
  revision: Number(row.revision),
});

export const IdentitySchema = named(
  'Identity',
  Type.Object({
    identity: Type.Integer(),
    labels: Type.Array(Type.String()),
    workloads: Type.Integer({ description: 'How many have it' }),
  }),
);
