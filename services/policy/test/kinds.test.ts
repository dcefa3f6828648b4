// SPDX-License-Identifier: Apache-2.0
/** Documents of every kind through the service: their rules' actions, those that have no rules, and what is refused by name. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Harness, type ProblemAnswer, startHarness } from './support/harness.ts';

let harness: Harness;
before(async () => {
  harness = await startHarness();
});
after(() => harness.stop());

const TIERED = `apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  ingress:
  - {name: monitoring, action: Accept, from: [{namespaces: {matchLabels: {team: ops}}}]}
  - {action: Pass, from: [{namespaces: {}}]}
  - {action: Deny, from: [{namespaces: {}}]}
---
apiVersion: weir.io/v1
kind: FirewallPolicy
metadata: {name: soon, namespace: prod}
spec:
  mode: staged
  endpointSelector: {}
  ingress: [{action: Allow}]
---
apiVersion: cilium.io/v2
kind: CiliumCIDRGroup
metadata: {name: offices}
spec: {externalCIDRs: [192.0.2.0/24]}
`;

interface Policy {
  readonly document: { readonly spec: object };
  readonly rules: readonly { readonly path: string; readonly action: string }[];
}

test('tiers, our own and groups are admitted; each rule has its action, a group has no rules', async () => {
  const applied = await harness.apply(TIERED);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const rules = async (key: string) =>
    (await harness.call<Policy>('GET', `/v1/policies/${key}`)).body.rules.map(({ path, action }) => [path, action]);
  assert.deepEqual(await rules('ClusterNetworkPolicy/-/guard'), [
    ['spec.ingress[0]', 'allow'],
    ['spec.ingress[1]', 'pass'],
    ['spec.ingress[2]', 'deny'],
  ]);
  assert.deepEqual(await rules('FirewallPolicy/prod/soon'), [
    ['spec.ingress[0]', 'allow'],
    ['spec.defaultDeny.ingress', 'deny'],
  ]);
  assert.deepEqual(await rules('CiliumCIDRGroup/-/offices'), []);
  const again = await harness.apply(TIERED);
  assert.deepEqual([...new Set(again.body.results.map(({ action }) => action))], ['unchanged']);
  const alone = TIERED.slice(TIERED.indexOf('apiVersion: cilium.io')).replace('192.0.2.0/24', '192.0.2.0/25');
  assert.equal((await harness.apply(alone)).body.results[0]?.action, 'configured');
});

test('what is not enforced yet is refused by name, at its line, and nothing of the text is applied', async () => {
  const text = TIERED.replaceAll('guard', 'other').replace('{namespaces: {matchLabels: {team: ops}}}', '{nodes: {}}');
  const refused: ProblemAnswer = await harness.apply(text.replace('ingress:', 'egress:').replaceAll('from:', 'to:'));
  assert.equal(refused.status, 422, JSON.stringify(refused.body));
  assert.match(
    JSON.stringify(refused.body),
    /line 9, column 46: spec\.egress\[0\]\.to\[0\]\.nodes: nodes is not supported yet/,
  );
  assert.equal((await harness.call('GET', '/v1/policies/ClusterNetworkPolicy/-/other')).status, 404);
});
