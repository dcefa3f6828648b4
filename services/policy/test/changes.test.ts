// SPDX-License-Identifier: Apache-2.0
/** GET /v1/changes of the service as it runs: told of every document, over restarts, and told when it ends. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isWeirError, type Problem } from '@weir/errors';
import { openSse, type SseEvent, type SseReader } from '@weir/http/testing';
import { ChangeService, type StreamChangesResponse, What } from '@weir/proto/weir/changes/v1/changes_pb.js';
import { createRpcClient, type RpcClient } from '@weir/rpc';
import { type Harness, networkPolicy, startHarness, WEB } from './support/harness.ts';

let harness: Harness;
before(async () => {
  harness = await startHarness();
});
after(() => harness.stop());

const open = (lastEventId?: string, query = ''): Promise<SseReader> =>
  openSse(`${harness.app().http}/v1/changes${query}`, lastEventId);
const changes = (events: readonly SseEvent[]) =>
  events.filter(({ event }) => event === 'change').map(({ data }) => [data.what, data.key, data.revision]);
const lastId = ({ events }: SseReader): string => events.findLast(({ id }) => id !== '')?.id ?? '';
const key = (name: string): string => `NetworkPolicy/prod/${name}`;

test('what is applied and deleted is told, with its revision; what is refused or the same is not', async () => {
  const reader = await open(undefined, '?kind=policy');
  assert.match(reader.headers.get('content-type') ?? '', /text\/event-stream/);
  await reader.until('ready', (events) => events[0]?.event === 'ready');
  const { body } = await harness.apply(`${networkPolicy('a', WEB)}---\n${networkPolicy('b', WEB)}`);
  await harness.apply(networkPolicy('a', WEB));
  await harness.apply(networkPolicy('c', WEB), '?dry_run=true');
  await harness.apply('kind: [');
  const deleted = await harness.call<{ revision: number }>('DELETE', `/v1/policies/${key('a')}`);
  await reader.until('three changes', (events) => changes(events).length === 3);
  const [first, second] = body.results;
  assert.deepEqual(changes(reader.events), [
    ['written', first?.key, first?.revision],
    ['written', second?.key, second?.revision],
    ['removed', key('a'), deleted.body.revision],
  ]);
  assert.ok(reader.events.every(({ data }) => data.at === undefined || Date.parse(data.at) <= Date.now() + 60_000));
  reader.close();
});

test('a reader who follows through restarts misses nothing and sees nothing twice', async () => {
  const seen: string[] = [];
  let from: string | undefined;
  let restarting = true;
  const follow = async (): Promise<void> => {
    while (restarting || seen.length < 30) {
      try {
        const reader = await open(from);
        if (reader.status === 200) {
          await Promise.race([
            reader.ended,
            reader.until('all', (events) => !restarting && seen.length + changes(events).length >= 30, 60_000),
          ]);
          seen.push(...changes(reader.events).map(([, name]) => String(name)));
          from = lastId(reader) || from;
        }
        reader.close();
      } catch {
        // Not there for the moment.
      }
      await sleep(20);
    }
  };
  const start = await open();
  await start.until('ready', (events) => events.length === 1);
  from = lastId(start);
  start.close();
  const following = follow();
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 9; i += 1) await harness.apply(networkPolicy(`r${round}-${i}`, WEB));
    await harness.restart();
    await harness.apply(networkPolicy(`after-${round}`, WEB));
  }
  restarting = false;
  await following;
  const wanted = [0, 1, 2].flatMap((round) => [
    ...Array.from({ length: 9 }, (_, i) => key(`r${round}-${i}`)),
    key(`after-${round}`),
  ]);
  assert.deepEqual(seen, wanted);
});

test('the end of the service is told', async () => {
  const reader = await open();
  await reader.until('ready', (events) => events.length === 1);
  await harness.restart();
  await reader.ended;
  const end = reader.events.at(-1);
  assert.deepEqual([end?.event, end?.id], ['end', '']);
  assert.match(end?.data.reason, /the service is ending; go on with Last-Event-ID/);
});

test('a place of another database, and what is wrong', async () => {
  const elsewhere = await open('9.5');
  await elsewhere.until('reset', (events) => events[0]?.event === 'reset');
  elsewhere.close();
  const refused = async (path: string, headers: Record<string, string> = {}) => {
    const { status, body } = await harness.call<Problem>('GET', path, { headers });
    return [status, body.code, body.field];
  };
  const wrong = [422, 'INVALID_ARGUMENT', 'kind[0]'];
  assert.deepEqual(await refused('/v1/changes?kind=workload'), wrong);
  assert.deepEqual(await refused('/v1/changes', { 'last-event-id': 'x' }), [422, 'INVALID_ARGUMENT', 'Last-Event-ID']);
});

const withClient = async (work: (client: RpcClient<typeof ChangeService>) => Promise<void>): Promise<void> => {
  const client = createRpcClient(ChangeService, harness.app().grpc ?? '');
  try {
    await work(client);
  } finally {
    client.close();
  }
};
const taken = async (stream: AsyncIterable<StreamChangesResponse>, count: number): Promise<StreamChangesResponse[]> => {
  const events: StreamChangesResponse[] = [];
  for await (const event of stream) if (events.push(event) >= count) break;
  return events;
};
const noted = (events: readonly StreamChangesResponse[]) =>
  events.map(({ event }) => (event.case === 'change' ? `${What[event.value.what]} ${event.value.key}` : event.case));

test('gRPC: the same events with the same ids, over a restart, whichever door gave the id', async () => {
  const reader = await open();
  await reader.until('ready', (events) => events[0]?.event === 'ready');
  const from = lastId(reader);
  await harness.apply(networkPolicy('g1', WEB));
  await harness.call('DELETE', `/v1/policies/${key('g1')}`);
  await reader.until('two changes', (events) => changes(events).length === 2);
  const wanted = ['ready', `WRITTEN ${key('g1')}`, `REMOVED ${key('g1')}`];
  let second = '';
  await withClient(async (client) => {
    const events = await taken(client.streamChanges({ afterId: from, kinds: ['policy'] }), 3);
    assert.deepEqual(noted(events), wanted);
    const sse = reader.events.filter(({ id }) => id !== '').map(({ id }) => id);
    assert.deepEqual(
      events.map(({ id }) => id),
      sse,
    );
    const [, { event } = {}] = events;
    assert.ok(event?.case === 'change' && event.value.at !== undefined);
    assert.equal(Number(event.value.revision), changes(reader.events)[0]?.[2]);
    second = events[1]?.id ?? '';
  });
  reader.close();
  await harness.restart();
  await withClient(async (client) => {
    const events = await taken(client.streamChanges({ afterId: second }), 2);
    assert.deepEqual(noted(events), ['ready', wanted[2]]);
    assert.equal(events[0]?.id, second);
  });
});

test('gRPC: a place of another database, what is wrong, a deadline, and the end of the service', async () => {
  const refused = (stream: AsyncIterable<StreamChangesResponse>, code: string, field?: string) =>
    assert.rejects(taken(stream, 1_000), (error) => {
      assert.ok(isWeirError(error), String(error));
      assert.deepEqual([error.code, error.facts.field], [code, field], error.message);
      assert.ok(error.facts.fix);
      return true;
    });
  await withClient(async (client) => {
    assert.deepEqual(noted(await taken(client.streamChanges({ afterId: '9.5' }), 1)), ['reset']);
    await refused(client.streamChanges({ afterId: 'x' }), 'INVALID_ARGUMENT', 'Last-Event-ID');
    await refused(client.streamChanges({ kinds: ['workload'] }), 'INVALID_ARGUMENT', 'kinds[0]');
    await assert.rejects(taken(client.streamChanges({}, { timeoutMs: 300 }), 2), { code: 'DEADLINE_EXCEEDED' });
    const stream = client.streamChanges({})[Symbol.asyncIterator]();
    assert.equal((await stream.next()).value?.event.case, 'ready');
    await harness.restart();
    await refused({ [Symbol.asyncIterator]: () => stream }, 'UNAVAILABLE');
  });
});
