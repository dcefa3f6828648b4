// SPDX-License-Identifier: Apache-2.0
/** Versions of a document: who made them and why, what differs, a former one again; and promoting what is staged. */
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

interface Version {
  readonly policy_revision: number;
  readonly revision: number;
  readonly removed: boolean;
  readonly author: string | null;
  readonly reason: string | null;
}
interface Applied {
  readonly results: readonly { readonly key: string; readonly action: string }[];
  readonly revision: number;
}
interface Policy {
  readonly document: {
    readonly metadata: { readonly name: string; readonly annotations?: object };
    readonly spec: unknown;
  };
  readonly policy_revision: number;
}

const pathOf = (name: string): string => `/v1/policies/NetworkPolicy/prod/${name}`;
const policyOf = async (name: string) => (await harness.call<Policy>('GET', pathOf(name))).body;
const statusOf = async (name: string) => (await harness.call('GET', pathOf(name))).status;
const versionsOf = async (name: string, query = '') =>
  (await harness.call<{ items: Version[]; next_cursor: string | null }>('GET', `${pathOf(name)}/versions${query}`))
    .body;
const promote = (name: string) => harness.call<Applied>('POST', `${pathOf(name)}/promote?author=ada`);
const annotated = (name: string, annotations: string, spec = WEB): string =>
  networkPolicy(name, spec).replace(
    /metadata:.*\n(?: {2}.*\n)*/,
    `metadata: {name: ${name}, namespace: prod, annotations: {${annotations}}}\n`,
  );

test('each version says who made it and why; any is the newest again, of a removed document too', async () => {
  const other = WEB.replace('port: 80', 'port: 8080');
  await harness.apply(networkPolicy('web', WEB), '?author=ada&reason=first%20%E2%9C%93');
  await harness.apply(networkPolicy('web', other));
  assert.equal((await harness.call('DELETE', `${pathOf('web')}?reason=gone`)).status, 200);
  const told = (items: readonly Version[]) =>
    items.map(({ policy_revision: version, removed, author, reason }) => [version, removed, author, reason]);
  const expected = [
    [3, true, null, 'gone'],
    [2, false, null, null],
    [1, false, 'ada', 'first ✓'],
  ];
  assert.deepEqual(told((await versionsOf('web')).items), expected);
  const page = await versionsOf('web', '?limit=2');
  const rest = await versionsOf('web', `?limit=2&cursor=${page.next_cursor}`);
  assert.deepEqual(told([...page.items, ...rest.items]), expected);
  assert.equal((await harness.call('GET', `${pathOf('nobody')}/versions`)).status, 404);

  const { body } = await harness.call<{ diff: string }>('GET', `${pathOf('web')}/diff?from=1&to=2`);
  assert.match(body.diff, /version 1.*version 2.*\n-[^\n]*port: 80\n\+[^\n]*port: 8080\n/s);
  assert.equal((await harness.call('GET', `${pathOf('web')}/diff?from=1`)).status, 404, 'nothing is in force');
  assert.equal((await harness.call('GET', `${pathOf('web')}/diff?from=3&to=1`)).status, 404, 'a removal has no text');

  const restored = await harness.call<Applied>('POST', `${pathOf('web')}/restore?policy_revision=1&reason=back`);
  assert.deepEqual(
    restored.body.results.map(({ action }) => action),
    ['created'],
    JSON.stringify(restored.body),
  );
  assert.equal((await policyOf('web')).policy_revision, 4);
  assert.deepEqual(told((await versionsOf('web')).items)[0], [4, false, null, 'back']);
  const same = await harness.call<{ diff: string }>('GET', `${pathOf('web')}/diff?from=1`);
  assert.equal(same.body.diff, '');
  const again = await harness.call<Applied>('POST', `${pathOf('web')}/restore?policy_revision=1`);
  assert.deepEqual(
    again.body.results.map(({ action }) => action),
    ['unchanged'],
  );
  assert.equal((await harness.call('POST', `${pathOf('web')}/restore?policy_revision=3`)).status, 404);
});

test('what is audited is enforced, what is staged takes the place of what it is about', async () => {
  await harness.apply(annotated('audited', 'weir.io/mode: audit, team: ops'));
  const audited = await promote('audited');
  assert.deepEqual(audited.body.results, [
    { ...audited.body.results[0], key: 'NetworkPolicy/prod/audited', action: 'configured' },
  ]);
  assert.deepEqual((await policyOf('audited')).document.metadata.annotations, { team: 'ops' });
  assert.equal((await versionsOf('audited')).items[0]?.author, 'ada');
  const twice = await promote('audited');
  assert.equal(twice.status, 409, JSON.stringify(twice.body));

  const wide = WEB.replace('port: 80', 'port: 81');
  await harness.apply(networkPolicy('shop', WEB));
  await harness.apply(annotated('shop-next', 'weir.io/mode: staged, weir.io/stages: NetworkPolicy/prod/shop', wide));
  const staged = await promote('shop-next');
  assert.equal(staged.status, 200, JSON.stringify(staged.body));
  assert.deepEqual(
    staged.body.results.map(({ key, action }) => [key, action]),
    [['NetworkPolicy/prod/shop', 'configured']],
  );
  assert.match(JSON.stringify(await policyOf('shop')), /81/);
  assert.equal(await statusOf('shop-next'), 404);

  const removal = 'weir.io/mode: staged, weir.io/staged-action: Delete, weir.io/stages: NetworkPolicy/prod/shop';
  await harness.apply(annotated('shop-gone', removal));
  assert.deepEqual((await promote('shop-gone')).body.results, []);
  assert.deepEqual([await statusOf('shop'), await statusOf('shop-gone')], [404, 404]);

  await harness.apply(annotated('learn', 'weir.io/mode: staged, weir.io/staged-action: Learn'));
  assert.equal((await promote('learn')).status, 409);
  assert.equal((await promote('nobody')).status, 404);
});

test('the same by gRPC', async () => {
  const client = createRpcClient(PolicyService, harness.app().grpc ?? '');
  try {
    const documents = annotated('rpc', 'weir.io/mode: audit');
    await client.applyPolicies({ documents, author: 'bob', reason: 'try' });
    assert.equal((await client.promotePolicy({ key: 'NetworkPolicy/prod/rpc', author: 'eve' })).results.length, 1);
    const { versions } = await client.listPolicyVersions({ key: 'NetworkPolicy/prod/rpc' });
    assert.deepEqual(
      versions.map(({ author, reason }) => [author, reason]),
      [
        ['eve', ''],
        ['bob', 'try'],
      ],
    );
    const { diff } = await client.diffPolicyVersions({ key: 'NetworkPolicy/prod/rpc', from: 1n });
    assert.match(diff, /-.*weir.io\/mode: audit/);
    await client.restorePolicy({ key: 'NetworkPolicy/prod/rpc', policyRevision: 1n });
    await assert.rejects(client.restorePolicy({ key: 'NetworkPolicy/prod/rpc', policyRevision: 9n }), /version/);
    await assert.rejects(client.deletePolicy({ key: 'NetworkPolicy/prod/rpc', author: 'x'.repeat(257) }), /256/);
  } finally {
    client.close();
  }
});
