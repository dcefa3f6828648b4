// SPDX-License-Identifier: Apache-2.0
/** A snapshot is whole and comes to an end, however fast what it reads is replaced meanwhile. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Bus, connectBus, ensureStreams, readSnapshot } from '../src/index.ts';
import { startTestNats, type TestNats } from '../src/testing.ts';

const INBOX = '_INBOX_SVC_reader';
/** Longer than any snapshot takes on a busy machine: one that never ends fails by name. */
const ENDLESS_MS = 60_000;

let nats: TestNats;
let writer: Bus;
let reader: Bus;

before(async () => {
  nats = await startTestNats();
  writer = await connectBus({ servers: nats.url, name: 'writer' });
  reader = await connectBus({ servers: nats.url, name: 'reader', inboxPrefix: INBOX });
  await ensureStreams(writer.jsm);
});
after(async () => {
  await reader?.close();
  await writer?.close();
  await nats?.stop();
});

let numbered = 0;
/** The newest number of each subject that the broker has acknowledged. */
const acknowledged = new Map<string, number>();
const replace = async (key: number): Promise<void> => {
  const subject = `weir.v1.cfg.host.h${key}`;
  const number = ++numbered;
  await writer.js.publish(subject, String(number));
  acknowledged.set(subject, number);
};
const read = async ({ nc, jsm }: Pick<Bus, 'nc' | 'jsm'> = reader): Promise<Map<string, number>> => {
  const messages = await readSnapshot({
    nc,
    jsm,
    inboxPrefix: INBOX,
    consumer: 'snap-SVC-reader',
    signal: AbortSignal.timeout(ENDLESS_MS),
  });
  const newest = new Map<string, number>();
  for (const { subject, data } of messages) {
    newest.set(subject, Math.max(newest.get(subject) ?? 0, Number(Buffer.from(data).toString())));
  }
  return newest;
};

test('what is there is read, and nothing of nothing', async () => {
  assert.equal((await read()).size, 0);
  // More than one batch.
  for (let key = 0; key < 1_200; key++) await replace(key);
  assert.deepEqual(await read(), acknowledged);
});

test('a message replaced between the making of the consumer and its delivery', async () => {
  const { consumers } = reader.jsm;
  const add = async (...args: Parameters<typeof consumers.add>) => {
    const made = await consumers.add(...args);
    for (const key of [0, 600, 1_199]) await replace(key);
    return made;
  };
  const jsm = { consumers: { add, delete: consumers.delete.bind(consumers) } } as unknown as Bus['jsm'];
  assert.deepEqual(await read({ nc: reader.nc, jsm }), acknowledged);
});

test('while a few subjects are replaced without a pause', async () => {
  const stop = new AbortController();
  const replacing = (async () => {
    while (!stop.signal.aborted) {
      await replace(Math.floor(Math.random() * 3));
      await new Promise((done) => setTimeout(done, Math.random() * 4));
    }
  })();
  try {
    for (let i = 0; i < 100; i++) {
      const before = new Map(acknowledged);
      const newest = await read();
      for (const [subject, number] of before) {
        assert.ok((newest.get(subject) ?? 0) >= number, `${subject} is older than what was acknowledged before`);
      }
    }
  } finally {
    stop.abort();
    await replacing;
  }
});
