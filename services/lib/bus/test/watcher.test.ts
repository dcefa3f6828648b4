// SPDX-License-Identifier: Apache-2.0
/** Readers of the configuration against a real broker: nothing missed, nothing older taken, nothing forged. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Bus,
  type ConfigEntry,
  type ConfigWatcher,
  configSubject,
  configWatcher,
  connectBus,
  createKeys,
  createSigner,
  ensureStreams,
  hostSnapshotConsumer,
  publishHeartbeat,
  publishTo,
  STREAM,
  signDocument,
  subjects,
} from '../src/index.ts';
import { startTestNats, type TestNats } from '../src/testing.ts';

const keys = createKeys('account');
const signer = createSigner(keys.seed);
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

const policyDoc = (key: string, revision: number, removed = false, epoch = 1) => {
  const subject = configSubject('policy', key);
  return signDocument(signer, {
    subject,
    epoch: BigInt(epoch),
    revision: BigInt(revision),
    publisher: 'policy',
    ...(removed ? {} : { body: { case: 'policy' as const, value: { key, document: `{"r":${revision}}` } } }),
  });
};
const put = (key: string, revision: number, removed = false, epoch = 1) =>
  publishTo(
    bus.js,
    STREAM.CONFIG,
    configSubject('policy', key),
    policyDoc(key, revision, removed, epoch),
    `${epoch}:${revision}:${Math.random()}`,
  );
/** Past the stream: as if the message were lost on its way to this reader's subscription only. */
const beat = (revision: number, documents: number, epoch = 1) =>
  publishHeartbeat(bus.nc, signer, 'policy', {
    epoch: BigInt(epoch),
    revision: BigInt(revision),
    documents: BigInt(documents),
  });
const until = async (what: () => boolean, ms = 60_000): Promise<void> => {
  const end = Date.now() + ms;
  while (!what()) {
    assert.ok(Date.now() < end, `not within ${ms} ms: ${what}`);
    await sleep(10);
  }
};

/** Requests made while the connection is away are lost. */
const eventually = async (action: () => Promise<unknown>): Promise<void> => {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      await action();
      return;
    } catch (error) {
      if (attempt === 4) throw error;
    }
  }
};

interface Reader {
  watcher: ConfigWatcher;
  changes: ConfigEntry[];
  resets: (readonly ConfigEntry[])[];
  errors: unknown[];
  keys(): string[];
}
const read = (options: Partial<Parameters<typeof configWatcher>[0]> = {}): Reader => {
  const changes: ConfigEntry[] = [];
  const resets: (readonly ConfigEntry[])[] = [];
  const errors: unknown[] = [];
  const watcher = configWatcher({
    ...bus,
    trustedKeys: [keys.publicKey],
    inboxPrefix: '_INBOX',
    consumer: hostSnapshotConsumer('h1'),
    jitterMs: 0,
    onReset: (entries) => void resets.push(entries),
    onChange: (entry) => void changes.push(entry),
    onError: (error) => void errors.push(error),
    ...options,
  });
  return {
    watcher,
    changes,
    resets,
    errors,
    keys: () =>
      watcher
        .entries()
        .map(({ key }) => key)
        .sort(),
  };
};
const fresh = async () => {
  for await (const stream of bus.jsm.streams.list()) await bus.jsm.streams.delete(stream.config.name);
  await ensureStreams(bus.jsm);
};

test('streams are made once and adapted in place', async () => {
  await fresh();
  await Promise.all([ensureStreams(bus.jsm), ensureStreams(bus.jsm, { eventsMaxBytes: 1_000_000 })]);
  await ensureStreams(bus.jsm, { eventsMaxBytes: 2_000_000 });
  assert.equal((await bus.jsm.streams.info(STREAM.EVENTS)).config.max_bytes, 2_000_000);
  await ensureStreams(bus.jsm);
});

test('a snapshot, then what follows; the consumer is gone afterwards', async () => {
  await fresh();
  for (let revision = 1; revision <= 1_200; revision += 1) await put(`CNP/prod/p${revision % 1_100}`, revision);
  const reader = read();
  await reader.watcher.ready;
  assert.equal(reader.resets[0]?.length, 1_100);
  assert.equal(reader.watcher.positions().policy?.revision, 1_200n);
  assert.equal((await bus.jsm.streams.info(STREAM.CONFIG)).state.consumer_count, 0);
  await put('CNP/prod/p1', 1_201, true);
  await put('CNP/prod/new', 1_202);
  await until(() => reader.changes.length === 2);
  assert.deepEqual(
    reader.changes.map(({ key, removed }) => [key, removed]),
    [
      ['CNP/prod/p1', true],
      ['CNP/prod/new', false],
    ],
  );
  assert.equal(reader.watcher.positions().policy?.revision, 1_202n);
  assert.equal(reader.watcher.stats().gaps, 0);
  await reader.watcher.stop();
});

test('nothing is missed while a snapshot is read', async () => {
  await fresh();
  let revision = 0;
  const expected = new Map<string, bigint>();
  const write = async (key: string): Promise<void> => {
    revision += 1;
    expected.set(key, BigInt(revision));
    await put(key, revision);
  };
  while (revision < 300) await write(`k${revision}`);
  const writer = (async () => {
    for (let more = 0; more < 300; more += 1) await write(`k${(more * 7) % 400}`);
  })();
  const readers = [
    read(),
    read({ consumer: hostSnapshotConsumer('h2') }),
    read({ consumer: hostSnapshotConsumer('h3') }),
  ];
  await Promise.all(readers.map(({ watcher }) => watcher.ready));
  await writer;
  for (const { watcher } of readers) {
    await until(() => watcher.positions().policy?.revision === BigInt(revision));
    const held = new Map(watcher.entries().map(({ key, document }) => [key, document.revision]));
    assert.deepEqual(held, expected);
    await watcher.stop();
  }
});

test('1,000 revisions shuffled and duplicated by two publishers with old state end at the newest', async () => {
  await fresh();
  await put('a', 1);
  const reader = read();
  await reader.watcher.ready;
  const seen = new Map<string, bigint>();
  let regressions = 0;
  const order = Array.from({ length: 1_000 }, (_, index) => index + 2);
  const shuffled = [...order, ...order].sort(() => Math.random() - 0.5);
  for (const revision of shuffled) {
    // Straight to the subscribers: the stream keeps only the order of arrival.
    bus.nc.publish(configSubject('policy', `k${revision % 10}`), policyDoc(`k${revision % 10}`, revision));
  }
  await bus.nc.flush();
  await until(
    () =>
      reader.watcher.entries().length === 11 &&
      reader.watcher.entries().filter(({ document }) => document.revision >= 992n).length === 10,
  );
  for (const { key, document } of reader.changes) {
    if (document.revision <= (seen.get(key) ?? 0n)) regressions += 1;
    seen.set(key, document.revision);
  }
  assert.equal(regressions, 0);
  await reader.watcher.stop();
});

test('a missed document is seen by the heartbeat and healed', async () => {
  await fresh();
  await put('a', 1);
  const reader = read();
  await reader.watcher.ready;
  // Removed behind the reader's back, another one added without the reader hearing it: only the stream has both.
  const quiet = await connectBus({ servers: nats.url, name: 'quiet' });
  reader.watcher.entries();
  await put('b', 2);
  await until(() => reader.keys().includes('b'));
  beat(2, 2);
  await bus.nc.flush();
  beat(4, 3);
  await until(() => reader.watcher.stats().snapshots >= 2);
  await put('c', 4);
  await until(() => reader.keys().includes('c'));
  await until(() => reader.watcher.positions().policy?.revision === 4n);
  await quiet.close();
  await reader.watcher.stop();
});

test('a document that left without a tombstone goes only when the heartbeat counts it out', async () => {
  await fresh();
  await put('a', 1);
  await put('b', 2);
  const reader = read();
  await reader.watcher.ready;
  await bus.jsm.streams.purge(STREAM.CONFIG, { filter: configSubject('policy', 'a') });
  await reader.watcher.resync();
  assert.deepEqual(reader.keys(), ['a', 'b'], 'absence alone is no removal');
  beat(2, 1);
  await until(() => reader.keys().join() === 'b');
  assert.deepEqual(
    reader.changes.map(({ key, removed }) => [key, removed]),
    [['a', true]],
  );
  // And it can't be replayed.
  bus.nc.publish(configSubject('policy', 'a'), policyDoc('a', 1));
  await bus.nc.flush();
  await sleep(50);
  assert.deepEqual(reader.keys(), ['b']);
  await reader.watcher.stop();
});

test('the broker loses everything: what is held stays, and is known again after it is published again', async () => {
  await fresh();
  for (let revision = 1; revision <= 3; revision += 1) await put(`k${revision}`, revision);
  const old = read();
  await old.watcher.ready;
  beat(3, 3);
  await nats.kill();
  await nats.start({ wipe: true });
  await eventually(() => ensureStreams(bus.jsm));
  await old.watcher.resync();
  assert.equal(old.keys().length, 3);
  await put('k3', 3);
  const young = read({ consumer: hostSnapshotConsumer('h2') });
  await young.watcher.ready;
  assert.deepEqual(young.keys(), ['k3']);
  await put('k1', 1);
  await put('k2', 2);
  beat(3, 3);
  await until(() => young.keys().length === 3);
  assert.equal(old.keys().length, 3);
  await Promise.all([old.watcher.stop(), young.watcher.stop()]);
});

test('a new epoch takes everything back', async () => {
  await fresh();
  await put('a', 500);
  const reader = read();
  await reader.watcher.ready;
  await put('a', 100, false, 2);
  await until(() => reader.watcher.get(configSubject('policy', 'a'))?.document.epoch === 2n);
  await until(() => reader.watcher.positions().policy?.epoch === 2n);
  assert.equal(reader.watcher.positions().policy?.revision, 100n);
  await reader.watcher.stop();
});

test('a last-known-good from disk is verified, and undercut by nothing', async () => {
  await fresh();
  await put('a', 5);
  const subject = configSubject('policy', 'a');
  const forged = policyDoc('a', 9);
  forged[20] = (forged[20] as number) ^ 1;
  const reader = read({
    preload: [
      { subject, signed: policyDoc('a', 7) },
      { subject: configSubject('policy', 'b'), signed: forged },
    ],
  });
  assert.deepEqual(
    reader.watcher.entries().map(({ document }) => document.revision),
    [7n],
  );
  await reader.watcher.ready;
  assert.equal(reader.watcher.get(subject)?.document.revision, 7n);
  assert.equal(reader.watcher.stats().refused, 1);
  await reader.watcher.stop();
});

test('nothing forged is taken: 2,000 mutants of a signed document', async () => {
  await fresh();
  await put('a', 1);
  const reader = read();
  await reader.watcher.ready;
  const good = policyDoc('a', 50);
  const subject = configSubject('policy', 'a');
  const stranger = createSigner(createKeys('account').seed);
  const mutants: Uint8Array[] = [
    new Uint8Array(),
    signDocument(stranger, {
      subject,
      epoch: 1n,
      revision: 60n,
      publisher: 'policy',
      body: { case: 'policy', value: { key: 'a' } },
    }),
    signDocument(signer, {
      subject,
      epoch: 1n,
      revision: 60n,
      publisher: 'inventory',
      body: { case: 'policy', value: { key: 'a' } },
    }),
    signDocument(signer, {
      subject,
      epoch: 1n,
      revision: 60n,
      publisher: 'policy',
      body: { case: 'host', value: { id: 'a' } },
    }),
    subjects.cfg.encode({ signed: subjects.cfg.decode(good).signed, signer: keys.publicKey }),
    subjects.cfg.encode({
      signed: subjects.cfg.decode(good).signed,
      signature: new Uint8Array(64),
      signer: keys.publicKey,
    }),
    policyDoc('b', 60),
  ];
  for (let index = 0; index < 2_000; index += 1) {
    const mutant = good.slice();
    const at = Math.floor(Math.random() * mutant.length);
    // Bits of the signature's encoding and of the document; a change that leaves the bytes' meaning is none.
    mutant[at] = (mutant[at] as number) ^ (1 << Math.floor(Math.random() * 8));
    mutants.push(index % 3 === 0 ? good.slice(0, at) : mutant);
  }
  for (const mutant of mutants) bus.nc.publish(subject, mutant);
  await bus.nc.flush();
  await until(() => reader.watcher.stats().refused >= mutants.length);
  assert.equal(reader.watcher.get(subject)?.document.revision, 1n);
  assert.equal(reader.watcher.stats().refused, mutants.length);
  await reader.watcher.stop();
});
