// SPDX-License-Identifier: Apache-2.0
/** Applying, reading, comparing and removing documents through REST. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  agentInbox,
  configSubject,
  connectBus,
  createKeys,
  hostSnapshotConsumer,
  readSnapshot,
  subjects,
  verifySigned,
} from '@weir/bus';
import { createDb } from '@weir/db';
import type { ConfigDocument } from '@weir/proto/weir/bus/v1/config_pb.js';
import { createApp } from '../src/app.ts';
import {
  type Harness,
  networkPolicy,
  type ProblemAnswer,
  startHarness,
  trustedSigners,
  WEB,
} from './support/harness.ts';

let harness: Harness;
before(async () => {
  harness = await startHarness();
});
after(() => harness.stop());

interface Policy {
  key: string;
  document: { spec: unknown };
  revision: number;
  policy_revision: number;
  rules: { path: string; id: number; direction: string; action: string }[];
}
const get = (name: string, query = '') =>
  harness.call<Policy>('GET', `/v1/policies/NetworkPolicy/prod/${name}${query}`);

/** What the bus holds for a key, once `fits`. */
const onBus = async (
  key: string,
  fits: (document: ConfigDocument) => boolean = () => true,
): Promise<ConfigDocument> => {
  const host = await harness.host('h1');
  const subject = configSubject('policy', key);
  const options = { ...host, inboxPrefix: agentInbox('h1'), consumer: hostSnapshotConsumer('h1') };
  try {
    for (const deadline = Date.now() + 5_000; Date.now() < deadline; await sleep(20)) {
      const message = (await readSnapshot(options)).find((one) => one.subject === subject);
      const document = message && verifySigned(message.data, trustedSigners, subject);
      if (document !== undefined && fits(document)) return document;
    }
    assert.fail(`${key} is not on the bus`);
  } finally {
    await host.close();
  }
};

test('a document is created, unchanged, configured; rules keep their numbers exactly while it is unchanged', async () => {
  const created = await harness.apply(networkPolicy('web', WEB));
  assert.equal(created.status, 200, JSON.stringify(created.body));
  assert.equal(created.body.results[0]?.action, 'created');
  assert.equal(created.body.revision, created.body.results[0]?.revision);
  const first = (await get('web')).body;
  assert.deepEqual(
    first.rules.map(({ path, direction, action }) => [path, direction, action]),
    [
      ['spec.ingress[0]', 'ingress', 'allow'],
      ['spec.defaultDeny.ingress', 'ingress', 'deny'],
    ],
  );
  const document = await onBus('NetworkPolicy/prod/web');
  assert.equal(document.revision, BigInt(created.body.revision));
  assert.ok(document.body.case === 'policy');
  assert.deepEqual(
    document.body.value.rules.map(({ path, id }) => [path, id]),
    first.rules.map(({ path, id }) => [path, id]),
  );
  assert.deepEqual(JSON.parse(document.body.value.document), first.document);

  // Other order of keys, other style, JSON instead of YAML: the same meaning.
  const { spec } = first.document as { spec: Record<string, unknown> };
  const reordered = JSON.stringify({
    spec: Object.fromEntries(Object.entries(spec).reverse()),
    metadata: { namespace: 'prod', name: 'web' },
    kind: 'NetworkPolicy',
    apiVersion: 'networking.k8s.io/v1',
  });
  const same = await harness.call<{ results: { action: string }[]; revision: number }>('POST', '/v1/policies', {
    body: reordered,
    type: 'application/json',
  });
  assert.equal(same.body.results[0]?.action, 'unchanged');
  assert.equal(same.body.revision, created.body.revision);
  const numbered = ({ rules }: Policy) => rules.map(({ path, id, direction, action }) => [path, id, direction, action]);
  assert.deepEqual(numbered((await get('web')).body), numbered(first));

  const changed = await harness.apply(networkPolicy('web', WEB.replace('port: 80', 'port: 8080')));
  assert.equal(changed.body.results[0]?.action, 'configured');
  assert.ok(changed.body.revision > created.body.revision);
  const second = (await get('web')).body;
  assert.equal(second.policy_revision, 2);
  assert.ok(second.rules.every(({ id }) => !first.rules.some((old) => old.id === id)));
  const old = await get('web', '?policy_revision=1');
  assert.deepEqual(old.body.document, first.document);
  assert.equal(old.body.revision, first.revision);
  assert.equal((await get('web', '?policy_revision=9')).status, 404);
});

test('what flows are to say of a policy goes to the fleet with its rules, its default denial too', async () => {
  const text = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: told, namespace: prod}
spec: {endpointSelector: {}, log: {value: shop only}, ingress: [{fromEndpoints: [{}]}]}
`;
  assert.equal((await harness.apply(text)).status, 200);
  const { body } = await onBus('CiliumNetworkPolicy/prod/told');
  assert.ok(body.case === 'policy');
  assert.deepEqual(
    body.value.rules.map(({ path, log }) => [path, log]),
    [
      ['spec.ingress[0]', 'shop only'],
      ['spec.defaultDeny.ingress', 'shop only'],
    ],
  );
  assert.equal((await harness.call('DELETE', '/v1/policies/CiliumNetworkPolicy/prod/told')).status, 200);
});

test('several documents: all or none', async () => {
  const before = await harness.call<{ items: unknown[] }>('GET', '/v1/policies');
  const bad = `${networkPolicy('fine', WEB)}---\n${networkPolicy('bad', 'podSelector: {}\ningres: []')}`;
  const refused: ProblemAnswer = await harness.apply(bad);
  assert.equal(refused.status, 422);
  assert.deepEqual((await harness.call('GET', '/v1/policies')).body, before.body);
  const good = await harness.apply(`${networkPolicy('one', WEB)}---\n${networkPolicy('two', WEB)}`);
  assert.deepEqual(
    good.body.results.map(({ key, action }) => [key, action]),
    [
      ['NetworkPolicy/prod/one', 'created'],
      ['NetworkPolicy/prod/two', 'created'],
    ],
  );
  assert.equal(good.body.revision, good.body.results[1]?.revision);
});

test('dry run and diff change nothing', async () => {
  const before = (await get('web')).body;
  const text = `${networkPolicy('web', WEB.replace('port: 80', 'port: 9090'))}---\n${networkPolicy('new', WEB)}---\n${networkPolicy('one', WEB)}`;
  const dry = await harness.apply(text, '?dry_run=true');
  assert.deepEqual(
    dry.body.results.map(({ action }) => action),
    ['configured', 'created', 'unchanged'],
  );
  assert.equal(dry.body.results[1]?.revision, 0);
  const { body } = await harness.call<{ results: { key: string; action: string; diff: string }[] }>(
    'POST',
    '/v1/policies/diff',
    { body: text },
  );
  assert.deepEqual(
    body.results.map(({ action }) => action),
    ['configured', 'created', 'unchanged'],
  );
  assert.equal(
    body.results[0]?.diff,
    `--- NetworkPolicy/prod/web (in force)
+++ NetworkPolicy/prod/web (given)
@@ -10,7 +10,7 @@
             matchLabels:
               app: client
       ports:
-        - port: 8080
+        - port: 9090
           protocol: TCP
   podSelector:
     matchLabels:
`,
  );
  assert.match(
    body.results[1]?.diff ?? '',
    /^--- \/dev\/null\n\+\+\+ NetworkPolicy\/prod\/new \(given\)\n@@ -0,0 \+1,\d+ @@\n\+apiVersion/,
  );
  assert.equal(body.results[2]?.diff, '');
  assert.deepEqual((await get('web')).body, before);
  assert.equal((await get('new')).status, 404);
});

test('deleting: a tombstone on the bus, history kept, created again with new numbers', async () => {
  await harness.apply(networkPolicy('gone', WEB));
  const before = (await get('gone')).body;
  const deleted = await harness.call<{ key: string; revision: number }>(
    'DELETE',
    '/v1/policies/NetworkPolicy/prod/gone',
  );
  assert.equal(deleted.status, 200);
  assert.ok(deleted.body.revision > before.revision);
  assert.equal((await get('gone')).status, 404);
  const missing: ProblemAnswer = await harness.call('DELETE', '/v1/policies/NetworkPolicy/prod/gone');
  assert.equal(missing.status, 404);
  assert.ok(missing.body.fix);
  await onBus('NetworkPolicy/prod/gone', ({ body }) => body.case === undefined);
  const [rule] = before.rules;
  const old = await harness.call<{ current: boolean; policy_key: string; revision: number; line: number }>(
    'GET',
    `/v1/rules/${rule?.id}`,
  );
  assert.deepEqual(
    [old.body.current, old.body.policy_key, old.body.revision, old.body.line],
    [false, 'NetworkPolicy/prod/gone', before.revision, 11],
  );
  await harness.apply(networkPolicy('gone', WEB));
  const again = (await get('gone')).body;
  assert.equal(again.policy_revision, 3);
  assert.ok(again.rules.every(({ id }) => !before.rules.some((one) => one.id === id)));
});

test('rules by their numbers', async () => {
  const policy = (await get('web')).body;
  const ids = policy.rules.map(({ id }) => id);
  const { body } = await harness.call<{ items: { id: number; path: string; current: boolean }[] }>(
    'GET',
    `/v1/rules?ids=${ids.join(',')},2000000000`,
  );
  assert.deepEqual(
    body.items.map(({ id, path, current }) => ({ id, path, current })),
    policy.rules.map(({ id, path }) => ({ id, path, current: true })),
  );
  const listed = await harness.call<{ items: { id: number; current: boolean; policy_key: string }[] }>(
    'GET',
    `/v1/rules?policy=${policy.key}`,
  );
  assert.deepEqual(
    listed.body.items.map(({ id, current, policy_key }) => ({ id, current, policy_key })),
    ids.map((id) => ({ id, current: true, policy_key: policy.key })),
  );
  assert.equal((await harness.call('GET', '/v1/rules/2000000000')).status, 404);
  for (const wrong of ['0', '-1', '1,x', '1,,2', '99999999999', '1;drop table rules']) {
    const refused: ProblemAnswer = await harness.call('GET', `/v1/rules?ids=${encodeURIComponent(wrong)}`);
    assert.equal(refused.status, 422, wrong);
    assert.equal(refused.body.field, 'ids');
  }
});

test('ETag and If-Match', async () => {
  const { headers, body } = await get('web');
  const tag = headers.get('etag');
  assert.match(tag ?? '', new RegExp(`^"${body.revision}\\.[-\\w]+"$`));
  const send = (method: string, path: string, ifMatch: string, text?: string) =>
    harness.call<{ code: string }>(method, path, {
      headers: { 'if-match': ifMatch },
      ...(text === undefined ? {} : { body: text }),
    });
  const text = networkPolicy('web', WEB.replace('port: 80', 'port: 81'));
  assert.equal((await send('POST', '/v1/policies', '"1"', text)).status, 412);
  assert.equal((await send('DELETE', '/v1/policies/NetworkPolicy/prod/web', '"1"')).status, 412);
  assert.equal((await send('POST', '/v1/policies', tag ?? '', `${text}---\n${networkPolicy('x', WEB)}`)).status, 422);
  assert.equal((await send('POST', '/v1/policies', tag ?? '', text)).status, 200);
  assert.equal((await send('POST', '/v1/policies', tag ?? '', text)).status, 412);
});

test('pages and filters', async () => {
  const cluster = `apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: everywhere }
spec:
  endpointSelector: {}
  ingress: [ {} ]
`;
  await harness.apply(`${networkPolicy('a', WEB, 'other')}---\n${cluster}`);
  interface List {
    items: Policy[];
    next_cursor: string | null;
  }
  const all: string[] = [];
  let cursor: string | null = null;
  do {
    const { body }: { body: List } = await harness.call<List>(
      'GET',
      `/v1/policies?limit=2${cursor === null ? '' : `&cursor=${cursor}`}`,
    );
    all.push(...body.items.map(({ key }) => key));
    cursor = body.next_cursor;
  } while (cursor !== null);
  assert.deepEqual(all, [...all].sort());
  assert.ok(all.includes('CiliumClusterwideNetworkPolicy/-/everywhere') && all.length >= 6);
  const keysOf = async (query: string) =>
    (await harness.call<List>('GET', `/v1/policies?${query}`)).body.items.map(({ key }) => key);
  assert.deepEqual(await keysOf('namespace=other'), ['NetworkPolicy/other/a']);
  assert.deepEqual(await keysOf('namespace=-'), ['CiliumClusterwideNetworkPolicy/-/everywhere']);
  assert.deepEqual(await keysOf('kind=CiliumClusterwideNetworkPolicy'), [
    'CiliumClusterwideNetworkPolicy/-/everywhere',
  ]);
  assert.equal((await harness.call('GET', '/v1/policies/CiliumClusterwideNetworkPolicy/-/everywhere')).status, 200);
  assert.equal((await harness.call('GET', '/v1/policies?cursor=nonsense')).status, 400);
  assert.equal((await harness.call('GET', '/v1/policies?colour=red')).status, 422);
});

test('a warning says that nobody is selected, until somebody is', async () => {
  const text = networkPolicy('lonely', 'podSelector: { matchLabels: { app: lonely } }\ningress: []');
  const alone = await harness.apply(text);
  assert.deepEqual(
    alone.body.results[0]?.warnings.map(({ code, path, line }) => [code, path, line]),
    [['selects-nothing', 'spec', 6]],
  );
  await harness.publish('identity', '300', {
    case: 'identity',
    value: { identity: 300, labels: ['k8s:app=lonely', 'k8s:io.kubernetes.pod.namespace=prod'] },
  });
  const unused = await harness.apply(text);
  assert.equal(unused.body.results[0]?.warnings.length, 1, 'an identity that no workload has is nobody');
  await harness.publish('workload', 'prod.lonely', {
    case: 'workload',
    value: { id: 'prod.lonely', identity: 300, hostId: 'h1' },
  });
  const deadline = Date.now() + 30_000;
  for (;;) {
    const { body } = await harness.apply(text);
    assert.equal(body.results[0]?.action, 'unchanged');
    if (body.results[0]?.warnings.length === 0) break;
    assert.ok(Date.now() < deadline);
    await sleep(20);
  }
});

test('20 clients edit one document: no lost update, revisions without a gap', async () => {
  await harness.apply(networkPolicy('busy', WEB));
  const before = (await get('busy')).body;
  let conflicts = 0;
  await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      for (;;) {
        const { headers } = await get('busy');
        const answer = await harness.call('POST', '/v1/policies', {
          body: networkPolicy('busy', WEB.replace('port: 80', `port: ${10_000 + index}`)),
          headers: { 'if-match': headers.get('etag') ?? '' },
        });
        if (answer.status === 200) return;
        assert.equal(answer.status, 412, JSON.stringify(answer.body));
        conflicts += 1;
      }
    }),
  );
  const after = (await get('busy')).body;
  assert.equal(after.policy_revision, before.policy_revision + 20);
  assert.equal(after.revision, before.revision + 20);
  assert.ok(conflicts > 0);
});

test('a credential that the bus does not know ends the start with a clear error', async () => {
  await assert.rejects(createApp({ ...harness.config, natsSeed: createKeys('user').seed }), {
    code: 'UNAUTHENTICATED',
  });
  await assert.rejects(connectBus({ servers: harness.nats.url, name: 'x' }), { code: 'UNAUTHENTICATED' });
});

test('the outbox is empty at the end, and the stream holds what the tables hold', async () => {
  const db = createDb<Record<string, never>>({ url: harness.database.url, schema: 'policy' });
  const deadline = Date.now() + 5_000;
  while (((await db.pool.query('select 1 from bus_outbox')).rowCount ?? 0) > 0) {
    assert.ok(Date.now() < deadline);
    await sleep(20);
  }
  const published = await db.pool.query('select subject from bus_document order by subject');
  const inForce = await db.pool.query('select key from policies');
  assert.deepEqual(
    published.rows.map(({ subject }) => subjects.cfg.parse(subject)?.key).sort(),
    inForce.rows.map(({ key }) => key).sort(),
  );
  await db.close();
});
