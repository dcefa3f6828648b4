// SPDX-License-Identifier: Apache-2.0
/** Tables of schema `inventory` as kysely sees them; migrations/ is their definition, schema.sql the whole. */
import type { Generated, JSONColumnType } from 'kysely';
import type { Labels } from '../domain/labels.ts';

export interface PortRow {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

export interface EventCountsRow {
  readonly produced: string;
  readonly lost_throttle: string;
  readonly lost_ring: string;
  readonly lost_spool: string;
  readonly published: string;
  readonly committed_seq: string;
}

export type FleetObjectKind = 'network' | 'egressGateway' | 'prefilter';

export interface Tables {
  hosts: {
    id: string;
    labels: JSONColumnType<Labels>;
    underlay_ip4: string | null;
    underlay_ip6: string | null;
    slot: number;
    pool4: string;
    pool6: string;
    next4: Generated<bigint>;
    next6: Generated<bigint>;
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
    ip4: string;
    ip6: string;
    netns: string;
    cgroup: Generated<string>;
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
  released_addresses: { address: string; released_at: Generated<Date> };
}
