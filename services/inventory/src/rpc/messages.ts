// SPDX-License-Identifier: Apache-2.0
/** What REST shows as messages of weir.inventory.v1: null becomes the empty value, dates become timestamps. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import {
  type HostSchema as HostMessage,
  HostState,
  type NamespaceSchema as NamespaceMessage,
  type WorkloadSchema as WorkloadMessage,
} from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { hostView, namespaceView, workloadView } from '../routes/views.ts';
import type { HostWithStatus } from '../store/hosts.ts';
import type { NamespaceRow } from '../store/namespaces.ts';
import type { WorkloadWithStatus } from '../store/workloads.ts';

const STATES = {
  'never-seen': HostState.NEVER_SEEN,
  alive: HostState.ALIVE,
  stale: HostState.STALE,
} as const;

const time = (text: string) => timestampFromDate(new Date(text));

export const hostMessage = (row: HostWithStatus): MessageInitShape<typeof HostMessage> => {
  const host = hostView(row);
  return {
    id: host.id,
    labels: host.labels,
    underlayIp4: host.underlay_ip4 ?? '',
    underlayIp6: host.underlay_ip6 ?? '',
    pools: host.pools,
    wireguardKey: host.wireguard_key ?? '',
    createdAt: time(host.created_at),
    revision: BigInt(host.revision),
    state: STATES[host.state],
    ...(host.last_seen_at === null
      ? {}
      : {
          status: {
            lastSeenAt: time(host.last_seen_at),
            boot: BigInt(host.boot ?? 0),
            version: host.version ?? '',
            kernel: host.kernel ?? '',
            realised: Object.fromEntries(Object.entries(host.realised).map(([publisher, r]) => [publisher, BigInt(r)])),
            workloadsReady: host.workloads_ready,
            workloadsTotal: host.workloads_total,
            flows: {
              produced: BigInt(host.flows.produced),
              lostThrottle: BigInt(host.flows.lost_throttle),
              lostRing: BigInt(host.flows.lost_ring),
              lostSpool: BigInt(host.flows.lost_spool),
              published: BigInt(host.flows.published),
              committedSeq: BigInt(host.flows.committed_seq),
            },
            features: host.features,
            egressLimiter: host.egress_limiter?.kind ?? '',
            egressLimiterReason: host.egress_limiter?.reason ?? '',
            counters: Object.fromEntries(Object.entries(host.counters).map(([name, n]) => [name, BigInt(n)])),
          },
        }),
  };
};

export const namespaceMessage = (row: NamespaceRow): MessageInitShape<typeof NamespaceMessage> => {
  const namespace = namespaceView(row);
  return {
    name: namespace.name,
    labels: namespace.labels,
    createdAt: time(namespace.created_at),
    revision: BigInt(namespace.revision),
  };
};

export const workloadMessage = (row: WorkloadWithStatus): MessageInitShape<typeof WorkloadMessage> => {
  const workload = workloadView(row);
  return {
    id: workload.id,
    name: workload.name,
    namespace: workload.namespace,
    host: workload.host,
    labels: workload.labels,
    identity: workload.identity,
    ip4: workload.ip4 ?? '',
    ip6: workload.ip6 ?? '',
    pool: workload.pool,
    egressBandwidth: workload.egress_bandwidth ?? '',
    ingressBandwidth: workload.ingress_bandwidth ?? '',
    sourceCheck: workload.source_check,
    netns: workload.netns ?? '',
    cgroup: workload.cgroup ?? '',
    hostNetwork: workload.host_network,
    ports: workload.ports,
    state: workload.state,
    stateMessage: workload.state_message ?? '',
    localId: workload.local_id ?? 0,
    policyEnabled: workload.policy_enabled ?? '',
    policyEntries: workload.policy_entries ?? 0,
    createdAt: time(workload.created_at),
    revision: BigInt(workload.revision),
  };
};
