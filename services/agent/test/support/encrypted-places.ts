// SPDX-License-Identifier: Apache-2.0
/** Who speaks on the hosts that encrypt, and what leads their packets. */
import { weir_identity } from '@weir/bpf';
import { egressGatewayEntry, identityEntry, knp, policyEntry } from './entries.ts';
import { inside, type JoinedHost } from './joined-hosts.ts';

const PROD = 'k8s:io.kubernetes.pod.namespace=prod';
export const IDENTITY = { web: 1001, db: 1002, evil: 1003 } as const;
const place = (app: keyof typeof IDENTITY, host: number, n: number) => ({
  id: `prod.${app}${host}`,
  ip4: `10.9${host}.0.${n}`,
  ip6: `fd9${host}::${n}`,
  identity: IDENTITY[app],
});
export const WEB = place('web', 1, 2);
export const DB = place('db', 2, 2);
export const EVIL = place('evil', 3, 2);
export const FAR_WEB = place('web', 3, 3);
/** Of h2, probed by the others. */
export const HEALTH = {
  ...{ id: 'prod.health2', ip4: '10.92.0.9', ip6: 'fd92::9' },
  identity: weir_identity.IDENTITY_HEALTH as number,
};
/** In the world, where `web` is to come from h2. */
export const SERVER = { ip4: '203.0.113.10', ip6: '2001:db8:200::10', port: 7000 } as const;
export const BY_H2 = egressGatewayEntry('out', {
  workloads: [{ matchLabels: { 'k8s:app': 'web' } }],
  destinationCidrs: ['0.0.0.0/0', '::/0'],
  gateways: [{ hosts: { matchExpressions: [{ key: 'name', operator: 'In', values: ['h2'] }] }, interface: 'uplink0' }],
});
/** Only the app `web` reaches the app `db`. */
export const ONLY_WEB = policyEntry(
  knp('db', 'db', {
    policyTypes: ['Ingress'],
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'web' } } }] }],
  }),
);
/** Documents of all identities, and the policy. */
export const rulesOfAll = () => [
  ...Object.entries(IDENTITY).map(([app, identity]) => identityEntry(identity, `k8s:app=${app}`, PROD)),
  ONLY_WEB,
];

/** What leads packets where, for whoever reads why a test failed. */
export const waysOf = (host: string): string[] =>
  [
    ['-s', 'link', 'show', 'weir_wg0'],
    ['rule'],
    ['route'],
    ['-6', 'route'],
    ['route', 'show', 'table', '51871'],
    ['neigh'],
  ].map((words) => {
    try {
      return inside(host, 'ip', ...words);
    } catch (error) {
      return String(error);
    }
  });

export const mtuOf = (id: string): number => Number(/mtu (\d+)/.exec(inside(id, 'ip', 'link', 'show', 'eth0'))?.[1]);
export const indexOf = (host: JoinedHost): string =>
  inside(host.name, 'ip', '-o', 'link', 'show', 'weir_wg0').split(':')[0] as string;
export const hasDevice = (host: JoinedHost): boolean => inside(host.name, 'ip', '-o', 'link').includes('weir_wg0');
