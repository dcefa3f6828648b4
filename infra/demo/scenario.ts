// SPDX-License-Identifier: Apache-2.0
/** The shop of the demo: who runs where, who talks to whom, and what the policy of policy.yaml makes of it. */

import type { ProbeRequest } from '../src/traffic.ts';
import type { WorkloadSpec } from '../src/workloads.ts';

export const HOSTS = ['h1', 'h2', 'h3'] as const;

const shop = (name: string, host: string, listen: Pick<WorkloadSpec, 'tcp' | 'udp'> = {}): WorkloadSpec => ({
  name,
  host,
  namespace: 'shop',
  labels: { app: name },
  ...listen,
});

/** web and api share a host, so that both ways of delivery (same host, across hosts) are used. */
export const WORKLOADS: readonly WorkloadSpec[] = [
  shop('web', 'h1', { tcp: [80] }),
  shop('api', 'h1', { tcp: [8080], udp: [8080] }),
  shop('db', 'h2', { tcp: [5432] }),
  shop('client', 'h3'),
];

export interface Conversation {
  readonly from: string;
  readonly to: string;
  readonly protocol: ProbeRequest['protocol'];
  readonly port?: number;
  readonly family: 4 | 6;
  /** What must come out once policy.yaml is applied; before, everything answers. */
  readonly allowedAfter: boolean;
}

const both = (c: Omit<Conversation, 'family'>): Conversation[] => [
  { ...c, family: 4 },
  { ...c, family: 6 },
];

export const CONVERSATIONS: readonly Conversation[] = [
  ...both({ from: 'client', to: 'web', protocol: 'tcp', port: 80, allowedAfter: true }),
  ...both({ from: 'web', to: 'api', protocol: 'tcp', port: 8080, allowedAfter: true }),
  ...both({ from: 'api', to: 'db', protocol: 'tcp', port: 5432, allowedAfter: true }),
  ...both({ from: 'client', to: 'api', protocol: 'tcp', port: 8080, allowedAfter: false }),
  ...both({ from: 'client', to: 'db', protocol: 'tcp', port: 5432, allowedAfter: false }),
  ...both({ from: 'web', to: 'db', protocol: 'tcp', port: 5432, allowedAfter: false }),
  { from: 'web', to: 'api', protocol: 'udp', port: 8080, family: 4, allowedAfter: false },
  ...both({ from: 'client', to: 'web', protocol: 'icmp', allowedAfter: false }),
];

export const describe = (c: Conversation): string =>
  `${c.from.padEnd(6)} -> ${c.to.padEnd(4)} ${`${c.protocol}${c.port ? `/${c.port}` : ''}`.padEnd(9)} IPv${c.family}`;
