// SPDX-License-Identifier: Apache-2.0
/** Pages, streams, the service map and their gRPC twins. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FlowService, LostSource } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { Verdict } from '@weir/proto/weir/flow/v1/flow_pb.js';
import { createRpcClient } from '@weir/rpc';
import type { FlowView } from '../src/domain/flow-view.ts';
import { startService, type TestService, until } from './support/app.ts';
import { BOOT, batchBytes, flowInit } from './support/flows.ts';
import { openSse } from './support/sse.ts';

let service: TestService;

before(async () => {
  service = await startService();
});
after(() => service?.stop());

const key = ({ host, seq }: Pick<FlowView, 'host' | 'seq'>): string => `${host}:${seq}`;

const stored = (host: string, count: number): Promise<void> =>
  until(`${count} flows of ${host}`, async () => (await service.stored(host)) === count);

test('pages: each flow once, newest first, whatever arrives meanwhile', async () => {
  const nowMs = Date.now();
  // Many flows of one microsecond: the order among them must be strict too.
  const same = Array.from({ length: 50 }, (_, index) =>
    flowInit(index, nowMs - 120_000, { timeNs: BigInt(nowMs - 120_000) * 1_000_000n }),
  );
  await service.send('pages', batchBytes(BOOT, 1, same), `pages:${BOOT}:1`);
  for (let batch = 0; batch < 10; batch += 1)
    await service.sendFlows('pages', 101 + batch * 100, 100, { timeMs: nowMs - 100_000 + batch * 7_000 });
  await stored('pages', 1_050);
  const got: FlowView[] = [];
  let cursor: string | null = '';
  let pages = 0;
  do {
    const { status, body } = await service.get(
      `/v1/flows?host=pages&limit=64&last=1h${cursor ? `&cursor=${cursor}` : ''}`,
    );
    assert.equal(status, 200);
    got.push(...body.items);
    cursor = body.next_cursor;
    pages += 1;
    // Newer flows keep coming; a page may not shift by them.
    await service.sendFlows('pages', 100_000 + pages * 10, 10);
  } while (cursor);
  const old = got.filter(({ seq }) => seq < 100_000);
  assert.equal(new Set(old.map(key)).size, 1_050);
  assert.equal(got.length, 1_050);
  const order = [...got].sort((a, b) => (a.time === b.time ? b.seq - a.seq : a.time < b.time ? 1 : -1));
  assert.deepEqual(got.map(key), order.map(key));
});

test('pages: rare flows are found across partitions, and an old range is not a search through all of time', async () => {
  const hour = 3_600_000;
  const nowMs = Date.now();
  for (let back = 0; back < 20; back += 1) {
    await service.sendFlows('rare', 1 + back * 10, 10, {
      timeMs: nowMs - back * hour,
      over: back === 19 ? { verdict: 2, dropReason: 133 } : {},
    });
  }
  await stored('rare', 200);
  const startedAt = performance.now();
  const { body } = await service.get('/v1/flows?host=rare&verdict=DROPPED');
  assert.equal(body.items.length, 10);
  assert.equal(body.next_cursor, null);
  assert.ok(performance.now() - startedAt < 20_000);
});

test('a stream begins with what is stored, goes on live, and resumes where the reader left off', async () => {
  await service.sendFlows('sse', 1, 100, { timeMs: Date.now() - 5_000 });
  const url = `${service.app.http}/v1/flows/stream?host=sse&host=sse2`;
  const first = await openSse(`${url}&since=1h`);
  assert.match(first.headers.get('content-type') ?? '', /text\/event-stream/);
  await first.waitFor(100);
  await service.sendFlows('sse', 101, 50);
  await first.waitFor(150);
  assert.equal(new Set(first.keys()).size, 150, 'each once');
  const last = first.events.at(-1)?.id ?? '';
  first.close();

  await service.sendFlows('sse', 151, 50);
  await service.sendFlows('sse2', 1, 30);
  const second = await openSse(url, last);
  await second.waitFor(80);
  await service.sendFlows('sse', 201, 20);
  await second.waitFor(100);
  await sleep(200);
  const keys = [...first.keys(), ...second.keys()];
  assert.equal(new Set(keys).size, keys.length, 'nothing twice');
  assert.equal(keys.length, 250, 'nothing missing');
  second.close();
});

test('a stream resumed while flows are on their way has no gap and nothing twice', async () => {
  let seq = 1;
  let sending = true;
  const sender = (async () => {
    while (sending) {
      await service.sendFlows('busy', seq, 20);
      seq += 20;
      await sleep(5);
    }
  })();
  const keys: string[] = [];
  let id: string | undefined;
  for (let round = 0; round < 6; round += 1) {
    const reader = await openSse(`${service.app.http}/v1/flows/stream?host=busy`, id);
    await reader.waitFor(300);
    reader.close();
    // What arrived as a whole event is what the reader has.
    keys.push(...reader.keys());
    id = reader.events.filter(({ event }) => event === 'flow').at(-1)?.id;
    assert.ok(!reader.events.some(({ event }) => event === 'lost'));
  }
  sending = false;
  await sender;
  assert.equal(new Set(keys).size, keys.length, 'nothing twice');
  const numbers = keys.map((text) => Number(text.split(':')[2])).sort((a, b) => a - b);
  assert.equal((numbers.at(-1) as number) - (numbers[0] as number) + 1, numbers.length, 'no gap');
});

test('last: a stream begins with the newest flows, oldest of them first', async () => {
  await service.sendFlows('tail', 1, 100, { timeMs: Date.now() - 2_000 });
  await stored('tail', 100);
  const reader = await openSse(`${service.app.http}/v1/flows/stream?host=tail&last=5`);
  await reader.waitFor(5);
  await service.sendFlows('tail', 101, 5);
  await reader.waitFor(10);
  assert.deepEqual(
    reader.keys().map((text) => Number(text.split(':')[2])),
    [96, 97, 98, 99, 100, 101, 102, 103, 104, 105],
  );
  reader.close();
});

test('a Last-Event-ID older than what is kept is told as a gap of unknown size, then all that is kept comes', async () => {
  const old = ((Date.now() - 400 * 86_400_000) * 1_000).toString(36);
  const reader = await openSse(`${service.app.http}/v1/flows/stream`, `${old}/h1:1:1:${old}`);
  try {
    await reader.waitFor(1);
    const [first] = reader.events;
    assert.deepEqual([first?.event, first?.data], ['lost', { count: 0, source: 'EXPIRED' }]);
    assert.equal(reader.events.filter(({ event }) => event === 'lost').length, 1);
  } finally {
    reader.close();
  }
});

test('a bad Last-Event-ID is refused', async () => {
  const reader = await openSse(`${service.app.http}/v1/flows/stream`, 'bogus id');
  assert.equal(reader.status, 422);
});

test('a reader that does not read loses flows, is told how many, and holds up nobody', async () => {
  const { hostname, port } = new URL(service.app.http);
  const socket = connect(Number(port), hostname);
  socket.write('GET /v1/flows/stream?host=flood HTTP/1.1\r\nhost: x\r\n\r\n');
  await new Promise((done) => socket.once('data', done));
  socket.pause();
  const other = await openSse(`${service.app.http}/v1/flows/stream?host=flood&verdict=DROPPED`);
  for (let batch = 0; batch < 60; batch += 1)
    await service.sendFlows('flood', 1 + batch * 500, 500, { over: batch === 59 ? { verdict: 2 } : {} });
  await other.waitFor(500);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.resume();
  const counts = (): number[] =>
    [...text.matchAll(/event: lost\r?\ndata: {"count":(\d+)/g)].map((match) => Number(match[1]));
  const flows = (): number => text.match(/event: flow\n/g)?.length ?? 0;
  await until('told of the loss', () => counts().length > 0);
  await until(
    () => `all accounted for (${flows()} + ${counts()})`,
    () => flows() + counts().reduce((sum, count) => sum + count, 0) >= 29_000,
  );
  socket.destroy();
  other.close();
});

test('service map: each connection once, replies on its edge, drops where they fell', async () => {
  const at = Date.now();
  const web = {
    sourceIdentity: 400,
    destinationIdentity: 401,
    destinationPort: 443,
    sourcePort: 50_000,
    isReply: false,
  };
  const reply = {
    sourceIdentity: 401,
    destinationIdentity: 400,
    destinationPort: 50_000,
    sourcePort: 443,
    isReply: true,
  };
  const world = { ...web, destinationIdentity: (1 << 24) + 3 };
  const flow = (seq: number, over: object) => flowInit(seq, at, { packets: 10n, bytes: 1_000n, report: 1, ...over });
  // Seen at the client (egress) and at the server (ingress); one more was refused at the server.
  const client = [
    flow(1, { ...web, direction: 2 }),
    flow(2, { ...reply, direction: 2, packets: 5n }),
    flow(3, { ...web, direction: 2 }),
    flow(4, { ...world, direction: 2 }),
  ];
  const server = [
    flow(1, { ...web, direction: 1 }),
    flow(2, { ...reply, direction: 1, packets: 5n }),
    flow(3, { ...web, direction: 1, verdict: 2, dropReason: 133, report: 6 }),
    flow(4, { ...web, direction: 1, report: 3 }),
  ];
  await service.send('map1', batchBytes(BOOT, 1, client), `map1:${BOOT}:1`);
  await service.send('map2', batchBytes(BOOT, 1, server), `map2:${BOOT}:1`);
  await stored('map1', 4);
  await stored('map2', 4);
  const { status, body } = await service.get('/v1/service-map?since=10m');
  assert.equal(status, 200);
  const edges = body.edges.filter((edge: { source: number }) => edge.source === 400);
  const find = (destination: number, verdict: string) =>
    edges.find(
      (edge: { destination: number; verdict: string }) => edge.destination === destination && edge.verdict === verdict,
    );
  const { last_seen: seen, ...forwarded } = find(401, 'FORWARDED');
  assert.deepEqual(forwarded, {
    source: 400,
    destination: 401,
    protocol: 'TCP',
    port: 443,
    verdict: 'FORWARDED',
    connections: 1,
    packets: 20,
    bytes: 2_000,
    reply_packets: 5,
    reply_bytes: 1_000,
  });
  assert.ok(Math.abs(Date.parse(seen) - at) < 2_000);
  assert.equal(find(401, 'DROPPED').packets, 10);
  assert.equal(find(2, 'FORWARDED').connections, 1, 'a CIDR identity is the world');
  assert.deepEqual(edges.length, 3);
  assert.ok(
    body.nodes.some(
      (node: { identity: number; labels: string[] }) => node.identity === 2 && node.labels[0] === 'reserved:world',
    ),
  );
  assert.equal(
    (await service.get('/v1/service-map?since=2h&until=1h')).body.edges.filter(
      (edge: { source: number }) => edge.source === 400,
    ).length,
    0,
  );
  assert.equal((await service.get('/v1/service-map?since=10m&until=1h')).status, 422);
});

test('gRPC: lists page by page and streams', async () => {
  const client = createRpcClient(FlowService, service.app.grpc);
  try {
    await service.sendFlows('grpc', 1, 120, { over: { verdict: Verdict.DROPPED, dropReason: 133 } });
    await stored('grpc', 120);
    const filter = { hosts: ['grpc'], verdicts: [Verdict.DROPPED], to: { ports: [443] } };
    const first = await client.listFlows({ filter, pageSize: 40 });
    assert.equal(first.flows.length, 40);
    const second = await client.listFlows({ filter, pageSize: 40, pageToken: first.nextPageToken });
    assert.equal(second.flows.length, 20);
    assert.equal(second.nextPageToken, '');
    const [flow] = first.flows;
    assert.equal(flow?.dropReason?.text, 'Policy denied');
    assert.equal(flow?.destination?.port, 443);
    const rest = (await service.get(`/v1/flows?host=grpc&to_port=443&limit=1`)).body.items[0];
    assert.equal(Number(flow?.seq), rest.seq);
    assert.equal(flow?.connectionId, rest.connection_id);

    const stop = new AbortController();
    const seqs: number[] = [];
    for await (const { event } of client.streamFlows(
      { filter: { hosts: ['grpc'] }, last: 3 },
      { signal: stop.signal },
    )) {
      assert.equal(event.case, 'flow');
      seqs.push(Number((event.value as { seq: bigint }).seq));
      if (seqs.length === 3) await service.sendFlows('grpc', 121, 3);
      if (seqs.length === 6) break;
    }
    assert.deepEqual(seqs, [118, 119, 120, 121, 122, 123]);
    await assert.rejects(client.listFlows({ filter: { from: { ips: ['nonsense'] } } }), {
      code: 'INVALID_ARGUMENT',
      message: /nonsense/,
    });
    assert.equal(LostSource.STREAM_QUEUE, 1);
  } finally {
    client.close();
  }
});
