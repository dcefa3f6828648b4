// SPDX-License-Identifier: Apache-2.0
/** Streams of events: alive while nothing happens, as fast as the reader, and ended with a word. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHttp, type HttpApp, listen, readerSignal, type StreamEvent, sendEvents } from '../src/index.ts';
import { openSse } from '../src/testing.ts';

let app: HttpApp;
let url: string;
let sent = 0;
let left = 0;
const ending = new AbortController();

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (const deadline = performance.now() + 60_000; !holds(); await sleep(10))
    assert.ok(performance.now() < deadline, what);
};

async function* waiting(signal: AbortSignal): AsyncGenerator<StreamEvent> {
  try {
    yield { event: 'one', id: '1', data: { text: 'a\nb' } };
    await once(AbortSignal.any([signal, ending.signal]), 'abort');
  } finally {
    left += 1;
  }
}

async function* broken(): AsyncGenerator<StreamEvent> {
  yield { event: 'one', data: {} };
  throw new Error('the database went away');
}

async function* endless(): AsyncGenerator<StreamEvent> {
  for (;;) {
    yield { event: 'big', data: 'x'.repeat(100_000) };
    sent += 1;
  }
}

before(async () => {
  app = await createHttp({ service: 'test', docs: { title: 'test' } });
  app.get('/waiting', (_, reply) => {
    const signal = readerSignal(reply);
    return sendEvents(reply, waiting(signal), signal, 20);
  });
  app.get('/broken', (_, reply) => sendEvents(reply, broken(), readerSignal(reply)));
  app.get('/endless', (_, reply) => sendEvents(reply, endless(), readerSignal(reply)));
  url = await listen(app, { port: 0 });
});
after(() => app.close());

test('comments while nothing happens; the source is let go when the reader goes', async () => {
  const reader = await openSse(`${url}/waiting`);
  assert.equal(reader.headers.get('cache-control'), 'no-store');
  assert.ok(reader.headers.get('content-security-policy'), 'headers of hooks');
  await reader.until('the event', ({ length }) => length === 1);
  assert.deepEqual(reader.events, [{ event: 'one', id: '1', data: { text: 'a\nb' } }]);
  await until('pings', () => reader.comments() >= 3);
  reader.close();
  await until('the source to be let go', () => left === 1);
});

test('a source that ends, or fails, is an event `end`', async () => {
  const failed = await openSse(`${url}/broken`);
  await failed.ended;
  assert.deepEqual(
    failed.events.map(({ event }) => event),
    ['one', 'end'],
  );
  assert.match(failed.events[1]?.data.reason, /broke/);
  const reader = await openSse(`${url}/waiting`);
  await reader.until('the event', ({ length }) => length === 1);
  ending.abort();
  await reader.ended;
  assert.match(reader.events.at(-1)?.data.reason, /the service is ending; go on with Last-Event-ID/);
});

test('a reader that does not read is not sent more than buffers hold', async () => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.pause();
  socket.write('GET /endless HTTP/1.1\r\nhost: x\r\n\r\n');
  await until('the first events', () => sent > 0);
  let before = -1;
  // Standing still over half a second, while a reading one would get thousands.
  await until('it to stand still', () => {
    const still = sent === before;
    before = sent;
    return still && sent > 0;
  });
  await sleep(300);
  assert.ok(sent - before < 5, `${sent} events of 100 kB`);
  assert.ok(sent < 500, `${sent} events of 100 kB`);
  socket.destroy();
});
