// SPDX-License-Identifier: Apache-2.0
/** Descriptors: closed when asked, when forgotten, never twice, never under a running call. */
import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { createMap, MAP_TYPE, openNetlink, openObject, ringBuffer } from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, own, u32, u64 } from './helper.ts';

const skip = needKernel();

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

const bpfDescriptors = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /bpf|netlink|socket|btf/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  }).length;

const definition = { name: own('l'), type: MAP_TYPE.HASH, keySize: 4, valueSize: 8, maxEntries: 1000 };

test('closing an object closes everything it had', { skip }, async () => {
  (await openObject(compile('maps'))).close();
  const before = bpfDescriptors();
  for (let i = 0; i < 20; i++) (await openObject(compile('maps'))).close();
  await assert.rejects(openObject(compile('refused')));
  await assert.rejects(openObject(compile('maps'), { maxEntries: { plain: 4_000_000_000 } }));
  openNetlink().close();
  assert.equal(bpfDescriptors(), before);
});

test('what is forgotten is closed by the garbage collector', { skip }, async () => {
  const before = bpfDescriptors();
  for (let i = 0; i < 50; i++) await createMap(definition);
  await openObject(compile('maps'));
  assert.ok(bpfDescriptors() > before);
  for (let i = 0; i < 50 && bpfDescriptors() > before; i++) {
    gc();
    await sleep(10);
  }
  assert.equal(bpfDescriptors(), before);
});

test('work under way keeps what it needs when it is closed meanwhile', { skip }, async () => {
  for (let round = 0; round < 20; round++) {
    const map = await createMap(definition);
    const keys = Buffer.concat(Array.from({ length: 1000 }, (_, i) => u32(i)));
    const writing = map.updateBatch(keys, Buffer.alloc(8000, 1), 1000);
    const reading = map.lookupAll();
    keys.fill(0xff); // the batch was copied: the caller may go on with its buffer
    map.close();
    const other = await createMap({ ...definition, name: own('o') });
    await writing;
    const { count } = await reading;
    assert.ok(count <= 1000);
    assert.equal(other.lookup(u32(1)), undefined);
    other.close();
  }
});

test('a running ring keeps its map; a stopped one lets it go', { skip }, async () => {
  const before = bpfDescriptors();
  const object = await openObject(compile('events', ['RING_BYTES=65536']));
  let got = 0;
  const ring = ringBuffer({
    map: object.map('events'),
    flow: { boot: 1n, firstSeq: 0n },
    onBatch: ({ count }) => {
      got += count;
    },
  });
  await object.program('produce').testRun({ ctx: Buffer.concat([u64(0), u32(10), u32(1), u64(0), u64(0)]) });
  object.close();
  await ring.stop();
  assert.equal(got, 10);
  assert.equal(ring.stats().events, 10n);
  assert.ok(bpfDescriptors() >= before);
});

test('worker threads have an addon of their own', { skip }, async () => {
  const url = new URL('../src/index.ts', import.meta.url).href;
  const source = `
    const { parentPort } = require('node:worker_threads');
    import('${url}').then(async ({ openObject, ringBuffer, openNetlink }) => {
      const object = await openObject(${JSON.stringify(compile('events', ['RING_BYTES=65536']))});
      ringBuffer({ map: object.map('events'), flow: { boot: 1n, firstSeq: 0n }, onBatch() {} });
      openNetlink().monitor(() => {});
      parentPort.postMessage(object.program('produce').id);
    });`;
  for (let i = 0; i < 3; i++) {
    const worker = new Worker(source, { eval: true });
    const id = await new Promise<number>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    assert.ok(id > 0);
    await worker.terminate(); // with its threads alive
  }
});
