// SPDX-License-Identifier: Apache-2.0
/** Policies for hosts: whom a nodeSelector selects, and that it is nobody else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileWorkload, explain, hostLabels, IDENTITY, judge, lint, parseDocuments, selects } from '../src/index.ts';

const EDGE = hostLabels({ role: 'edge', zone: 'a' });
const WEB = ['k8s:role=edge', 'k8s:io.kubernetes.pod.namespace=shop'];
const parse = (text: string) => {
  const { documents, issues } = parseDocuments(text);
  assert.deepEqual(issues, []);
  return documents.map((doc) => ({ doc, ruleIds: new Map([['spec.ingress[0]', 7]]) }));
};
const cilium = (selector: string) =>
  `apiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: p}\nspec:\n  ${selector}\n` +
  '  ingress: [{fromEntities: [remote-node], toPorts: [{ports: [{port: "6443", protocol: TCP}]}]}]\n';
const own = (selector: string) =>
  `apiVersion: weir.io/v1\nkind: FirewallPolicy\nmetadata: {name: q}\nspec:\n  tier: Admin\n  ${selector}\n` +
  '  ingress: [{action: Deny, fromEntities: [world]}]\n';

test('a nodeSelector selects hosts by their labels, and no workload with the same ones', () => {
  for (const make of [cilium, own]) {
    const [role] = parse(make('nodeSelector: {matchLabels: {role: edge}}'));
    assert.ok(role);
    assert.equal(selects(role.doc, EDGE), true);
    assert.equal(selects(role.doc, hostLabels({ role: 'db' })), false);
    assert.equal(selects(role.doc, WEB), false);
    const [all] = parse(make('nodeSelector: {}'));
    assert.ok(all);
    assert.deepEqual(
      [selects(all.doc, EDGE), selects(all.doc, hostLabels({})), selects(all.doc, WEB)],
      [true, true, false],
    );
    const [endpoints] = parse(make('endpointSelector: {}'));
    assert.ok(endpoints);
    assert.deepEqual([selects(endpoints.doc, EDGE), selects(endpoints.doc, WEB)], [false, true]);
    assert.deepEqual(
      lint(role.doc, { identities: new Map() }).map(({ code }) => code),
      [],
    );
  }
});

test('what is compiled for a host is its own, beside what workloads get', () => {
  const policies = parse(`${cilium('nodeSelector: {}')}---\n${own('endpointSelector: {}')}`);
  const compiled = compileWorkload({
    ...{ identities: new Map(), policies, cidrs: new Map() },
    subject: { identity: IDENTITY.HOST, namedPorts: [], labels: EDGE },
  });
  assert.deepEqual([compiled.enforceIngress, compiled.enforceEgress, compiled.tiers], [true, false, false]);
  const asks = (peerIdentity: number, port: number) =>
    judge(compiled, { direction: 'ingress', peerIdentity, protocol: 6, port });
  assert.deepEqual([asks(IDENTITY.REMOTE_NODE, 6443).verdict, asks(IDENTITY.REMOTE_NODE, 6443).ruleId], ['allow', 7]);
  assert.equal(asks(IDENTITY.REMOTE_NODE, 22).verdict, 'deny');
  assert.equal(asks(IDENTITY.WORLD_IPV4, 6443).verdict, 'deny');
});

test('explain asks the host too, where a policy is for it', () => {
  const ask = (text: string) =>
    explain({
      policies: parse(text),
      from: { ip: '192.0.2.1' },
      to: { name: 'h1', labels: EDGE },
      protocol: 6,
      port: 22,
    });
  const shut = ask(cilium('nodeSelector: {}'));
  assert.deepEqual([shut.verdict, shut.ingress.reason], ['deny', 'default-deny']);
  assert.match(shut.text, /ingress of h1: refused, because no rule allows it; default deny by/);
  assert.equal(ask(cilium('nodeSelector: {matchLabels: {role: db}}')).ingress.reason, 'not-a-workload');
  assert.equal(ask(own('nodeSelector: {}')).ingress.reason, 'rule');
});
