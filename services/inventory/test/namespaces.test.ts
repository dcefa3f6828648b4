// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Harness, startHarness } from './harness.ts';

let weir: Harness;
before(async () => {
  weir = await startHarness();
  await weir.call('POST', '/v1/hosts', { name: 'alpha' });
});
after(() => weir.stop());

test('default exists and stays', async () => {
  const { body } = await weir.call('GET', '/v1/namespaces');
  assert.deepEqual(
    body.items.map(({ name }: { name: string }) => name),
    ['default'],
  );
  const refused = await weir.call('DELETE', '/v1/namespaces/default');
  assert.deepEqual([refused.status, refused.body.field], [409, 'name']);
});

test('new labels give the workloads of the namespace new identities, all at once, and no others', async () => {
  const inside = await weir.call('POST', '/v1/workloads', {
    name: 'in',
    namespace: 'prod',
    host: 'alpha',
    labels: { app: 'web' },
  });
  const twin = await weir.call('POST', '/v1/workloads', {
    name: 'twin',
    namespace: 'prod',
    host: 'alpha',
    labels: { app: 'web' },
  });
  const outside = await weir.call('POST', '/v1/workloads', {
    name: 'out',
    namespace: 'dev',
    host: 'alpha',
    labels: { app: 'web' },
  });
  const put = await weir.call('PUT', '/v1/namespaces/prod', { labels: { team: 'blue' } });
  assert.equal(put.status, 200);
  const after = async (id: string) => (await weir.call('GET', `/v1/workloads/${id}`)).body;
  const [changed, changedTwin, same] = [await after('prod.in'), await after('prod.twin'), await after('dev.out')];
  assert.notEqual(changed.identity, inside.body.identity);
  assert.equal(changedTwin.identity, changed.identity);
  assert.ok(changedTwin.revision > twin.body.revision);
  assert.deepEqual([same.identity, same.revision], [outside.body.identity, outside.body.revision]);
  const { body: identity } = await weir.call('GET', `/v1/identities/${changed.identity}`);
  assert.ok(identity.labels.includes('k8s:io.cilium.k8s.namespace.labels.team=blue'));
  assert.equal(identity.workloads, 2);
  assert.equal((await weir.call('GET', `/v1/identities/${inside.body.identity}`)).body.workloads, 0, 'kept');
});

test('labels that change nothing leave the workloads alone', async () => {
  const before = (await weir.call('GET', '/v1/workloads/prod.in')).body;
  await weir.call('PUT', '/v1/namespaces/prod', { labels: { team: 'blue', 'kubernetes.io/metadata.name': 'prod' } });
  assert.deepEqual((await weir.call('GET', '/v1/workloads/prod.in')).body, before);
});

test('refusals: form of the name, reserved labels, the name of another, a stale ETag, workloads inside', async () => {
  for (const [name, labels, path] of [
    ['Prod', {}, 'name'],
    ['prod', { 'io.cilium.k8s.policy.cluster': 'x' }, 'labels.io.cilium.k8s.policy.cluster'],
    ['prod', { 'kubernetes.io/metadata.name': 'dev' }, 'labels.kubernetes.io/metadata.name'],
  ] as const) {
    const { status, body } = await weir.call('PUT', `/v1/namespaces/${name}`, { labels });
    assert.equal(status, 422);
    assert.equal(body.errors?.[0].path ?? body.field, path);
    assert.ok(body.fix);
  }
  assert.equal((await weir.call('PUT', '/v1/namespaces/prod', { labels: {} }, { 'if-match': '"77"' })).status, 412);
  assert.equal((await weir.call('DELETE', '/v1/namespaces/prod')).body.code, 'CONFLICT');
  assert.equal((await weir.call('DELETE', '/v1/namespaces/none')).status, 404);
  await weir.call('PUT', '/v1/namespaces/empty', { labels: { a: 'b' } });
  assert.equal((await weir.call('DELETE', '/v1/namespaces/empty')).status, 204);
  assert.equal((await weir.call('GET', '/v1/namespaces/empty')).body.fix, 'list what exists with GET /v1/namespaces');
});

test('identities: the reserved ones first, in pages; unknown ones are told apart', async () => {
  const { body } = await weir.call('GET', '/v1/identities?limit=4');
  assert.deepEqual(body.items[0], { identity: 1, labels: ['reserved:host'], workloads: 0 });
  const all: number[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${cursor}`;
    const { body: page } = await weir.call('GET', `/v1/identities?limit=4${query}`);
    all.push(...page.items.map(({ identity }: { identity: number }) => identity));
    cursor = page.next_cursor;
  } while (cursor !== null);
  assert.deepEqual(all.slice(0, 10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(
    all,
    [...new Set(all)].sort((a, b) => a - b),
  );
  assert.ok((all.at(10) ?? 0) >= 256);
  const withLabel = async (label: string): Promise<number[]> =>
    (await weir.call('GET', `/v1/identities?label=${encodeURIComponent(label)}`)).body.items.map(
      ({ identity }: { identity: number }) => identity,
    );
  assert.deepEqual(await withLabel('reserved:world'), [2]);
  const named = await withLabel('io.kubernetes.pod.namespace=prod');
  assert.ok(named.length > 0 && named.length < all.length - 10);
  assert.deepEqual(await withLabel('k8s:io.kubernetes.pod.namespace=prod'), named);
  assert.deepEqual(await withLabel('app=nobody'), []);
  for (const unknown of ['11', '255', '65000', '16777217', '99999999999']) {
    assert.equal((await weir.call('GET', `/v1/identities/${unknown}`)).status, 404, unknown);
  }
  assert.equal((await weir.call('GET', '/v1/identities/web')).status, 422);
});
