// SPDX-License-Identifier: Apache-2.0
/** Six workloads over the hosts, two namespaces; every one listens on every port that is probed. */
import type { WorkloadSpec } from '@weir/infra/fleet';
import type { L4 } from './policies.ts';

export const HOSTS = ['h1', 'h2', 'h3'];

const NAMES = [
  ['prod', 'web'],
  ['prod', 'api'],
  ['prod', 'db'],
  ['ops', 'probe'],
  ['prod', 'client'],
  ['ops', 'logger'],
] as const;

/** As many on each host, with neighbours and strangers for every one. */
export const workloadsOn = (hosts: readonly string[]): WorkloadSpec[] =>
  NAMES.map(([namespace, name], i) => ({
    name,
    namespace,
    host: hosts[Math.floor((i * hosts.length) / NAMES.length)] as string,
    labels: { app: name },
    tcp: [80, 8080],
    udp: [53, 80],
  }));

const kinds: readonly Omit<L4, 'family'>[] = [
  { protocol: 'tcp', port: 80 },
  { protocol: 'tcp', port: 8080 },
  { protocol: 'udp', port: 53 },
  { protocol: 'udp', port: 80 },
  { protocol: 'icmp', port: 0 },
];

export const L4S: readonly L4[] = ([4, 6] as const).flatMap((family) => kinds.map((kind) => ({ ...kind, family })));
