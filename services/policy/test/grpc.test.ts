// SPDX-License-Identifier: Apache-2.0
/** The gRPC door: the same as REST. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  Action,
  HostRevisionState,
  PolicyService,
  RevisionService,
  RuleAction,
  RuleService,
} from '@weir/proto/weir/policy/v1/policy_pb.js';
import { createRpcClient, type RpcClient } from '@weir/rpc';
import { type Harness, networkPolicy, startHarness, WEB } from './support/harness.ts';

let harness: Harness;
let policies: RpcClient<typeof PolicyService>;
let rules: RpcClient<typeof RuleService>;
let revisions: RpcClient<typeof RevisionService>;
before(async () => {
  harness = await startHarness();
  const address = harness.app().grpc ?? '';
  policies = createRpcClient(PolicyService, address);
  rules = createRpcClient(RuleService, address);
  revisions = createRpcClient(RevisionService, address);
});
after(async () => {
  for (const client of [policies, rules, revisions]) client.close();
  await harness.stop();
});

test('apply, get, list, diff, delete', async () => {
  const documents = `${networkPolicy('a', WEB)}---\n${networkPolicy('b', WEB)}`;
  const dry = await policies.applyPolicies({ documents, dryRun: true });
  assert.deepEqual(
    dry.results.map(({ action }) => action),
    [Action.CREATED, Action.CREATED],
  );
  const applied = await policies.applyPolicies({ documents });
  assert.deepEqual(
    applied.results.map(({ key, action }) => [key, action]),
    [
      ['NetworkPolicy/prod/a', Action.CREATED],
      ['NetworkPolicy/prod/b', Action.CREATED],
    ],
  );
  const { policy } = await policies.getPolicy({ key: 'NetworkPolicy/prod/a' });
  const rest = await harness.call<{ document: unknown; rules: { id: number }[] }>(
    'GET',
    '/v1/policies/NetworkPolicy/prod/a',
  );
  assert.deepEqual(JSON.parse(policy?.document ?? ''), rest.body.document);
  assert.deepEqual(
    policy?.rules.map(({ id }) => id),
    rest.body.rules.map(({ id }) => id),
  );
  const first = await policies.listPolicies({ limit: 1 });
  const second = await policies.listPolicies({ limit: 1, cursor: first.nextCursor });
  assert.deepEqual(
    [...first.policies, ...second.policies].map(({ name }) => name),
    ['a', 'b'],
  );
  assert.equal(second.nextCursor, '');
  const changed = networkPolicy('a', WEB.replace('port: 80', 'port: 81'));
  const { results } = await policies.diffPolicies({ documents: changed });
  assert.equal(results[0]?.action, Action.CONFIGURED);
  assert.match(results[0]?.diff ?? '', /^-\s+- port: 80$/m);
  await assert.rejects(policies.applyPolicies({ documents: changed, ifRevision: 999n }), {
    code: 'PRECONDITION_FAILED',
  });
  await policies.applyPolicies({ documents: changed, ifRevision: policy?.revision });
  const old = await policies.getPolicy({ key: 'NetworkPolicy/prod/a', policyRevision: 1n });
  assert.equal(old.policy?.document, policy?.document);

  const id = policy?.rules[0]?.id ?? 0;
  const { rule } = await rules.getRule({ id });
  assert.deepEqual(
    [rule?.policyKey, rule?.path, rule?.action, rule?.current],
    ['NetworkPolicy/prod/a', 'spec.ingress[0]', RuleAction.ALLOW, false],
  );
  assert.deepEqual(
    (await rules.batchGetRules({ ids: [id, 4_000_000_000] })).rules.map((one) => one.id),
    [id],
  );
  await assert.rejects(rules.getRule({ id: 4_000_000_000 }), { code: 'NOT_FOUND' });

  const { revision } = await policies.deletePolicy({ key: 'NetworkPolicy/prod/b' });
  assert.ok(revision > applied.revision);
  await assert.rejects(policies.getPolicy({ key: 'NetworkPolicy/prod/b' }), { code: 'NOT_FOUND' });
});

test('refusals carry their places', async () => {
  await assert.rejects(
    policies.applyPolicies({
      documents: networkPolicy('bad', 'podSelector: {}\ningress:\n  - ports: [ { port: 70000 } ]'),
    }),
    (error: { code: string; message: string; facts: { issues?: { line?: number; path: string }[] } }) => {
      assert.equal(error.code, 'INVALID_ARGUMENT');
      assert.match(error.message, /line 9, column 24.*70000/);
      return true;
    },
  );
  await assert.rejects(policies.applyPolicies({ documents: '#'.repeat(2 * 1024 * 1024) }), { code: 'TOO_LARGE' });
  await assert.rejects(policies.listPolicies({ limit: 5_000 }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(revisions.getRevision({ revision: 1n, waitS: 100 }), { code: 'INVALID_ARGUMENT' });
  await assert.rejects(revisions.getRevisionTrace({ revision: 2n ** 40n }), { code: 'NOT_FOUND' });
});

test('a revision and its hosts', async () => {
  await harness.publish('host', 'h1', { case: 'host', value: { id: 'h1', name: 'h1' } });
  const h1 = await harness.host('h1');
  const { revision } = await policies.applyPolicies({ documents: networkPolicy('c', WEB) });
  await harness.ack(h1, 'h1', revision);
  for (const deadline = Date.now() + 5_000; Date.now() < deadline; ) {
    const { hosts } = await revisions.getRevision({ revision, waitS: 5 });
    if (hosts[0]?.state !== HostRevisionState.REALISED) continue;
    assert.deepEqual(
      hosts.map(({ host, realised }) => [host, realised]),
      [['h1', revision]],
    );
    const { trace } = await revisions.getRevisionTrace({ revision });
    const { body } = await harness.call<{ received_us: number; committed_us: number; hosts: unknown[] }>(
      'GET',
      `/v1/revisions/${revision}/trace`,
    );
    assert.equal(trace?.revision, revision);
    assert.deepEqual([trace?.receivedUs, trace?.committedUs], [BigInt(body.received_us), BigInt(body.committed_us)]);
    assert.equal(trace?.hosts.length, body.hosts.length);
    return;
  }
  assert.fail('not realised');
});
