// SPDX-License-Identifier: Apache-2.0
/** Findings about documents as a set: each with the rule it is about, its line, and the rule that makes it so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  allocateCidrs,
  collectCidrs,
  createCompiler,
  groupsIn,
  judge,
  lintPolicies,
  type PolicyDocument,
  parseDocument,
  resolveGroups,
  type SetOptions,
} from '../src/index.ts';
import { policies } from '../testing/arbitrary-tiers.ts';
import { parseOk } from './fleet.ts';

const cnp = (name: string, spec: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: ${name}}\nspec:\n  endpointSelector: {matchLabels: {app: web}}\n  ${spec}\n`;
const acnp = (name: string, more: string): string =>
  `apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: ${name}}\nspec:\n  ${more.replaceAll('\n', '\n  ')}\n`;
const PEER = 'fromEndpoints: [{matchLabels: {app: a}}]';
const PORT = (from: number, to = from): string =>
  `toPorts: [{ports: [{port: "${from}", endPort: ${to}, protocol: TCP}]}]`;

const found = (texts: readonly string[], codes: readonly string[], options: SetOptions = {}): string[] =>
  lintPolicies(parseOk(texts.join('---\n')), options)
    .filter(({ code }) => codes.includes(code))
    .map(
      ({ code, policy, path, line, other }) => `${code} ${policy} ${path} line ${line}${other ? ` by ${other}` : ''}`,
    );
const COVER = ['shadowed-rule', 'duplicate-rule', 'redundant-rule'];

test('an allow under a deny of the same tier never decides', () => {
  const deny = cnp('a', `ingressDeny: [{${PEER}}]`);
  assert.deepEqual(found([deny, cnp('b', `ingress: [{${PEER}, ${PORT(80)}}]`)], COVER), [
    'shadowed-rule CiliumNetworkPolicy/default/b spec.ingress[0] line 13 by spec.ingressDeny[0] of CiliumNetworkPolicy/default/a',
  ]);
  assert.deepEqual(found([deny, cnp('b', 'ingress: [{fromEndpoints: [{}]}]')], COVER), [], 'a wider one still decides');
  assert.deepEqual(found([deny.replace('app: web', 'app: db'), cnp('b', `ingress: [{${PEER}}]`)], COVER), []);
  assert.deepEqual(found([deny, cnp('b', 'egress: [{}]')], COVER), []);
});

test('the same rule twice is told once, one that another holds too', () => {
  assert.deepEqual(found([cnp('a', `ingress: [{${PEER}}]`), cnp('b', `ingress: [{${PEER}}]`)], COVER), [
    'duplicate-rule CiliumNetworkPolicy/default/b spec.ingress[0] line 13 by spec.ingress[0] of CiliumNetworkPolicy/default/a',
  ]);
  assert.deepEqual(found([cnp('a', `ingress: [{${PORT(80, 90)}}, {${PEER}, ${PORT(85)}}]`)], COVER), [
    'redundant-rule CiliumNetworkPolicy/default/a spec.ingress[1] line 6 by spec.ingress[0] of CiliumNetworkPolicy/default/a',
  ]);
  assert.deepEqual(found([cnp('a', `ingress: [{${PORT(80, 90)}}, {${PEER}, ${PORT(85, 91)}}]`)], COVER), []);
});

test('tiers: what an earlier rule holds, but for what it passes on', () => {
  const subject = 'priority: 10\nsubject: {namespaces: {}}';
  const all = '[{namespaces: {}}]';
  const admin = (action: string): string =>
    acnp('guard', `tier: Admin\n${subject}\ningress: [{action: ${action}, from: ${all}}]`);
  const base = acnp(
    'late',
    `tier: Baseline\n${subject}\ningress:\n- {action: Accept, from: ${all}}\n- {action: Deny, from: ${all}, protocols: [{tcp: {}}]}`,
  );
  assert.deepEqual(found([base], COVER), [
    'shadowed-rule ClusterNetworkPolicy/-/late spec.ingress[1] line 10 by spec.ingress[0] of ClusterNetworkPolicy/-/late',
  ]);
  assert.deepEqual(found([admin('Deny'), base], COVER).length, 2, 'both rules behind an Admin deny');
  assert.deepEqual(found([admin('Pass'), base], COVER).length, 1, 'a pass leaves the next tier its own');
  const late = admin('Deny').replace('name: guard', 'name: later').replace('priority: 10', 'priority: 11');
  assert.deepEqual(
    found([admin('Pass'), late, base], COVER).map((text) => text.split(' ')[1]),
    ['ClusterNetworkPolicy/-/later', 'ClusterNetworkPolicy/-/late'],
    'and what is passed on never comes to the rest of the tier',
  );
});

test('prefixes: with exceptions, of the world, of groups', () => {
  const deny = (set: string): string => cnp('a', `egressDeny: [{toCIDRSet: [${set}]}]`);
  const allow = cnp('b', 'egress: [{toCIDR: [10.1.2.0/24]}]');
  const by = (text: string): number => found([text, allow], COVER).length;
  assert.equal(by(deny('{cidr: 10.0.0.0/8}')), 1);
  assert.equal(by(deny('{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}')), 0);
  assert.equal(by(deny('{cidr: 10.0.0.0/8, except: [10.2.0.0/16]}')), 1);
  assert.equal(by(cnp('a', 'egressDeny: [{toEntities: [world]}]')), 1);
  assert.equal(by(cnp('a', 'egressDeny: [{toEntities: [world-ipv6]}]')), 0);
  const group =
    'apiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: {name: g}\nspec: {externalCIDRs: [10.0.0.0/8]}\n';
  assert.equal(found([group, deny('{cidrGroupRef: g}'), allow], COVER).length, 1);
  assert.deepEqual(found([deny('{cidrGroupRef: h}')], ['group-unknown']), [
    'group-unknown CiliumNetworkPolicy/default/a spec.egressDeny[0] line 6',
  ]);
});

test('documents that are not enforced shadow nobody', () => {
  const audit = cnp('a', `ingressDeny: [{${PEER}}]`).replace(
    '{name: a}',
    '{name: a, annotations: {weir.io/mode: audit}}',
  );
  assert.deepEqual(found([audit, cnp('b', `ingress: [{${PEER}}]`)], COVER), []);
});

test('ways that are shut or open, and names that cannot be asked', () => {
  const codes = (text: string): string[] =>
    [
      ...new Set(
        lintPolicies(parseOk(text.replace('{name: a}', '{name: a, namespace: default}'))).map(({ code }) => code),
      ),
    ].sort();
  assert.deepEqual(codes(cnp('a', 'ingress: [{fromEndpoints: []}]')), []);
  assert.deepEqual(codes(cnp('a', 'ingressDeny: [{}]')), ['target-all-ingress-blocked']);
  assert.deepEqual(codes(cnp('a', 'ingress: [{}]')), ['allows-everything', 'target-all-ingress-allowed']);
  assert.deepEqual(codes(cnp('a', `egress: [{${PORT(443)}}]`)), ['dns-blocked-tcp', 'dns-blocked-udp']);
  assert.deepEqual(codes(cnp('a', `egress: [{${PORT(443)}}, {toPorts: [{ports: [{port: "53", protocol: UDP}]}]}]`)), [
    'dns-blocked-tcp',
  ]);
  assert.deepEqual(codes(cnp('a', 'egress: [{toEndpoints: [{}]}]')), []);
  const other = cnp('b', 'egress: [{toPorts: [{ports: [{port: "53"}]}]}]');
  assert.deepEqual(
    found([cnp('a', `egress: [{${PORT(443)}}]`), other], ['dns-blocked-tcp', 'dns-blocked-udp']),
    [],
    'another allows it',
  );
});

test('a prefix around workloads; what a NetworkPolicy leaves out', () => {
  const text = cnp('a', 'egress: [{toCIDR: [10.0.0.0/8]}]');
  assert.deepEqual(found([text], ['cidr-covers-managed'], { managed: ['192.0.2.1', '10.1.0.2'] }), [
    'cidr-covers-managed CiliumNetworkPolicy/default/a spec.egress[0] line 6',
  ]);
  assert.deepEqual(found([text], ['cidr-covers-managed'], { managed: ['192.0.2.1'] }), []);
  const knp =
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: n}\nspec: {podSelector: {}, ingress: [{ports: [{port: 80}]}]}\n';
  assert.deepEqual(
    lintPolicies(parseOk(knp)).map(({ code, path, level }) => [code, path, level]),
    [
      ['no-namespace', 'metadata.namespace', 'note'],
      ['no-policy-types', 'spec.policyTypes', 'note'],
      ['no-protocol', 'spec.ingress[0].ports[0]', 'note'],
    ],
  );
});

const LABELS = ['a', 'b', 'web'].flatMap((app) =>
  ['x', 'y'].map((ns) => [
    `k8s:app=${app}`,
    `k8s:io.kubernetes.pod.namespace=${ns}`,
    `k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=${ns}`,
    ...(ns === 'x' ? ['k8s:io.cilium.k8s.namespace.labels.team=red', 'k8s:tier=f'] : []),
  ]),
);
const identities = new Map(LABELS.map((labels, i) => [256 + i, labels]));
const PORTS = [1, 79, 80, 81, 128, 8000, 65535].map((port) => ({ protocol: 6, port }));
const FLOWS = [...PORTS, { protocol: 17, port: 53 }, { protocol: 132, port: 80 }, { protocol: 1, port: 8 << 8 }];

/** Every verdict of the small world under these documents, as one text. */
const verdicts = (docs: readonly PolicyDocument[], cidrs: ReadonlyMap<string, number>): string => {
  const compiler = createCompiler();
  const policies = docs.map((doc) => ({ doc, ruleIds: new Map<string, number>() }));
  const peers = [...identities.keys(), 1, 6, 9, 10, ...cidrs.values()];
  return [...identities.keys()]
    .flatMap((identity) => {
      const compiled = compiler.compile({ identities, policies, cidrs, subject: { identity, namedPorts: [] } });
      return (['ingress', 'egress'] as const).flatMap((direction) =>
        peers.flatMap((peerIdentity) =>
          FLOWS.map((flow) => judge(compiled, { direction, peerIdentity, ...flow, allowHost: false }).verdict[0]),
        ),
      );
    })
    .join('');
};

const without = (docs: readonly PolicyDocument[], policy: string, path: string): PolicyDocument[] =>
  docs.map((doc) =>
    doc.key !== policy
      ? doc
      : {
          ...doc,
          specs: doc.specs.map((spec) => ({ ...spec, rules: spec.rules.filter((rule) => rule.path !== path) })),
        },
  );

test('a rule that is told to decide nothing can go, and no verdict changes', () => {
  let told = 0;
  fc.assert(
    fc.property(policies, (raw) => {
      const given = raw.map((json) => parseDocument(json));
      const docs = given.map((doc) => resolveGroups(doc, groupsIn(given)));
      const covered = lintPolicies(docs).filter(({ code }) => COVER.includes(code));
      if (covered.length === 0) return;
      told += covered.length;
      const cidrs = allocateCidrs(collectCidrs(docs));
      const before = verdicts(docs, cidrs);
      for (const { policy, path, code, other } of covered) {
        const same = verdicts(without(docs, policy, path), cidrs) === before;
        assert.ok(same, `${code} ${policy} ${path} by ${other}`);
      }
    }),
    { numRuns: Number(process.env.WEIR_PROPERTY_RUNS ?? 400) },
  );
  assert.ok(told > 50, `only ${told} rules were told of`);
});
