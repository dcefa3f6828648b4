// SPDX-License-Identifier: Apache-2.0
/** Random documents from a small world: few labels, nested prefixes and neighbouring ports, so that rules collide. */
import fc from 'fast-check';

// biome-ignore lint/suspicious/noExplicitAny: documents as users write them
type Json = any;

export const NAMESPACES = ['x', 'y'];
export const NAMESPACE_LABELS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  x: { 'kubernetes.io/metadata.name': 'x', team: 'red' },
  y: { 'kubernetes.io/metadata.name': 'y' },
};

export const optional = <T>(arb: fc.Arbitrary<T>, key: string): fc.Arbitrary<Json> =>
  fc.option(arb, { nil: undefined }).map((value) => (value === undefined ? {} : { [key]: value }));
export const merge = (...parts: fc.Arbitrary<Json>[]): fc.Arbitrary<Json> =>
  fc.tuple(...parts).map((all) => Object.assign({}, ...all));

const keyValue = fc.constantFrom(['app', 'a'], ['app', 'b'], ['tier', 'f'], ['tier', 'g'] as const);
export const expression = (keys: readonly string[]) =>
  fc.oneof(
    fc.record({
      key: fc.constantFrom(...keys),
      operator: fc.constantFrom('In', 'NotIn'),
      values: fc.uniqueArray(fc.constantFrom('a', 'b', 'f', 'red'), { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ key: fc.constantFrom(...keys), operator: fc.constantFrom('Exists', 'DoesNotExist') }),
  );
export const selector = (keys: readonly string[] = ['app', 'tier']) =>
  merge(
    optional(
      fc.array(keyValue, { maxLength: 1 }).map((pairs) => Object.fromEntries(pairs)),
      'matchLabels',
    ),
    optional(fc.array(expression(keys), { maxLength: 1 }), 'matchExpressions'),
  );

const CIDRS = [
  '0.0.0.0/0',
  '10.0.0.0/8',
  '10.0.0.0/9',
  '10.1.0.0/16',
  '10.1.1.0/24',
  '10.1.1.1/32',
  '192.0.2.0/24',
].concat(['::/0', '2001:db8::/32', '2001:db8:1::/48', '::/64']);
/** Inside each, for exceptions; never the prefix itself. */
const INSIDE: Readonly<Record<string, readonly string[]>> = {
  '0.0.0.0/0': ['10.0.0.0/8', '10.1.1.0/24', '192.0.2.0/24', '128.0.0.0/1'],
  '10.0.0.0/8': ['10.1.0.0/16', '10.0.0.0/9', '10.1.1.1/32'],
  '10.1.0.0/16': ['10.1.1.0/24', '10.1.1.1/32'],
  '::/0': ['2001:db8::/32', '::/64'],
  '2001:db8::/32': ['2001:db8:1::/48'],
};
export const cidr = fc.constantFrom(...CIDRS);
const cidrSet = cidr.chain((text) =>
  fc.subarray([...(INSIDE[text] ?? [])]).map((except) => (except.length > 0 ? { cidr: text, except } : { cidr: text })),
);

/** Groups are called as documents are, by their place; some of the names are no group's. */
const groupOrSet = fc.oneof(
  { weight: 4, arbitrary: cidrSet },
  { weight: 1, arbitrary: fc.constantFrom('p0', 'p1', 'p2').map((cidrGroupRef) => ({ cidrGroupRef })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({}, { matchLabels: { app: 'a' } }).map((cidrGroupSelector) => ({ cidrGroupSelector })),
  },
);

const PORTS = [0, 1, 79, 80, 81, 127, 128, 8000, 8080, 65535];
export const range = fc
  .tuple(fc.constantFrom(...PORTS), fc.constantFrom(...PORTS))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);

const ciliumPort = fc
  .tuple(
    fc.oneof(range, fc.constantFrom('http', 'dns')),
    fc.constantFrom(undefined, 'TCP', 'UDP', 'SCTP', 'ANY'),
    fc.boolean(),
  )
  .map(([port, protocol, single]) => {
    const proto = protocol === undefined ? {} : { protocol };
    if (typeof port === 'string') return { port, ...proto };
    const [first, last] = port;
    return single || last === first
      ? { port: String(first), ...proto }
      : { port: String(first), endPort: last, ...proto };
  });
const icmp = fc.constantFrom({ type: 8 }, { family: 'IPv6', type: 128 }, { family: 'IPv4', type: 3 });
const ciliumL4 = fc.oneof(
  { weight: 2, arbitrary: fc.constant({}) },
  {
    weight: 4,
    arbitrary: fc
      .array(fc.record({ ports: fc.array(ciliumPort, { minLength: 1, maxLength: 2 }) }), { minLength: 1, maxLength: 2 })
      .map((toPorts) => ({ toPorts })),
  },
  { weight: 1, arbitrary: fc.array(icmp, { minLength: 1, maxLength: 2 }).map((fields) => ({ icmps: [{ fields }] })) },
);

const ENTITIES = [
  'all',
  'world',
  'world-ipv4',
  'world-ipv6',
  'cluster',
  'host',
  'remote-node',
  'kube-apiserver',
  'health',
  'none',
];
const endpoint = fc.oneof(
  {
    weight: 4,
    arbitrary: selector(['app', 'tier', 'io.cilium.k8s.namespace.labels.team', 'k8s:io.kubernetes.pod.namespace']),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('x', 'y').map((ns) => ({ matchLabels: { 'k8s:io.kubernetes.pod.namespace': ns } })),
  },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc
        .constantFrom('host', 'world', 'remote-node', 'world-ipv6')
        .map((name) => ({ matchLabels: { [`reserved:${name}`]: '' } })),
      fc
        .constantFrom('host', 'world')
        .map((name) => ({ matchExpressions: [{ key: `reserved:${name}`, operator: 'DoesNotExist' }] })),
    ),
  },
);
export const ciliumRule = (way: 'from' | 'to') =>
  merge(
    fc.oneof(
      fc.constant({}),
      fc.array(endpoint, { maxLength: 2 }).map((list) => ({ [`${way}Endpoints`]: list })),
      fc.array(fc.constantFrom(...ENTITIES), { maxLength: 2 }).map((list) => ({ [`${way}Entities`]: list })),
      fc.array(cidr, { maxLength: 2 }).map((list) => ({ [`${way}CIDR`]: list })),
      fc.array(groupOrSet, { maxLength: 2 }).map((list) => ({ [`${way}CIDRSet`]: list })),
    ),
    ciliumL4,
  );
const sections = merge(
  optional(fc.array(ciliumRule('from'), { minLength: 1, maxLength: 3 }), 'ingress'),
  optional(fc.array(ciliumRule('from'), { minLength: 1, maxLength: 2 }), 'ingressDeny'),
  optional(fc.array(ciliumRule('to'), { minLength: 1, maxLength: 3 }), 'egress'),
  optional(fc.array(ciliumRule('to'), { minLength: 1, maxLength: 2 }), 'egressDeny'),
).filter((spec) => Object.keys(spec).length > 0);

/** Of one namespace, of all, or of hosts. */
export const scope: fc.Arbitrary<{ namespace?: string; subject: 'endpointSelector' | 'nodeSelector' }> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.constantFrom('x', 'y').map((namespace) => ({ namespace, subject: 'endpointSelector' as const })),
  },
  { weight: 1, arbitrary: fc.constant({ subject: 'endpointSelector' as const }) },
  { weight: 1, arbitrary: fc.constant({ subject: 'nodeSelector' as const }) },
);

export const cilium = fc
  .tuple(
    scope,
    selector(),
    sections,
    optional(merge(optional(fc.boolean(), 'ingress'), optional(fc.boolean(), 'egress')), 'enableDefaultDeny'),
  )
  .map(([{ namespace, subject }, selected, rules, defaults]) => ({
    apiVersion: 'cilium.io/v2',
    kind: namespace === undefined ? 'CiliumClusterwideNetworkPolicy' : 'CiliumNetworkPolicy',
    metadata: { name: 'p', ...(namespace === undefined ? {} : { namespace }) },
    spec: { [subject]: selected, ...rules, ...defaults },
  }));

const kubernetesPeer = fc.oneof(
  selector().map((podSelector) => ({ podSelector })),
  selector(['team', 'kubernetes.io/metadata.name']).map((namespaceSelector) => ({
    namespaceSelector: { matchExpressions: namespaceSelector.matchExpressions ?? [] },
  })),
  fc
    .tuple(selector(), expression(['team']))
    .map(([podSelector, one]) => ({ podSelector, namespaceSelector: { matchExpressions: [one] } })),
  cidrSet.map((ipBlock) => ({ ipBlock })),
);
const kubernetesPort = fc
  .tuple(fc.oneof(range, fc.constantFrom('http', 'dns', undefined)), fc.constantFrom(undefined, 'TCP', 'UDP', 'SCTP'))
  .map(([port, protocol]) => {
    const proto = protocol === undefined ? {} : { protocol };
    if (port === undefined) return proto;
    if (typeof port === 'string') return { port, ...proto };
    const first = Math.max(1, port[0]);
    return port[1] > first ? { port: first, endPort: port[1], ...proto } : { port: first, ...proto };
  });
const kubernetesRule = (way: 'from' | 'to') =>
  merge(
    optional(fc.array(kubernetesPeer, { maxLength: 2 }), way),
    optional(fc.array(kubernetesPort, { maxLength: 2 }), 'ports'),
  );
export const kubernetes = fc
  .tuple(
    fc.constantFrom('x', 'y'),
    selector(),
    optional(fc.subarray(['Ingress', 'Egress']), 'policyTypes'),
    optional(fc.array(kubernetesRule('from'), { maxLength: 2 }), 'ingress'),
    optional(fc.array(kubernetesRule('to'), { maxLength: 2 }), 'egress'),
  )
  .map(([namespace, podSelector, types, ingress, egress]) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'p', namespace },
    spec: { podSelector, ...types, ...ingress, ...egress },
  }));

export const flow = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
      port: fc.oneof(fc.constantFrom(...PORTS, 82, 126, 8001, 53), fc.integer({ min: 0, max: 65535 })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { protocol: 'ICMP', port: 8 },
      { protocol: 'ICMP', port: 3 },
      { protocol: 'ICMPv6', port: 128 },
    ),
  },
);
