// SPDX-License-Identifier: Apache-2.0
/** Where a rule in force is written: the file and its line come with the documents, and stay right. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PolicyService, RuleService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { createRpcClient } from '@weir/rpc';
import { type Harness, networkPolicy, startHarness, WEB } from './support/harness.ts';

let harness: Harness;
before(async () => {
  harness = await startHarness();
});
after(() => harness.stop());

interface Policy {
  readonly revision: number;
  readonly rules: readonly { readonly path: string; readonly file: string | null; readonly line: number | null }[];
}
const get = () => harness.call<Policy>('GET', '/v1/policies/NetworkPolicy/prod/f2');

interface RuleAnswer {
  items: { path: string; file: string | null; line: number | null; column: number | null; id: number }[];
}

test('rules in force name file and line, which follow what moves within unchanged documents', async () => {
  const documents = `${networkPolicy('f1', WEB)}---\n# the second file\n${networkPolicy('f2', WEB)}`;
  const second = documents.slice(0, documents.indexOf('# the second file')).split('\n').length;
  const send = (body: object) =>
    harness.call<{ results: { action: string }[]; code: string; field: string }>('POST', '/v1/policies', {
      type: 'application/vnd.weir.documents+json',
      body: JSON.stringify(body),
    });
  const placed = async (name: string) => {
    const { body } = await harness.call<RuleAnswer>('GET', `/v1/rules?policy=NetworkPolicy/prod/${name}`);
    return body.items.map(({ path, file, line }) => [path, file, line]);
  };
  const sources = [
    { file: 'shop/f1.yaml', first_line: 1 },
    { file: 'shop/f2.yaml', first_line: second },
  ];
  assert.equal((await send({ documents, sources })).status, 200);
  const wanted = (file: string | null, more: number) => [
    ['spec.ingress[0]', file, 11 + more],
    ['spec.defaultDeny.ingress', file, 6 + more],
  ];
  assert.deepEqual(await placed('f1'), wanted('shop/f1.yaml', 0));
  assert.deepEqual(await placed('f2'), wanted('shop/f2.yaml', 1));
  const before = await get();
  assert.deepEqual(
    before.body.rules.map((rule) => [rule.path, rule.file, rule.line]),
    await placed('f2'),
  );

  const moved = {
    documents: `# one\n# two\n${networkPolicy('f2', WEB)}`,
    sources: [{ file: 'f.yaml', first_line: 1 }],
  };
  assert.equal((await send(moved)).body.results[0]?.action, 'unchanged');
  assert.deepEqual(await placed('f2'), wanted('f.yaml', 2));
  const after = await get();
  assert.equal(after.body.revision, before.body.revision);
  assert.notEqual(after.headers.get('etag'), before.headers.get('etag'));
  await harness.apply(networkPolicy('f2', WEB));
  assert.deepEqual(await placed('f2'), wanted(null, 0));

  for (const [wrong, field] of [
    [[{ file: '', first_line: 1 }], 'sources[0].file'],
    [[{ file: 'a', first_line: 2 }], 'sources[0].first_line'],
    [
      [
        { file: 'a', first_line: 1 },
        { file: 'b', first_line: 1 },
      ],
      'sources[1].first_line',
    ],
    [[{ file: 'a', first_line: 1, colour: 'red' }], 'sources[0].colour'],
  ] as const) {
    const { status, body } = await send({ documents, sources: wrong });
    assert.deepEqual([status, body.code, body.field], [422, 'INVALID_ARGUMENT', field]);
  }
});

test('gRPC takes and tells the same', async () => {
  const address = harness.app().grpc ?? '';
  const policies = createRpcClient(PolicyService, address);
  const rules = createRpcClient(RuleService, address);
  try {
    const documents = networkPolicy('g', WEB);
    await policies.applyPolicies({ documents, sources: [{ file: 'g.yaml', firstLine: 1 }] });
    const { policy } = await policies.getPolicy({ key: 'NetworkPolicy/prod/g' });
    const [shown] = policy?.rules ?? [];
    assert.deepEqual([shown?.file, shown?.line], ['g.yaml', 11]);
    const { rule } = await rules.getRule({ id: shown?.id ?? 0 });
    assert.deepEqual([rule?.file, rule?.line, rule?.column], ['g.yaml', 11, 7]);
    await assert.rejects(policies.applyPolicies({ documents, sources: [{ file: 'g.yaml', firstLine: 0 }] }), {
      code: 'INVALID_ARGUMENT',
    });
  } finally {
    policies.close();
    rules.close();
  }
});
