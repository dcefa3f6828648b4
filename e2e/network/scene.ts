// SPDX-License-Identifier: Apache-2.0
/**
 * Three hosts, the third behind a router, and who talks: `web` and `shop` may reach `db`, `evil` and `thief` may not.
 * `evil` may not reach the world either. How the hosts are joined is set by PUT /v1/network, as an operator does it.
 */
import { callApi } from '@weir/infra/api';
import type { External, Fleet, Workload } from '@weir/infra/fleet';
import { setNetwork as setNetworkOf } from '../lib/routing.ts';

export const HOSTS = ['h1', 'h2', 'h3'] as const;
export const ROUTED = ['h3'] as const;
export const FAMILIES = ['ip4', 'ip6'] as const;
export type Family = (typeof FAMILIES)[number];

/** For an answer, however busy the machine. */
export const PATIENT_MS = 10_000;
/** Silence this long is a refusal. */
export const REFUSED_MS = 600;
export const TCP = 80;
export const UDP = 53;

const POLICIES = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: db, namespace: default }
spec:
  podSelector: { matchLabels: { app: db } }
  ingress: [ { from: [ { podSelector: { matchLabels: { app: web } } } ] } ]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: evil, namespace: default }
spec:
  podSelector: { matchLabels: { app: evil } }
  policyTypes: [ Egress ]
  egress: [ { to: [ { podSelector: {} } ] } ]
`;

export interface Scene {
  readonly fleet: Fleet;
  readonly outside: External;
  /** h1 */
  readonly web: Workload;
  readonly evil: Workload;
  /** h2 */
  readonly db: Workload;
  /** h3, of the apps web and evil */
  readonly shop: Workload;
  readonly thief: Workload;
}

const listening = { tcp: [TCP], udp: [UDP] };

export const peopleOn = (fleet: Fleet): Promise<Workload[]> =>
  fleet.addWorkloads([
    { name: 'web', host: 'h1', labels: { app: 'web' }, ...listening },
    { name: 'evil', host: 'h1', labels: { app: 'evil' }, ...listening },
    { name: 'db', host: 'h2', labels: { app: 'db' }, ...listening },
    { name: 'shop', host: 'h3', labels: { app: 'web' }, ...listening },
    { name: 'thief', host: 'h3', labels: { app: 'evil' }, ...listening },
  ]);

export const makeScene = async (fleet: Fleet): Promise<Scene> => {
  const outside = await fleet.addExternal({
    name: 'outside',
    ip4: '198.51.100.7',
    ip6: '2001:db8:51::7',
    ...listening,
  });
  const { revision } = await callApi<{ revision: number }>(`${fleet.control.urls.policy}/v1/policies`, {
    raw: { type: 'application/yaml', text: POLICIES },
  });
  const [web, evil, db, shop, thief] = (await peopleOn(fleet)) as [Workload, Workload, Workload, Workload, Workload];
  await fleet.waitRealised(revision, 60_000);
  return { fleet, outside, web, evil, db, shop, thief };
};

/** Probes between hosts every second or so, in all of them: then the mesh is quick enough for a test. */
const HEALTH = { base_interval_s: 1 };

/** Resolves when every host has taken it; hosts that are reached another way than before change over for 6 s more. */
export const setNetwork = ({ fleet }: Pick<Scene, 'fleet'>, spec: object): Promise<void> =>
  setNetworkOf(fleet, { health: HEALTH, ...spec });
