// SPDX-License-Identifier: Apache-2.0
/** Rows as the configuration documents that agents read (weir.bus.v1). Pure. */
import type { OutboxDocument } from '@weir/bus/publishing';
import { protocolNumber } from '@weir/net';
import { NetworkSchema } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { HostRow } from '../store/hosts.ts';
import type { Allocated } from '../store/identities.ts';
import type { WorkloadRow } from '../store/workloads.ts';
import type { NetworkSpec } from './network.ts';
import { keptAddress } from './pools.ts';
import { messageOf } from './wire.ts';

/** `pools`: the blocks that it holds. */
export const hostDocument = (row: HostRow, pools: readonly string[]): OutboxDocument => ({
  kind: 'host',
  key: row.id,
  body: {
    case: 'host',
    value: {
      id: row.id,
      name: row.id,
      underlayIp4: row.underlay_ip4 ?? '',
      underlayIp6: row.underlay_ip6 ?? '',
      pools: [...pools],
      labels: { ...row.labels },
      wireguardKey: row.wireguard_key,
      healthIp4: keptAddress(pools, 4),
      healthIp6: keptAddress(pools, 6),
    },
  },
});

export const workloadDocument = (row: Omit<WorkloadRow, 'revision' | 'created_at'>): OutboxDocument => ({
  kind: 'workload',
  key: row.id,
  body: {
    case: 'workload',
    value: {
      id: row.id,
      hostId: row.host_id,
      name: row.name,
      namespace: row.namespace,
      identity: row.identity,
      ip4: row.ip4 ?? '',
      ip6: row.ip6 ?? '',
      egressBitsPerSecond: row.egress_bandwidth,
      ingressBitsPerSecond: row.ingress_bandwidth,
      anySource: !row.source_check,
      netns: row.netns,
      cgroup: row.cgroup,
      hostNetwork: row.host_network,
      namedPorts: row.ports.map(({ name, port, protocol }) => ({ name, port, protocol: protocolNumber(protocol) })),
    },
  },
});

/** Only when the number is new: the fleet knows the others. Before the workload that uses it. */
export const identityDocuments = ({ identity, fresh }: Allocated, labels: readonly string[]): OutboxDocument[] =>
  fresh
    ? [
        {
          kind: 'identity',
          key: String(identity),
          body: { case: 'identity', value: { identity, labels: [...labels] } },
        },
      ]
    : [];

export const networkDocument = (spec: NetworkSpec): OutboxDocument => ({
  kind: 'network',
  key: 'fleet',
  body: { case: 'network', value: messageOf(NetworkSchema, spec) },
});
