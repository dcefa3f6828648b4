// SPDX-License-Identifier: Apache-2.0
/** What is odd about documents, by both doors: of those in force, and of those given beside them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PolicyService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { createRpcClient } from '@weir/rpc';
import { type Harness, networkPolicy, startHarness, WEB } from './support/harness.ts';

let harness: Harness;
before(async () => {
  harness = await startHarness();
});
after(() => harness.stop());

interface Finding {
  readonly policy: string;
  readonly path: string;
  readonly level: string;
  readonly code: string;
  readonly file: string | null;
  readonly line: number | null;
}
type Answer = { readonly findings: readonly Finding[] };

const duplicates = (findings: readonly Finding[]) => findings.filter(({ code }) => code === 'duplicate-rule');

test('a rule that is written twice is told of where it is given, of others nothing', async () => {
  await harness.apply(networkPolicy('web', WEB));
  const none = await harness.call<Answer>('GET', '/v1/policies/lint?notes=true');
  assert.deepEqual(duplicates(none.body.findings), [], JSON.stringify(none.body));

  const twin = networkPolicy('web-twin', WEB);
  const given = await harness.call<Answer>('POST', '/v1/policies/lint?notes=true', { body: twin });
  const [found, ...more] = duplicates(given.body.findings);
  assert.deepEqual(
    [found?.policy, found?.path, found?.level, more],
    ['NetworkPolicy/prod/web-twin', 'spec.ingress[0]', 'note', []],
  );
  assert.ok(found?.line, 'in the text');
  assert.ok(given.body.findings.every(({ policy }) => policy === 'NetworkPolicy/prod/web-twin'));
  assert.equal((await harness.call('GET', '/v1/policies/NetworkPolicy/prod/web-twin')).status, 404);

  await harness.apply(twin);
  const inForce = await harness.call<Answer>('GET', '/v1/policies/lint?notes=true');
  assert.ok(duplicates(inForce.body.findings).length > 0);
  assert.ok(
    duplicates(inForce.body.findings).every(({ line }) => line !== null),
    'as it was applied',
  );
  const warned = await harness.call<Answer>('GET', '/v1/policies/lint');
  assert.ok(
    warned.body.findings.every(({ level }) => level === 'warning'),
    'matters of taste only when asked for',
  );

  const client = createRpcClient(PolicyService, harness.app().grpc ?? '');
  try {
    const { findings } = await client.lintPolicies({ notes: true });
    assert.deepEqual(
      findings.map(({ policyKey, path, code }) => [policyKey, path, code]),
      inForce.body.findings.map(({ policy, path, code }) => [policy, path, code]),
    );
    await assert.rejects(client.lintPolicies({ documents: 'kind: [' }), /documents|line/);
  } finally {
    client.close();
  }
});
