// SPDX-License-Identifier: Apache-2.0
/** Events of processes by REST, gRPC and as a stream: the same answers, pages that end, trees. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openSse } from '@weir/http/testing';
import { AccountingService, AccountKind, ProcessService } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { Kind } from '@weir/proto/weir/process/v1/process_pb.js';
import { createRpcClient } from '@weir/rpc';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT } from './support/flows.ts';
import { execEvent, execIdOf, exitEvent, type ProcessInit, processBatch, sendProcesses } from './support/processes.ts';

const INIT = { pid: 1, execNs: 10, binary: '/sbin/init' };
const SHELL = { pid: 5, execNs: 20, binary: '/bin/sh', arguments: '-c "a b"', parent: INIT };
const FORKED = { pid: 7, execNs: 25, binary: '/bin/sh', parent: SHELL };
const CAT = { pid: 7, execNs: 30, binary: '/usr/bin/cat', arguments: '/etc/100%_sure', uid: 33, parent: SHELL };
const SLEEP = { pid: 8, execNs: 40, binary: '/bin/sleep', arguments: '10', parent: SHELL };

let service: TestService;
const startMs = Date.now() - 60_000;

const stored = async (host: string, count: number): Promise<void> =>
  until('stored', async () => (await service.get(`/v1/processes/events?host=${host}`)).body.items.length === count);

before(async () => {
  service = await startService();
  const at = (step: number): number => startMs + step;
  const web = { workload: 'prod.web', unitKind: 'container', unit: 'c'.repeat(64), ownPid: 2 };
  await sendProcesses(
    service,
    'h1',
    1,
    processBatch(1, [
      execEvent('h1', INIT, { kind: Kind.SEEN }, at(1)),
      execEvent('h1', SHELL, web, at(2)),
      execEvent('h1', FORKED, { ...web, kind: Kind.FORK }, at(3)),
      execEvent('h1', CAT, { ...web, rawArguments: Buffer.from('cat\0\xff\0', 'latin1') }, at(4)),
      execEvent('h1', SLEEP, { unitKind: 'service', unit: 'nginx.service' }, at(5)),
      exitEvent('h1', CAT, { signal: 'SIGKILL' }, at(6)),
    ]),
  );
  await sendProcesses(service, 'h2', 1, processBatch(1, [execEvent('h2', CAT, { verdict: 2 }, at(7))]));
  await stored('h1', 6);
  await stored('h2', 1);
});
after(() => service?.stop());

// biome-ignore lint/suspicious/noExplicitAny: answers of any shape
const list = async (query: string): Promise<any> => (await service.get(`/v1/processes/events?${query}`)).body;

const found = async (query: string): Promise<string[]> =>
  (await list(query)).items.map(
    ({ host, kind, pid }: { host: string; kind: string; pid: number }) => `${host} ${kind} ${pid}`,
  );

test('each filter, alone and together', async () => {
  const cat = ['h2 EXEC 7', 'h1 EXIT 7', 'h1 EXEC 7'];
  for (const [query, wanted] of [
    ['', ['h2 EXEC 7', 'h1 EXIT 7', 'h1 EXEC 8', 'h1 EXEC 7', 'h1 FORK 7', 'h1 EXEC 5', 'h1 SEEN 1']],
    ['binary=cat', cat],
    ['binary=/usr/*', cat],
    ['binary=ca', []],
    ['binary=cat&host=h1', cat.slice(1)],
    ['host=nobody', []],
    ['kind=exit&kind=SEEN', ['h1 EXIT 7', 'h1 SEEN 1']],
    ['pid=1&pid=8', ['h1 EXEC 8', 'h1 SEEN 1']],
    ['uid=33&kind=EXEC', ['h2 EXEC 7', 'h1 EXEC 7']],
    ['arguments=100%25_s', cat],
    ['arguments=100*sure&host=h2', ['h2 EXEC 7']],
    ['arguments=100x_s', []],
    ['workload=web', ['h1 EXEC 7', 'h1 FORK 7', 'h1 EXEC 5']],
    ['workload=prod/web&kind=FORK', ['h1 FORK 7']],
    ['workload=dev/web', []],
    ['namespace=prod&pid=5', ['h1 EXEC 5']],
    ['unit=nginx.*', ['h1 EXEC 8']],
    ['verdict=DROPPED', ['h2 EXEC 7']],
    ['policy=none', []],
    [`exec_id=${encodeURIComponent(execIdOf('h1', CAT))}`, ['h1 EXIT 7', 'h1 EXEC 7']],
    [`parent_exec_id=${encodeURIComponent(execIdOf('h1', INIT))}`, ['h1 EXEC 5']],
    ['since=10s', []],
    ['until=10s&kind=SEEN', ['h1 SEEN 1']],
    ['last=2', ['h2 EXEC 7', 'h1 EXIT 7']],
  ] as const)
    assert.deepEqual(await found(query), wanted, query);
});

test('what is wrong is refused with the field and what would be right', async () => {
  for (const [query, field, fix] of [
    ['kind=RUN', 'kind', /EXEC, FORK, EXIT/],
    ['exec_id=nonsense', 'exec_id', /exec_id of an event/],
    ['pid=x', 'pid', /from 0 to/],
    ['workload=a b', 'workload', /namespace\/name/],
    ['last=x', 'last', /5m/],
    ['since=1m&until=2m', 'until', /later than since/],
    ['cursor=abc', 'cursor', /./],
  ] as const) {
    const { status, body } = await service.get(`/v1/processes/events?${encodeURI(query)}`);
    assert.deepEqual([status, body.field], [field === 'cursor' ? 400 : 422, field], query);
    assert.match(body.fix, fix);
  }
});

test('an event is shown whole, by both doors', async () => {
  const { items } = await list('host=h1&kind=EXEC&pid=7');
  const [{ event, time, seq, boot, ...shown }] = items;
  assert.deepEqual([time, boot, seq], [new Date(startMs + 4).toISOString().replace('Z', '000Z'), BOOT, 4]);
  assert.deepEqual(shown, {
    ...{ host: 'h1', kind: 'EXEC', exec_id: execIdOf('h1', CAT), parent_exec_id: execIdOf('h1', SHELL) },
    ...{ pid: 7, own_pid: 2, parent_pid: 5, uid: 33, binary: '/usr/bin/cat', arguments: '/etc/100%_sure' },
    ...{ raw_arguments: Buffer.from('cat\0\xff\0', 'latin1').toString('base64'), cwd: '/', flags: 'execve clone' },
    ...{ workload: { namespace: 'prod', name: 'web' }, unit: { kind: 'container', name: 'c'.repeat(64) } },
    ...{ cgroup: null, exit: null, policy: null, verdict: null },
  });
  assert.equal(event.node_name, 'h1');
  assert.equal(event.process_exec.process.pod.name, 'web');
  assert.equal(event.process_exec.process.pod.container.id, 'c'.repeat(64));
  const [end] = (await list('kind=EXIT')).items;
  assert.deepEqual(end.exit, { status: 0, signal: 'SIGKILL' });

  const client = createRpcClient(ProcessService, service.app.grpc);
  try {
    const { events } = await client.listProcessEvents({ filter: { hosts: ['h1'], kinds: [Kind.EXEC], pids: [7] } });
    assert.equal(events.length, 1);
    const [one] = events;
    assert.deepEqual([one?.host, one?.seq, one?.event?.execNs], ['h1', 4n, 30n]);
    assert.equal(one?.event?.event?.nodeName, 'h1');
    await assert.rejects(client.listProcessEvents({ filter: { execIds: ['?'] } }), { code: 'INVALID_ARGUMENT' });
    const first = await client.listProcessEvents({ pageSize: 4 });
    const second = await client.listProcessEvents({ pageSize: 4, pageToken: first.nextPageToken });
    assert.deepEqual([first.events.length, second.events.length, second.nextPageToken], [4, 3, '']);
    const tree = await client.getProcessTree({ execId: execIdOf('h1', CAT) });
    assert.deepEqual([tree.ancestors.length, tree.siblings.length, tree.process?.end?.event?.kind], [2, 1, Kind.EXIT]);
    const streamed: bigint[] = [];
    for await (const { event } of client.streamProcessEvents(
      { filter: { hosts: ['h1'] }, last: 2 },
      { timeoutMs: 60_000 },
    )) {
      if (event.case === 'process') streamed.push(event.value.seq);
      if (streamed.length === 2) break;
    }
    assert.deepEqual(streamed, [5n, 6n]);
    const accounting = createRpcClient(AccountingService, service.app.grpc);
    const { accounts } = await accounting.listAccounts({ hosts: ['h1'] });
    accounting.close();
    assert.deepEqual(
      accounts.map(({ kind, stored: count }) => [kind, count]),
      [[AccountKind.PROCESS, 6n]],
    );
  } finally {
    client.close();
  }
});

test('pages go on where they ended, whatever comes meanwhile', async () => {
  const seen: string[] = [];
  let cursor = '';
  for (let page = 0; page < 10; page += 1) {
    const body = await list(`limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    seen.push(...body.items.map(({ host, seq }: { host: string; seq: number }) => `${host} ${seq}`));
    if (body.next_cursor === null) break;
    cursor = body.next_cursor;
  }
  assert.deepEqual(seen, ['h2 1', 'h1 6', 'h1 5', 'h1 4', 'h1 3', 'h1 2', 'h1 1']);
});

test('the tree: above, beside, below; what a process was forked as is not another', async () => {
  const tree = async (init: ProcessInit) =>
    (await service.get(`/v1/processes/tree?exec_id=${encodeURIComponent(execIdOf('h1', init))}`)).body;
  const pids = (of: readonly { pid: number; binary: string }[]): string[] =>
    of.map(({ pid, binary }) => `${pid} ${binary}`);
  const cat = await tree(CAT);
  assert.deepEqual(pids([cat.process, ...cat.ancestors]), ['7 /usr/bin/cat', '5 /bin/sh', '1 /sbin/init']);
  assert.deepEqual([pids(cat.siblings), cat.children], [['8 /bin/sleep'], []]);
  assert.deepEqual([cat.process.kind, cat.process.end.signal, cat.siblings[0].end], ['EXEC', 'SIGKILL', null]);
  assert.deepEqual(pids((await tree(SHELL)).children), ['7 /usr/bin/cat', '8 /bin/sleep']);
  const none = await service.get(
    `/v1/processes/tree?exec_id=${encodeURIComponent(execIdOf('h1', { pid: 99, execNs: 1 }))}`,
  );
  assert.deepEqual([none.status, none.body.field], [404, 'exec_id']);
});

test('a stream begins with what is stored and goes on with what comes, each once, also when it was cut', async () => {
  const busy = { ...CAT, binary: '/usr/bin/busy' };
  const send = (seq: number) =>
    sendProcesses(service, 'h3', seq, processBatch(seq, [execEvent('h3', { ...busy, execNs: seq })]));
  await send(1);
  await stored('h3', 1);
  const path = `${service.app.http}/v1/processes/events/stream?since=5m&binary=busy`;
  const first = await openSse(path);
  const seqs = (reader: typeof first): number[] =>
    reader.events.filter(({ event }) => event === 'process').map(({ data }) => data.seq);
  await first.until('the stored one', () => seqs(first).length === 1);
  await send(2);
  await send(3);
  await first.until('two that came', () => seqs(first).length === 3);
  const [, second] = first.events.filter(({ event }) => event === 'process');
  await send(4);
  const again = await openSse(path, second?.id);
  await again.until('those behind the second', () => seqs(again).length === 2 && seqs(first).length === 4);
  again.close();
  assert.deepEqual(
    [seqs(first), seqs(again)],
    [
      [1, 2, 3, 4],
      [3, 4],
    ],
  );
});
