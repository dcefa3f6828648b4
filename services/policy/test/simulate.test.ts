// SPDX-License-Identifier: Apache-2.0
/** Simulate through both doors: rules named by file and line, removals, refusals, an analytics that is away, and who hangs up. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { FlowService, StreamFlowGroupsResponseSchema } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { ChangeClass, SimulationService } from '@weir/proto/weir/policy/v1/policy_pb.js';
import { createRpcClient, createRpcServer, implement, type RpcServer } from '@weir/rpc';
import { type Harness, networkPolicy, startHarness, WEB } from './support/harness.ts';

const NAMESPACE = 'k8s:io.kubernetes.pod.namespace=prod';
const ENDS = [
  { number: 1, identity: 300, labels: ['k8s:app=client', NAMESPACE], workloads: ['prod/c1'], workloadCount: 1 },
  { number: 2, identity: 301, labels: ['k8s:app=web', NAMESPACE], workloads: ['prod/w1', 'prod/w2'], workloadCount: 7 },
  { number: 3, identity: 2, labels: ['reserved:world'] },
];
const GROUP = { protocol: 6, port: 80, direction: 1, verdict: 1, flows: 10n, packets: 30n, bytes: 4_000n };
const GROUPS = [
  { ...GROUP, client: 1, server: 2, lastSeen: { seconds: 1_790_000_000n } },
  { ...GROUP, client: 1, server: 2, port: 81, verdict: 2, dropReason: 133, flows: 2n },
  { ...GROUP, client: 3, server: 2, clientIp: '192.0.2.7', verdict: 2, dropReason: 133, flows: 5n },
  { ...GROUP, client: 3, server: 2, clientIp: '192.0.2.8', flows: 1n },
  { ...GROUP, client: 1, server: 2, related: true, flows: 4n },
];

let harness: Harness;
let analytics: RpcServer;
/** Whoever asks waits for this one. */
let gate: Promise<void> = Promise.resolve();
let asked: { readonly workloadAddresses: boolean } | undefined;
let ended = 0;

const flows = implement(FlowService, {
  listFlows: async () => ({}),
  streamFlows: async function* () {},
  streamFlowGroups: async function* (request, { signal }) {
    asked = request;
    signal.addEventListener('abort', () => (ended += 1), { once: true });
    yield { progress: { done: 0, flows: 0n } };
    await gate;
    yield create(StreamFlowGroupsResponseSchema, { ends: ENDS, groups: GROUPS, progress: { done: 1, flows: 22n } });
    yield { summary: { since: { seconds: 1n }, until: { seconds: 2n }, flows: 22n, lost: 6n } };
  },
});

before(async () => {
  analytics = await createRpcServer({ services: [flows], port: 0 });
  harness = await startHarness({ analyticsGrpc: analytics.address });
  await harness.apply(networkPolicy('web', WEB));
});
after(async () => {
  await harness?.stop();
  await analytics?.close();
});

const NONE = '# nothing\n';

// biome-ignore lint/suspicious/noExplicitAny: lines of several shapes
type Line = any;

const lines = (query: string, body: string, type = 'application/yaml'): Promise<Line[]> =>
  linesOf(`simulate${query}`, { method: 'POST', headers: { 'content-type': type }, body });

const linesOf = async (path: string, request: RequestInit = {}): Promise<Line[]> => {
  const response = await fetch(`${harness.app().http}/v1/policies/${path}`, request);
  const text = await response.text();
  if (response.status !== 200) throw Object.assign(new Error(text), JSON.parse(text));
  assert.match(response.headers.get('content-type') ?? '', /x-ndjson/);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
};

const placed = (documents: string): string =>
  JSON.stringify({ documents, sources: [{ file: 'rules/web.yaml', first_line: 1 }] });

test('each flow whose verdict changes is told with both rules; the others are counted', async () => {
  const text = networkPolicy('web', WEB.replace('port: 80', 'port: 81'));
  const got = await lines('?since=1h', placed(text), 'application/vnd.weir.documents+json');
  assert.deepEqual(
    got.map(({ event }) => event),
    ['progress', 'progress', 'change', 'change', 'change', 'summary'],
  );
  const [denied, allowed, disagrees, summary] = got.slice(2);
  assert.deepEqual(
    { ...denied, after: denied.after.rule, before: denied.before.rule },
    {
      event: 'change',
      class: 'newly-denied',
      direction: 'ingress',
      subject: { identity: 301, labels: ENDS[1]?.labels, workloads: ['prod/w1', 'prod/w2'], workload_count: 7 },
      peer: { identity: 300, labels: ENDS[0]?.labels, workloads: ['prod/c1'], workload_count: 1 },
      protocol: 'TCP',
      port: 80,
      flows: 10,
      packets: 30,
      bytes: 4_000,
      last_seen: new Date(1_790_000_000_000).toISOString(),
      after: {
        policy: 'NetworkPolicy/prod/web',
        path: 'spec.defaultDeny.ingress',
        file: 'rules/web.yaml',
        line: denied.after.rule.line,
        id: null,
      },
      before: { policy: 'NetworkPolicy/prod/web', path: 'spec.ingress[0]', file: null, line: 11, id: 1 },
      disagrees: 0,
    },
  );
  assert.deepEqual(
    [allowed.class, allowed.port, allowed.flows, allowed.after.rule.path, allowed.after.rule.file],
    ['newly-allowed', 81, 2, 'spec.ingress[0]', 'rules/web.yaml'],
  );
  assert.deepEqual(
    [disagrees.class, disagrees.flows, disagrees.disagrees, disagrees.peer.addresses, disagrees.before.verdict],
    ['disagrees', 1, 1, ['192.0.2.8'], 'deny'],
  );
  const { newly_denied: newlyDenied, unchanged, not_judged: notJudged, lost, omitted, documents } = summary;
  assert.deepEqual([newlyDenied.flows, unchanged.flows, notJudged.related.flows], [10, 6, 4]);
  assert.deepEqual([lost, omitted, summary.disagrees.flows], [6, 0, 1]);
  assert.deepEqual(documents, [{ key: 'NetworkPolicy/prod/web', action: 'configured', mode: 'enforce' }]);
});

test('what is in force changes nothing; without it all may pass; a limit leaves out only lines', async () => {
  const same = (await lines('', networkPolicy('web', WEB))).at(-1);
  assert.deepEqual([same.newly_denied.flows, same.newly_allowed.flows, same.unchanged.flows], [0, 0, 18]);
  assert.deepEqual(same.documents, [{ key: 'NetworkPolicy/prod/web', action: 'unchanged', mode: 'enforce' }]);
  const gone = await lines('?remove=NetworkPolicy/prod/web&limit=1', NONE);
  assert.deepEqual(
    gone.map(({ event }) => event),
    ['progress', 'progress', 'change', 'summary'],
  );
  // Two were refused and are not any more; what passed although it is refused now is no disagreement then, but a change.
  assert.deepEqual([gone.at(-1).newly_allowed.flows, gone.at(-1).unchanged.flows, gone.at(-1).omitted], [8, 10, 1]);
});

test('addresses of workloads are asked for only when a rule names blocks', async () => {
  await lines('', NONE);
  assert.equal(asked?.workloadAddresses, false);
  const block = 'podSelector: {}\ningress:\n  - from: [ { ipBlock: { cidr: 192.0.2.0/28 } } ]';
  const got = await lines('', networkPolicy('block', block));
  assert.equal(asked?.workloadAddresses, true);
  const change = got.find((line) => line.class === 'newly-allowed');
  assert.deepEqual(
    [change.peer.prefix, change.peer.addresses, change.flows],
    ['192.0.2.0/28', ['192.0.2.7', '192.0.2.8'], 6],
  );
});

test('suggest: what was not refused, as documents that are covered whole and change nothing for it', async () => {
  const got = await linesOf('suggest?namespace=prod&selector=app%3Dweb&since=1h');
  const document = got.find(({ event }) => event === 'document');
  assert.equal(document.key, 'CiliumNetworkPolicy/prod/web-suggested');
  assert.deepEqual([document.observed.flows, document.covered.flows, document.workload_count], [11, 11, 7]);
  assert.match(document.text, /fromEndpoints:\n +- matchLabels:\n +app: client/);
  assert.match(document.text, /fromCIDR:\n +- 192\.0\.2\.8\/32/);
  assert.match(document.text, /toEndpoints: \[\]/);
  const { observed, covered, left_out: leftOut } = got.at(-1);
  assert.deepEqual(
    [observed.flows, covered.flows, leftOut.refused_then.flows, leftOut.not_judged.flows],
    [22, 11, 7, 4],
  );
  const simulated = (await lines('', document.text)).at(-1);
  assert.deepEqual([simulated.newly_denied.flows, simulated.documents[0].action], [0, 'created']);
  const staged = (await linesOf('suggest?namespace=prod&staged=true')).find(({ event }) => event === 'document').text;
  assert.match(staged, /annotations:\n +weir\.io\/mode: staged/);
  const narrow = staged.replace(/port: "80"/g, 'port: "81"');
  // Policies add up: only without the one in force is it this one that refuses.
  const flowsDenied = async (query: string): Promise<[number, string]> => {
    const summary = (await lines(`?remove=NetworkPolicy/prod/web${query}`, narrow)).at(-1);
    return [summary.newly_denied.flows, summary.documents[1].mode];
  };
  assert.deepEqual(await flowsDenied(''), [0, 'staged']);
  assert.deepEqual(await flowsDenied('&staged=true'), [10, 'staged']);
  assert.equal((await lines('?staged=true', staged)).at(-1).newly_denied.flows, 0);
  const seldom = (await linesOf('suggest?namespace=prod&min_flows=5')).at(-1);
  assert.deepEqual([seldom.covered.flows, seldom.left_out.too_seldom.flows], [10, 1]);
  const client = createRpcClient(SimulationService, harness.app().grpc as string);
  const keys: string[] = [];
  for await (const { event } of client.suggest({ namespace: 'prod' })) {
    if (event.case === 'document') keys.push(event.value.key, String(event.value.covered?.flows));
    if (event.case === 'summary')
      keys.push(...event.value.leftOut.map(({ reason, total }) => `${reason} ${total?.flows}`));
  }
  client.close();
  assert.deepEqual(keys, [document.key, '11', 'refused-then 7', 'not-judged 4', 'not-expressible 0', 'too-seldom 0']);
  await assert.rejects(linesOf('suggest'), { code: 'INVALID_ARGUMENT', field: 'selector' });
});

test('gRPC says the same', async () => {
  const client = createRpcClient(SimulationService, harness.app().grpc as string);
  const seen: unknown[] = [];
  for await (const { event } of client.simulate({ remove: ['NetworkPolicy/prod/web'] })) {
    if (event.case === 'change') seen.push([event.value.class, event.value.flows, event.value.before?.ruleId]);
    if (event.case === 'summary') seen.push([event.value.newlyAllowed?.flows, event.value.lost]);
  }
  client.close();
  assert.deepEqual(seen, [
    [ChangeClass.NEWLY_ALLOWED, 6n, 2],
    [ChangeClass.NEWLY_ALLOWED, 2n, 2],
    [8n, 6n],
  ]);
});

test('what is wrong with a request is told before anything else', async () => {
  const refused = (query: string, body = NONE) =>
    lines(query, body).then(
      () => assert.fail('not refused'),
      ({ code, field }) => [code, field],
    );
  assert.deepEqual(await refused('?since=soon'), ['INVALID_ARGUMENT', 'since']);
  assert.deepEqual(await refused('?limit=0'), ['INVALID_ARGUMENT', 'limit']);
  assert.deepEqual(await refused('?remove=NetworkPolicy/prod/none'), ['INVALID_ARGUMENT', 'remove']);
  assert.equal((await refused('', networkPolicy('x', 'podSelektor: {}')))[0], 'INVALID_ARGUMENT');
});

test('who hangs up ends the read at analytics', async () => {
  let open = (): void => {};
  gate = new Promise((done) => {
    open = done;
  });
  const hangUp = new AbortController();
  const wasEnded = ended;
  const response = await fetch(`${harness.app().http}/v1/policies/simulate`, {
    method: 'POST',
    headers: { 'content-type': 'application/yaml' },
    body: NONE,
    signal: hangUp.signal,
  });
  assert.equal(response.status, 200);
  hangUp.abort();
  const until = AbortSignal.timeout(60_000);
  while (ended === wasEnded && !until.aborted) await new Promise((done) => setTimeout(done, 10));
  assert.equal(ended, wasEnded + 1);
  open();
  gate = Promise.resolve();
});

test('an analytics that is away is UNAVAILABLE', async () => {
  await analytics.close();
  await assert.rejects(lines('', NONE), { code: 'UNAVAILABLE' });
});
