// SPDX-License-Identifier: Apache-2.0
/** Runtime policies as documents of the fleet: admission, versions, the signed document, and what each host says. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { agentInbox, configSubject, hostSnapshotConsumer, readSnapshot, subjects, verifySigned } from '@weir/bus';
import type { Problem } from '@weir/errors';
import { RuntimeHostState, RuntimeMode, RuntimePolicyService } from '@weir/proto/weir/policy/v1/runtime_pb.js';
import { createRpcClient, type RpcClient } from '@weir/rpc';
import { runtimeHost } from '../src/domain/enforcement.ts';
import { type ApplyAnswer, type Harness, networkPolicy, startHarness, trustedSigners, WEB } from './support/harness.ts';

let harness: Harness;
let client: RpcClient<typeof RuntimePolicyService>;
before(async () => {
  harness = await startHarness();
  client = createRpcClient(RuntimePolicyService, harness.app().grpc ?? '');
});
after(async () => {
  client.close();
  await harness.stop();
});

const PATH = '/v1/runtime-policies';
const policy = (name: string, action = 'Sigkill', rest = ''): string => `apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: ${name}}
spec:
  ${rest}
  kprobes:
  - call: sys_openat
    args: [{index: 1, type: filename}]
    selectors:
    - matchArgs: [{index: 1, operator: Equal, values: [/etc/shadow]}]
      matchActions: [{action: ${action}}]
`;
const apply = <T = ApplyAnswer>(text: string, query = '', headers: Record<string, string> = {}) =>
  harness.call<T>('POST', `${PATH}${query}`, { body: text, headers });
const actions = ({ body }: { body: ApplyAnswer }) => body.results.map(({ key, action }) => [key, action]);

test('apply, show, list, diff, versions, delete', async () => {
  const KEY = 'TracingPolicy/-/a';
  const text = `${policy('a')}---\n${policy('b', 'Post')}`;
  assert.deepEqual(actions(await apply(text, '?dry_run=true')), [
    [KEY, 'created'],
    ['TracingPolicy/-/b', 'created'],
  ]);
  assert.equal((await harness.call('GET', `${PATH}/${KEY}`)).status, 404);
  const applied = await apply(text);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  const shown = await harness.call<Record<string, unknown>>('GET', `${PATH}/${KEY}`);
  const { mode, hooks, policy_revision: version } = shown.body;
  assert.deepEqual([mode, hooks, version], ['enforce', ['spec.kprobes[0]'], 1]);
  assert.deepEqual(
    actions(await apply(text)).map(([, action]) => action),
    ['unchanged', 'unchanged'],
  );

  const other = policy('a', 'Post');
  const diff = await harness.call<{ results: { diff: string }[] }>('POST', `${PATH}/diff`, { body: other });
  assert.match(diff.body.results[0]?.diff ?? '', /-.*action: Sigkill\n\+.*action: Post/);
  const etag = shown.headers.get('etag') ?? '';
  assert.equal((await apply(other, '', { 'if-match': '"999"' })).status, 412);
  assert.deepEqual(actions(await apply(other, '', { 'if-match': etag })), [[KEY, 'configured']]);
  const former = await harness.call<{ mode: string }>('GET', `${PATH}/${KEY}?policy_revision=1`);
  assert.equal(former.body.mode, 'enforce');
  const page = await harness.call<{ items: { key: string }[]; next_cursor: string }>('GET', `${PATH}?limit=1`);
  const rest = await harness.call<{ items: { key: string }[] }>('GET', `${PATH}?cursor=${page.body.next_cursor}`);
  assert.deepEqual(
    [...page.body.items, ...rest.body.items].map(({ key }) => key),
    [KEY, 'TracingPolicy/-/b'],
  );
  assert.equal((await harness.call('DELETE', `${PATH}/${KEY}`)).status, 200);
  assert.equal((await harness.call('DELETE', `${PATH}/${KEY}`)).status, 404);
  assert.equal((await harness.call('GET', `${PATH}/${KEY}?policy_revision=2`)).status, 200);
});

test('what is wrong is told with its place, and changes nothing', async () => {
  const wrong = `${policy('good')}---\n${policy('bad', 'Kill')}`;
  const { status, body } = await apply<Problem>(wrong);
  assert.equal(status, 422);
  assert.deepEqual(
    [body.field, body.line, body.column],
    ['spec.kprobes[0].selectors[0].matchActions[0].action', 23, 31],
  );
  assert.equal((await harness.call('GET', `${PATH}/TracingPolicy/-/good`)).status, 404);
  const elsewhere = await apply<Problem>(networkPolicy('web', WEB));
  assert.match(elsewhere.body.detail, /"NetworkPolicy" is not one of TracingPolicy/);
  const here = await harness.apply<Problem>(policy('a'));
  assert.match(here.body.fix ?? '', /runtime-policies/);
  // A text that a thread of its own reads.
  const long = Array.from({ length: 200 }, (_, at) => policy(`long-${at}`)).join('---\n');
  assert.ok(long.length > 32 << 10);
  assert.equal((await apply(long, '?dry_run=true')).body.results.length, 200);
});

test('the same request with a key gets the same answer', async () => {
  const headers = { 'idempotency-key': 'once' };
  const first = await apply(policy('once'), '', headers);
  assert.deepEqual((await apply(policy('once'), '', headers)).body, first.body);
});

test('the document is signed and published, and each host tells what it does about it', async () => {
  for (const [id, zone] of [
    ['h1', 'edge'],
    ['h2', 'core'],
  ] as const) {
    await harness.publish('host', id, { case: 'host', value: { id, name: id, labels: { zone } } });
  }
  const key = 'TracingPolicy/-/scoped';
  const applied = await apply(policy('scoped', 'Sigkill', 'nodeSelector: {matchLabels: {zone: edge}}'));
  const { revision } = applied.body;
  const hosts = async () => {
    const { body } = await harness.call<{ hosts: { host: string; state: string; reason: string | null }[] }>(
      'GET',
      `${PATH}/${key}/hosts`,
    );
    return Object.fromEntries(body.hosts.map(({ host, state, reason }) => [host, [state, reason]]));
  };
  const until = async (what: () => Promise<boolean>): Promise<void> => {
    for (const deadline = Date.now() + 60_000; !(await what()); await sleep(20)) {
      assert.ok(Date.now() < deadline, JSON.stringify(await hosts()));
    }
  };
  await until(async () => Object.keys(await hosts()).length === 2);
  assert.deepEqual(await hosts(), { h1: ['away', null], h2: ['not-selected', null] });
  const h1 = await harness.host('h1');
  const subject = configSubject('runtimePolicy', key);
  const options = { ...h1, inboxPrefix: agentInbox('h1'), consumer: hostSnapshotConsumer('h1') };
  await until(async () => {
    const message = (await readSnapshot(options)).find((one) => one.subject === subject);
    const body = message && verifySigned(message.data, trustedSigners, subject).body;
    if (body?.case !== 'runtimePolicy') return false;
    assert.deepEqual([body.value.key, body.value.policyRevision], [key, 1n]);
    assert.equal(JSON.parse(body.value.document).metadata.name, 'scoped');
    return true;
  });
  h1.nc.publish(subjects.hb.build({ host: 'h1' }), subjects.hb.encode({ boot: 1n }));
  await until(async () => (await hosts()).h1?.[0] === 'pending');
  await harness.ack(h1, 'h1', BigInt(revision));
  // Taken without a word of it, as an agent of before does.
  await until(async () => (await hosts()).h1?.[0] === 'not-enforced');
  assert.match((await hosts()).h1?.[1] ?? '', /does not tell of runtime policies/);
  const errors = [{ subject, revision: BigInt(revision), code: 'UNSUPPORTED', message: 'attaches no hooks' }];
  await harness.ack(h1, 'h1', BigInt(revision), errors);
  await until(async () => (await hosts()).h1?.[1] === 'attaches no hooks');
  // Not before its own word, of this very revision.
  const hook = { path: 'spec.kprobes[0]', backend: 'raw_syscalls', enforces: ['Sigkill'], limits: ['late'] };
  const word = { subject, revision: BigInt(revision), state: 'loaded', hooks: [hook] };
  const says = (...words: object[]): Promise<void> => harness.ack(h1, 'h1', BigInt(revision), [], undefined, words);
  await says({ ...word, revision: BigInt(revision) - 1n });
  await until(async () => /does not tell/.test((await hosts()).h1?.[1] ?? ''));
  assert.equal((await hosts()).h1?.[0], 'not-enforced');
  await says(word);
  await until(async () => (await hosts()).h1?.[0] === 'enforced');
  const { hosts: enforcing } = await client.listRuntimePolicyHosts({ key });
  assert.equal(enforcing[0]?.state, RuntimeHostState.ENFORCED);
  assert.deepEqual({ ...enforcing[0]?.hooks[0], $typeName: undefined }, { ...hook, $typeName: undefined });
  await says({ ...word, state: 'partly' });
  await until(async () => (await hosts()).h1?.[0] === 'partly-enforced');
  await harness.ack(h1, 'h1', BigInt(revision), errors);
  await until(async () => (await hosts()).h1?.[1] === 'attaches no hooks');
  // It is no failure of the policies of the network.
  const state = await harness.call<{ hosts: { state: string }[] }>('GET', `/v1/revisions/${revision}`);
  assert.equal(state.body.hosts[0]?.state, 'realised');
  const { hosts: told } = await client.listRuntimePolicyHosts({ key });
  assert.deepEqual(
    told.map(({ state: one, reason }) => [one, reason]),
    [
      [RuntimeHostState.NOT_ENFORCED, 'attaches no hooks'],
      [RuntimeHostState.NOT_SELECTED, ''],
    ],
  );
});

test('gRPC says the same', async () => {
  const documents = policy('grpc');
  const { results, revision } = await client.applyRuntimePolicies({ documents });
  assert.equal(results[0]?.key, 'TracingPolicy/-/grpc');
  const key = 'TracingPolicy/-/grpc';
  const { policy: got } = await client.getRuntimePolicy({ key });
  assert.deepEqual([got?.mode, got?.hooks, got?.revision], [RuntimeMode.ENFORCE, ['spec.kprobes[0]'], revision]);
  await assert.rejects(client.applyRuntimePolicies({ documents, ifAbsent: true }), { code: 'PRECONDITION_FAILED' });
  assert.equal((await client.diffRuntimePolicies({ documents: policy('grpc', 'Post') })).results.length, 1);
  const { policies } = await client.listRuntimePolicies({});
  assert.ok(policies.some((one) => one.key === key));
  assert.equal((await client.deleteRuntimePolicy({ key })).revision, revision + 1n);
  await assert.rejects(client.getRuntimePolicy({ key }), { code: 'NOT_FOUND' });
});

test('a host that has the document is never said to enforce it', () => {
  const place = { subject: 's', revision: 5n, isSelected: true, isAlive: true };
  for (const realised of [0n, 4n, 5n, 6n]) {
    const { state } = runtimeHost('h', place, { realised, tried: realised, errors: [] });
    assert.equal(state, realised < 5n ? 'pending' : 'not-enforced');
  }
});
