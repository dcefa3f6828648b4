// SPDX-License-Identifier: Apache-2.0
/** Random documents of the tiers, of all kinds together, and in all modes. */
import fc from 'fast-check';
import {
  cidr,
  cilium,
  ciliumRule,
  expression,
  kubernetes,
  merge,
  optional,
  range,
  scope,
  selector,
} from './arbitrary.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents as users write them
type Json = any;

const namespaces = selector(['team', 'kubernetes.io/metadata.name']).map(({ matchExpressions = [] }) => ({
  matchExpressions,
}));
const pods = fc
  .tuple(selector(), fc.option(expression(['team']), { nil: undefined }))
  .map(([podSelector, one]) => ({ podSelector, namespaceSelector: one ? { matchExpressions: [one] } : {} }));
const some = fc.oneof(
  namespaces.map((found) => ({ namespaces: found })),
  pods.map((found) => ({ pods: found })),
);
const networks = fc.uniqueArray(cidr, { minLength: 1, maxLength: 2 }).map((list) => ({ networks: list }));

const port = fc.oneof(
  range.map(([first]) => ({ number: Math.max(1, first) })),
  range.map(([start, end]) => ({ range: { start: Math.max(1, start), end: Math.max(1, end) } })),
);
const protocol = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom('tcp', 'udp', 'sctp'), optional(port, 'destinationPort'))
      .map(([name, found]) => ({ [name]: found })),
  },
  { weight: 1, arbitrary: fc.constantFrom('http', 'dns').map((name) => ({ destinationNamedPort: name })) },
);
const clusterRule = (way: 'from' | 'to') =>
  merge(
    fc.constantFrom('Accept', 'Deny', 'Pass').map((action) => ({ action })),
    fc.array(way === 'to' ? fc.oneof(some, networks) : some, { minLength: 1, maxLength: 2 }).map((list) => ({
      [way]: list,
    })),
    optional(fc.array(protocol, { maxLength: 2 }), 'protocols'),
  );
const priority = fc.constantFrom(0, 10, 10, 20, 1000);
const tier = fc.constantFrom('Admin', 'Baseline');

const clusterPolicy: fc.Arbitrary<Json> = fc
  .tuple(
    tier,
    priority,
    some,
    optional(fc.array(clusterRule('from'), { maxLength: 3 }), 'ingress'),
    optional(fc.array(clusterRule('to'), { maxLength: 3 }), 'egress'),
  )
  .map(([inTier, first, subject, ingress, egress]) => ({
    apiVersion: 'policy.networking.k8s.io/v1alpha2',
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'p' },
    spec: { tier: inTier, priority: first, subject, ...ingress, ...egress },
  }));

const firewallRule = (way: 'from' | 'to', actions: readonly string[]) =>
  merge(
    fc.constantFrom(...actions).map((action) => ({ action })),
    ciliumRule(way),
  );
const firewall: fc.Arbitrary<Json> = fc.constantFrom(undefined, 'Normal', 'Admin', 'Baseline').chain((inTier) => {
  const ordered = inTier === 'Admin' || inTier === 'Baseline';
  const actions = ordered ? ['Allow', 'Deny', 'Pass'] : ['Allow', 'Deny'];
  return fc
    .tuple(
      scope,
      selector(),
      merge(
        optional(fc.array(firewallRule('from', actions), { minLength: 1, maxLength: 3 }), 'ingress'),
        optional(fc.array(firewallRule('to', actions), { minLength: 1, maxLength: 3 }), 'egress'),
      ).filter((rules) => Object.keys(rules).length > 0),
      ordered
        ? optional(priority, 'priority')
        : optional(merge(optional(fc.boolean(), 'ingress'), optional(fc.boolean(), 'egress')), 'enableDefaultDeny'),
    )
    .map(([{ namespace, subject }, selected, rules, more]) => ({
      apiVersion: 'weir.io/v1',
      kind: 'FirewallPolicy',
      metadata: { name: 'p', ...(namespace === undefined ? {} : { namespace }) },
      spec: { ...(inTier ? { tier: inTier } : {}), [subject]: selected, ...rules, ...more },
    }));
});

const cidrGroup: fc.Arbitrary<Json> = fc
  .tuple(fc.array(cidr, { maxLength: 3 }), fc.constantFrom({}, { app: 'a' }))
  .map(([externalCIDRs, labels]) => ({
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumCIDRGroup',
    metadata: { name: 'p', labels },
    spec: { externalCIDRs },
  }));

const mode = fc.oneof(
  { weight: 9, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.constantFrom('enforce', 'audit', 'audit', 'staged', 'off') },
);
const withMode = (doc: Json, as: string | undefined): Json => {
  if (as === undefined || doc.kind === 'CiliumCIDRGroup') return doc;
  if (doc.kind === 'FirewallPolicy') return { ...doc, spec: { ...doc.spec, mode: as } };
  return { ...doc, metadata: { ...doc.metadata, annotations: { 'weir.io/mode': as } } };
};

export const policies: fc.Arbitrary<Json[]> = fc
  .array(
    fc.tuple(
      fc.oneof(
        { weight: 3, arbitrary: cilium },
        { weight: 2, arbitrary: kubernetes },
        { weight: 2, arbitrary: clusterPolicy },
        { weight: 2, arbitrary: firewall },
        { weight: 1, arbitrary: cidrGroup },
      ),
      mode,
    ),
    { minLength: 1, maxLength: 5 },
  )
  .map((docs) => docs.map(([doc, as], at) => withMode({ ...doc, metadata: { ...doc.metadata, name: `p${at}` } }, as)));
