// SPDX-License-Identifier: Apache-2.0
/**
 * The matrix's policies, each beside what it means, written down by hand as predicates. The predicates share no
 * code with the policy engine: they are the test's own reading of the documents.
 */

/** What a predicate sees of a workload. */
export interface Party {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ip4: string;
}

export interface L4 {
  readonly protocol: 'tcp' | 'udp' | 'icmp';
  readonly port: number;
  readonly family: 4 | 6;
}

type Peer = (peer: Party, l4: L4) => boolean;

export interface Meaning {
  readonly selects: (workload: Party) => boolean;
  /** A list puts its direction under default deny, also when empty. */
  readonly ingress?: readonly Peer[];
  readonly egress?: readonly Peer[];
  readonly ingressDeny?: readonly Peer[];
  readonly egressDeny?: readonly Peer[];
  /** Deny-only policies may leave the rest as it is. */
  readonly noDefaultDeny?: boolean;
}

export interface MatrixPolicy {
  readonly key: string;
  readonly yaml: string;
  readonly meaning: Meaning;
}

const app = (name: string) => (party: Party) => party.labels.app === name;
const tcp = (port: number) => (l4: L4) => l4.protocol === 'tcp' && l4.port === port;
const l4only = (l4: L4) => l4.protocol !== 'icmp';

export const POLICIES: readonly MatrixPolicy[] = [
  {
    key: 'NetworkPolicy/prod/web-ingress',
    yaml: `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web-ingress, namespace: prod }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress:
    - from: [ { podSelector: { matchExpressions: [ { key: app, operator: In, values: [client, api] } ] } } ]
      ports: [ { port: 80 } ]
`,
    meaning: {
      selects: (w) => w.namespace === 'prod' && app('web')(w),
      ingress: [(p, l4) => p.namespace === 'prod' && (app('client')(p) || app('api')(p)) && tcp(80)(l4)],
    },
  },
  {
    key: 'NetworkPolicy/prod/api-from-namespaces',
    yaml: `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: api-from-namespaces, namespace: prod }
spec:
  podSelector: { matchLabels: { app: api } }
  policyTypes: [Ingress]
  ingress:
    - from:
        - namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: ops } }
        - podSelector: { matchLabels: { app: web } }
      ports:
        - { protocol: TCP, port: 8000, endPort: 8090 }
        - { protocol: UDP, port: 53 }
`,
    meaning: {
      selects: (w) => w.namespace === 'prod' && app('api')(w),
      ingress: [
        (p, l4) =>
          (p.namespace === 'ops' || (p.namespace === 'prod' && app('web')(p))) &&
          ((l4.protocol === 'tcp' && l4.port >= 8000 && l4.port <= 8090) || (l4.protocol === 'udp' && l4.port === 53)),
      ],
    },
  },
  {
    key: 'CiliumNetworkPolicy/prod/db',
    yaml: `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: db, namespace: prod }
spec:
  endpointSelector: { matchLabels: { app: db } }
  ingress:
    - fromEndpoints: [ { matchLabels: { app: api } } ]
    - fromEndpoints: [ { matchLabels: { "k8s:io.kubernetes.pod.namespace": ops, app: probe } } ]
      toPorts: [ { ports: [ { port: "80", protocol: ANY }, { port: "8080" } ] } ]
`,
    meaning: {
      selects: (w) => w.namespace === 'prod' && app('db')(w),
      ingress: [
        (p) => p.namespace === 'prod' && app('api')(p),
        (p, l4) => p.namespace === 'ops' && app('probe')(p) && l4only(l4) && (l4.port === 80 || l4.port === 8080),
      ],
    },
  },
  {
    key: 'CiliumNetworkPolicy/prod/deny-udp-to-db',
    yaml: `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: deny-udp-to-db, namespace: prod }
spec:
  description: the api may reach everything of the database but its UDP ports
  endpointSelector: { matchLabels: { app: db } }
  ingressDeny:
    - toPorts: [ { ports: [ { port: "0", protocol: UDP } ] } ]
`,
    meaning: {
      selects: (w) => w.namespace === 'prod' && app('db')(w),
      ingressDeny: [(_, l4) => l4.protocol === 'udp'],
    },
  },
  {
    key: 'NetworkPolicy/prod/client-egress',
    yaml: `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: client-egress, namespace: prod }
spec:
  podSelector: { matchLabels: { app: client } }
  policyTypes: [Egress]
  egress:
    - to: [ { podSelector: { matchLabels: { app: web } } } ]
    - to: [ { namespaceSelector: {} } ]
      ports: [ { protocol: UDP, port: 53 } ]
`,
    meaning: {
      selects: (w) => w.namespace === 'prod' && app('client')(w),
      egress: [(p) => p.namespace === 'prod' && app('web')(p), (_, l4) => l4.protocol === 'udp' && l4.port === 53],
    },
  },
  {
    key: 'CiliumClusterwideNetworkPolicy/-/no-8080-to-ops',
    yaml: `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: no-8080-to-ops }
spec:
  endpointSelector: { matchLabels: { "k8s:io.kubernetes.pod.namespace": ops } }
  enableDefaultDeny: { ingress: false }
  ingressDeny:
    - fromEntities: [ all ]
      toPorts: [ { ports: [ { port: "8080", protocol: TCP } ] } ]
`,
    meaning: {
      selects: (w) => w.namespace === 'ops',
      noDefaultDeny: true,
      ingressDeny: [(_, l4) => tcp(8080)(l4)],
    },
  },
  {
    key: 'NetworkPolicy/ops/logger-deny-all',
    yaml: `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: logger-deny-all, namespace: ops }
spec:
  podSelector: { matchLabels: { app: logger } }
  policyTypes: [Ingress, Egress]
`,
    meaning: { selects: (w) => w.namespace === 'ops' && app('logger')(w), ingress: [], egress: [] },
  },
  {
    key: 'CiliumNetworkPolicy/ops/logger-icmp',
    yaml: `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: logger-icmp, namespace: ops }
spec:
  endpointSelector: { matchLabels: { app: logger } }
  ingress:
    - fromEntities: [ cluster ]
      icmps: [ { fields: [ { type: 8 }, { family: IPv6, type: EchoRequest } ] } ]
`,
    meaning: {
      selects: (w) => w.namespace === 'ops' && app('logger')(w),
      ingress: [(_, l4) => l4.protocol === 'icmp'],
    },
  },
  {
    key: 'CiliumNetworkPolicy/ops/probe-egress-cidr',
    yaml: `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: probe-egress-cidr, namespace: ops }
spec:
  endpointSelector: { matchLabels: { app: probe } }
  egress:
    - toCIDRSet: [ { cidr: 10.0.0.0/8, except: [ 10.1.0.0/16 ] } ]
    - toEndpoints: [ { matchLabels: { "k8s:io.kubernetes.pod.namespace": prod } } ]
      toPorts: [ { ports: [ { port: "8080", protocol: TCP } ] } ]
`,
    // A CIDR rule of a Cilium document never selects managed workloads: their identity wins (POL-08).
    meaning: {
      selects: (w) => w.namespace === 'ops' && app('probe')(w),
      egress: [(p, l4) => p.namespace === 'prod' && tcp(8080)(l4)],
    },
  },
  {
    key: 'NetworkPolicy/prod/web-egress-ipblock',
    yaml: `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: web-egress-ipblock, namespace: prod }
spec:
  podSelector: { matchLabels: { app: web } }
  policyTypes: [Egress]
  egress:
    - to: [ { ipBlock: { cidr: 10.77.0.0/16, except: [ DB_ADDRESS/32 ] } } ]
`,
    // ipBlock of a Kubernetes policy does match workload addresses, here IPv4 ones only.
    meaning: {
      selects: (w) => w.namespace === 'prod' && app('web')(w),
      egress: [(p, l4) => l4.family === 4 && !(p.namespace === 'prod' && app('db')(p))],
    },
  },
  {
    key: 'CiliumNetworkPolicy/prod/api-no-clients',
    yaml: `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: api-no-clients, namespace: prod }
specs:
  - endpointSelector: { matchLabels: { app: api } }
    egressDeny:
      - toEndpoints: [ { matchExpressions: [ { key: app, operator: In, values: [client] } ] } ]
    enableDefaultDeny: { egress: false }
  - endpointSelector: { matchLabels: { app: api } }
    ingress:
      - fromEndpoints: [ {} ]
        icmps: [ { fields: [ { family: IPv4, type: EchoRequest } ] } ]
`,
    meaning: {
      selects: (w) => w.namespace === 'prod' && app('api')(w),
      noDefaultDeny: true,
      egressDeny: [(p) => p.namespace === 'prod' && app('client')(p)],
      ingress: [(p, l4) => p.namespace === 'prod' && l4.protocol === 'icmp' && l4.family === 4],
    },
  },
];
