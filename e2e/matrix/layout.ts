// SPDX-License-Identifier: Apache-2.0
/** Six workloads over three hosts, two namespaces; every one listens on every port that is probed. */
import type { WorkloadSpec } from '@weir/infra/fleet';
import type { L4 } from './policies.ts';

export const HOSTS = ['h1', 'h2', 'h3'];

const workload = (namespace: string, name: string, host: string): WorkloadSpec => ({
  name,
  namespace,
  host,
  labels: { app: name },
  tcp: [80, 8080],
  udp: [53, 80],
});

export const WORKLOADS: readonly WorkloadSpec[] = [
  workload('prod', 'web', 'h1'),
  workload('prod', 'api', 'h1'),
  workload('prod', 'db', 'h2'),
  workload('prod', 'client', 'h3'),
  workload('ops', 'probe', 'h2'),
  workload('ops', 'logger', 'h3'),
];

const kinds: readonly Omit<L4, 'family'>[] = [
  { protocol: 'tcp', port: 80 },
  { protocol: 'tcp', port: 8080 },
  { protocol: 'udp', port: 53 },
  { protocol: 'udp', port: 80 },
  { protocol: 'icmp', port: 0 },
];

export const L4S: readonly L4[] = ([4, 6] as const).flatMap((family) => kinds.map((kind) => ({ ...kind, family })));
