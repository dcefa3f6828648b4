// SPDX-License-Identifier: Apache-2.0
/** Tables of schema `inventory` as kysely sees them; migrations/ is their definition, schema.sql the whole. */
import type { Generated, JSONColumnType } from 'kysely';
import type { Labels } from '../domain/labels.ts';
import type { LbPoolSpec } from '../domain/lb-pools.ts';
import type { ServiceSpec } from '../domain/services.ts';
import type { BgpPeerRow } from './bgp.ts';
import type { CountRow } from './service-counts.ts';

export interface PortRow {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

/** One path as the host that probes it told it. */
export interface ProbeRow {
  readonly host: string;
  readonly address: string;
  readonly kind: string;
  readonly target: string;
  readonly latency_us: number;
  readonly error: string;
  readonly probed_ms: number;
  readonly failures: number;
}

export interface EventCountsRow {
  readonly produced: string;
  readonly lost_throttle: string;
  readonly lost_ring: string;
  readonly lost_spool: string;
  readonly published: string;
  readonly committed_seq: string;
}

export type FleetObjectKind = 'network' | 'egressGateway' | 'prefilter' | 'l2Announcement' | 'bgpInstance';

export interface Tables {
  hosts: {
    id: string;
    labels: JSONColumnType<Labels>;
    underlay_ip4: string | null;
    underlay_ip6: string | null;
    revision: bigint;
    created_at: Generated<Date>;
    wireguard_key: Generated<string>;
  };
  fleet_objects: {
    kind: FleetObjectKind;
    name: string;
    spec: JSONColumnType<object>;
    revision: bigint;
    created_at: Generated<Date>;
  };
  host_status: {
    host_id: string;
    last_seen_at: Date;
    boot: bigint;
    version: string;
    kernel: string;
    realised: JSONColumnType<Record<string, string>>;
    workloads_ready: number;
    workloads_total: number;
    flows: JSONColumnType<Partial<EventCountsRow>>;
    counters: JSONColumnType<Record<string, string>>;
    features: string[];
    stale: Generated<boolean>;
    egress_limiter: Generated<string>;
    egress_limiter_reason: Generated<string>;
  };
  identities: { identity: number; labels: string[]; labels_hash: Buffer; created_at: Generated<Date> };
  namespaces: { name: string; labels: JSONColumnType<Labels>; revision: bigint; created_at: Generated<Date> };
  workloads: {
    id: string;
    namespace: string;
    name: string;
    host_id: string;
    labels: JSONColumnType<Labels>;
    identity: number;
    ip4: string | null;
    ip6: string | null;
    netns: string;
    cgroup: Generated<string>;
    pool: Generated<string>;
    /** Bits per second; 0: no limit. */
    egress_bandwidth: Generated<bigint>;
    ingress_bandwidth: Generated<bigint>;
    source_check: Generated<boolean>;
    host_network: Generated<boolean>;
    ports: JSONColumnType<readonly PortRow[]>;
    revision: bigint;
    created_at: Generated<Date>;
  };
  workload_status: {
    workload_id: string;
    state: string;
    message: string;
    local_id: number;
    policy_enabled: string;
    policy_entries: number;
    identity: number | null;
    seen_at: Generated<Date>;
  };
  pools: {
    name: string;
    block_bits4: number;
    block_bits6: number;
    revision: Generated<bigint>;
    created_at: Generated<Date>;
  };
  pool_cidrs: { cidr: string; pool: string };
  blocks: {
    cidr: string;
    pool: string;
    base: string | null;
    index: bigint;
    host_id: string | null;
    used: Generated<number>;
    next: Generated<bigint>;
    changed_at: Generated<Date>;
  };
  reservations: { address: string; workload: string; revision: Generated<bigint>; created_at: Generated<Date> };
  health_reports: {
    host_id: string;
    reported_at: Date;
    boot: bigint;
    interval_s: number;
    hosts: number;
    unreachable_hosts: number;
    endpoints: number;
    unreachable_endpoints: number;
    probes_total: number;
    unreachable_probes: number;
    probes: JSONColumnType<readonly ProbeRow[]>;
  };
  services: {
    id: string;
    namespace: string;
    name: string;
    number: Generated<bigint>;
    labels: JSONColumnType<Labels>;
    spec: JSONColumnType<ServiceSpec>;
    selects: string[] | null;
    revision: bigint;
    created_at: Generated<Date>;
  };
  service_frontends: {
    number: Generated<bigint>;
    service_id: string;
    position: number;
    type: string;
    address: string | null;
    port: number;
    protocol: string;
    scope: string;
    port_name: string;
    pool: string | null;
  };
  backend_numbers: { number: Generated<bigint>; address: string; port: number; protocol: string };
  service_backends: {
    service_id: string;
    number: bigint;
    port_name: string;
    weight: number;
    state: string;
    reason: string;
    workload_id: string | null;
    host_id: string | null;
    zone: string;
    since: Date;
    /** Null: its service has no health check; empty: nobody can ask it. */
    prober: string | null;
    verdict: string;
    verdict_reason: string;
    verdict_boot: bigint;
    verdict_sequence: bigint;
    by_check: boolean;
    share: number;
    slow_since: Date | null;
  };
  lb_pools: {
    name: string;
    spec: JSONColumnType<LbPoolSpec>;
    revision: Generated<bigint>;
    created_at: Generated<Date>;
  };
  service_counts: {
    host_id: string;
    reported_at: Date;
    left_out: number;
    counts: JSONColumnType<readonly CountRow[]>;
  };
  host_firewalls: {
    host_id: string;
    state: string;
    confirmed_by: string;
    documents: string[];
    last_good: string[];
    until: Date | null;
    why: string;
    changed_at: Generated<Date>;
  };
  host_firewall_events: {
    host_id: string;
    sequence: bigint;
    time_ms: bigint;
    act: string;
    by: string;
    why: string;
    documents: string[];
  };
  bgp_states: { host_id: string; reported_at: Date; peers: JSONColumnType<readonly BgpPeerRow[]> };
  lb_blocks: { pool: string; start: string; stop: string };
  released_addresses: {
    address: string;
    released_at: Generated<Date>;
    identity: number | null;
    revision: bigint | null;
  };
}
