// SPDX-License-Identifier: Apache-2.0
/** Durable consumers: a message is handled at least once, poison ends in the dead letters, a store that is away loses nothing. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';
import { type Bus, connectBus, consume, ensureStreams, publishEvents, STREAM, subjects } from '../src/index.ts';
import { startTestNats, type TestNats } from '../src/testing.ts';

let nats: TestNats;
let bus: Bus;
before(async () => {
  nats = await startTestNats();
  bus = await connectBus({ servers: nats.url, name: 'test' });
});
after(async () => {
  await bus.close();
  await nats.stop();
});
beforeEach(async () => {
  for await (const stream of bus.jsm.streams.list()) await bus.jsm.streams.delete(stream.config.name);
  await ensureStreams(bus.jsm);
});

const subject = subjects.evtFlow.build({ host: 'a' });
const send = async (count: number, from = 0): Promise<void> => {
  for (let seq = from; seq < from + count; seq += 1) {
    await publishEvents(bus.js, subject, subjects.evtFlow.encode({ boot: 1n, firstSeq: BigInt(seq) }), `a:1:${seq}`);
  }
};
const seqOf = (data: Uint8Array): number => Number(subjects.evtFlow.decode(data).firstSeq);
const until = async (what: () => boolean, ms = 60_000): Promise<void> => {
  const end = Date.now() + ms;
  while (!what()) {
    assert.ok(Date.now() < end, `not within ${ms} ms: ${what}`);
    await sleep(10);
  }
};

test('two replicas share what comes; each message is handled once', async () => {
  const seen: number[][] = [[], []];
  const replicas = seen.map((list) =>
    consume({
      bus,
      stream: STREAM.EVENTS,
      durable: 'analytics',
      batch: 10,
      handle: async (messages) => {
        await sleep(2);
        list.push(...messages.map(({ data }) => seqOf(data)));
      },
    }),
  );
  await sleep(300);
  await send(500);
  await until(() => seen.flat().length >= 500);
  assert.deepEqual(
    seen.flat().sort((a, b) => a - b),
    Array.from({ length: 500 }, (_, index) => index),
  );
  assert.ok(seen.every((list) => list.length > 0));
  await Promise.all(replicas.map((replica) => replica.stop()));
});

test('one poison message among 1,000: one dead letter, all others handled', async () => {
  const seen = new Set<number>();
  const dead: number[] = [];
  const errors: unknown[] = [];
  const consumer = consume({
    bus,
    stream: STREAM.EVENTS,
    durable: 'analytics',
    maxAttempts: 3,
    handle: async (messages) => {
      if (messages.some(({ data }) => seqOf(data) === 500)) throw new Error('poison');
      for (const { data } of messages) seen.add(seqOf(data));
    },
    deadLetter: async ({ data }) => void dead.push(seqOf(data)),
    onError: (error) => void errors.push(error),
  });
  await send(1_000);
  await until(() => seen.size === 999 && dead.length > 0);
  assert.deepEqual(dead, [500]);
  assert.equal(errors.length, 3);
  await sleep(100);
  assert.equal((await bus.jsm.consumers.info(STREAM.EVENTS, 'analytics')).num_ack_pending, 0);
  await consumer.stop();
});

test('a store that is away for 3 s makes no dead letter and loses nothing', async () => {
  const seen = new Set<number>();
  const dead: unknown[] = [];
  const backAt = Date.now() + 3_000;
  const consumer = consume({
    bus,
    stream: STREAM.EVENTS,
    durable: 'analytics',
    maxAttempts: 1,
    handle: async (messages) => {
      if (Date.now() < backAt) throw weirError('UNAVAILABLE', 'no database');
      for (const { data } of messages) seen.add(seqOf(data));
    },
    deadLetter: async (message) => void dead.push(message),
  });
  await send(300);
  await until(() => seen.size === 300);
  assert.deepEqual(dead, []);
  await consumer.stop();
});

test('the broker comes back without the consumer: it is made again', async () => {
  const seen = new Set<number>();
  const consumer = consume({
    bus,
    stream: STREAM.EVENTS,
    durable: 'analytics',
    handle: async (messages) => {
      for (const { data } of messages) seen.add(seqOf(data));
    },
  });
  await send(10);
  await until(() => seen.size === 10);
  await bus.jsm.consumers.delete(STREAM.EVENTS, 'analytics');
  await send(10, 10);
  await until(() => seen.size === 20, 60_000);
  await consumer.stop();
});

test('stopped at whatever moment of its start, it stops', async () => {
  for (let turn = 0; turn < 40; turn++) {
    const consumer = consume({ bus, stream: STREAM.EVENTS, durable: 'analytics', handle: async () => {} });
    await sleep(turn / 4);
    let stopped = false;
    void consumer.stop().then(() => {
      stopped = true;
    });
    await until(() => stopped);
  }
});
