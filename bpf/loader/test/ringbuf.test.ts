// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fromBinary } from '@bufbuild/protobuf';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import {
  type BpfObject,
  type FlowBatchBytes,
  openObject,
  type Ring,
  type RingOptions,
  ringBuffer,
} from '../src/index.ts';
import { needKernel } from '../src/testing.ts';
import { compile, u32, u64 } from './helper.ts';

const skip = needKernel();
const FLOW = 1;
const OTHER = 2;
const JUNK = 0;
const DISCARDED = 255;
/** A flow of a program that knows fewer fields. */
const OLDER = 254;

const rings: Ring[] = [];
const start = (options: RingOptions): Ring => {
  const ring = ringBuffer(options);
  rings.push(ring);
  return ring;
};

const withRing = async (ringBytes: number, work: (object: BpfObject) => Promise<void>): Promise<void> => {
  const object = await openObject(compile('events', [`RING_BYTES=${ringBytes}`]));
  try {
    await work(object);
  } finally {
    // also after a failed assertion: a live ring keeps the process alive
    await Promise.all(rings.splice(0).map((ring) => ring.stop()));
    object.close();
  }
};

const produce = async (object: BpfObject, first: number, count: number, kind = FLOW) => {
  const ctx = Buffer.concat([u64(first), u32(count), u32(kind), u64(0), u64(0)]);
  const { ctxOut } = await object.program('produce').testRun({ ctx });
  return { written: Number(ctxOut.readBigUInt64LE(16)), lost: Number(ctxOut.readBigUInt64LE(24)) };
};

const options = (object: BpfObject, batches: FlowBatchBytes[], more: Partial<RingOptions> = {}): RingOptions => ({
  map: object.map('events'),
  flow: { boot: 7n, firstSeq: 100n },
  onBatch: (batch) => {
    batches.push(batch);
  },
  ...more,
});

const flowsOf = (batches: readonly FlowBatchBytes[]) =>
  batches.flatMap(({ bytes }) => fromBinary(FlowBatchSchema, bytes).flows);

const eventually = async (condition: () => boolean): Promise<void> => {
  for (let waited = 0; !condition() && waited < 60_000; waited += 5) await sleep(5);
  assert.ok(condition(), 'it did not come to pass within a minute');
};

test('events come in order, in batches without gaps, with Unix times', { skip }, async () => {
  await withRing(1 << 20, async (object) => {
    const batches: FlowBatchBytes[] = [];
    const ring = start(options(object, batches));
    const before = BigInt(Date.now()) * 1_000_000n;
    assert.deepEqual(await produce(object, 1, 2500), { written: 2500, lost: 0 });
    await eventually(() => ring.stats().events === 2500n && ring.stats().queued === 0);
    await ring.stop();
    let next = 100n;
    for (const { bytes, firstSeq, count, kind } of batches) {
      assert.equal(kind, 'flow');
      assert.ok(count <= 1000);
      assert.equal(firstSeq, next);
      const decoded = fromBinary(FlowBatchSchema, bytes);
      assert.deepEqual([decoded.boot, decoded.firstSeq, decoded.flows.length], [7n, firstSeq, count]);
      next += BigInt(count);
    }
    assert.equal(next, 2600n);
    assert.equal(ring.nextSeq, 2600n);
    const flows = flowsOf(batches);
    assert.deepEqual(
      flows.map(({ packets }) => Number(packets)),
      Array.from({ length: 2500 }, (_, i) => i + 1),
    );
    for (const { timeNs, connectionNs } of flows) {
      assert.ok(timeNs > before - 100_000_000n && timeNs < before + 60_000_000_000n, `${timeNs}`);
      assert.equal(connectionNs, 1000n + ring.connectionOffsetNs);
    }
    assert.deepEqual([ring.stats().malformed, ring.stats().lostQueue], [0n, 0n]);
  });
});

test('an event waits for company at most flushMs', { skip }, async () => {
  await withRing(1 << 16, async (object) => {
    const batches: FlowBatchBytes[] = [];
    const ring = start(options(object, batches, { flow: { boot: 1n, firstSeq: 0n, flushMs: 30 }, pollMs: 5 }));
    const began = performance.now();
    await produce(object, 0, 1);
    await eventually(() => batches.length === 1);
    const took = performance.now() - began;
    assert.ok(took >= 20 && took < 500, `${took} ms`);
    await ring.stop();
  });
});

test('a slow consumer and a tiny ring: produced = delivered + lost in the kernel, exactly', { skip }, async () => {
  await withRing(4096, async (object) => {
    const batches: FlowBatchBytes[] = [];
    let most = 0;
    let unfinished = 0;
    const ring = start(
      options(object, batches, {
        flow: { boot: 1n, firstSeq: 0n, batchMax: 7, flushMs: 1 },
        pollMs: 1,
        maxQueued: 3,
        onBatch: async (batch) => {
          most = Math.max(most, ++unfinished);
          await sleep(3);
          batches.push(batch);
          unfinished--;
        },
      }),
    );
    let produced = 0;
    let lost = 0;
    for (let round = 0; round < 200; round++) {
      const result = await produce(object, produced, 50);
      produced += 50;
      lost += result.lost;
      if (round % 10 === 0) await sleep(2);
    }
    await ring.stop();
    const flows = flowsOf(batches);
    assert.ok(lost > 0, 'the test must overload the ring');
    assert.ok(ring.stats().stalls > 0n, 'the test must stall the thread');
    assert.equal(flows.length + lost, produced);
    assert.equal(BigInt(flows.length), ring.stats().events);
    assert.equal(ring.nextSeq, BigInt(flows.length));
    const order = flows.map(({ packets }) => Number(packets));
    assert.deepEqual(
      order,
      [...new Set(order)].sort((a, b) => a - b),
    );
    assert.equal(unfinished, 0);
    // only stop() hands on more than the limit: what the ring still had
    assert.ok(most <= 3 + 10, `${most} batches at once`);
  });
});

test('what is unfinished holds the thread back', { skip }, async () => {
  await withRing(1 << 16, async (object) => {
    const batches: FlowBatchBytes[] = [];
    const release: (() => void)[] = [];
    let held = true;
    const ring = start(
      options(object, batches, {
        flow: { boot: 1n, firstSeq: 0n, batchMax: 10, flushMs: 1 },
        pollMs: 1,
        maxQueued: 2,
        onBatch: (batch) => {
          batches.push(batch);
          return held ? new Promise<void>((resolve) => release.push(resolve)) : undefined;
        },
      }),
    );
    await produce(object, 0, 100);
    await sleep(100);
    const { length } = batches;
    const { queued } = ring.stats();
    held = false;
    for (const resolve of release) resolve();
    await eventually(() => batches.length === 10);
    assert.deepEqual([length, queued], [2, 2]);
    await ring.stop();
    assert.equal(flowsOf(batches).length, 100);
  });
});

test('other events come as they are; what is no event is counted', { skip }, async () => {
  await withRing(1 << 16, async (object) => {
    const batches: FlowBatchBytes[] = [];
    const raw: Buffer[] = [];
    let others = 0;
    const ring = start(
      options(object, batches, {
        onEvents: (bytes, count) => {
          raw.push(bytes);
          others += count;
        },
      }),
    );
    await produce(object, 1, 5, OTHER);
    await produce(object, 2, 3, JUNK);
    await produce(object, 3, 4, DISCARDED);
    await produce(object, 4, 2, FLOW);
    await produce(object, 6, 1, OLDER);
    await ring.stop();
    const bytes = Buffer.concat(raw);
    assert.equal(others, 5);
    assert.equal(bytes.length, 5 * 152);
    assert.deepEqual([bytes[0], bytes[1], bytes.readUInt32LE(4)], [1, OTHER, 152]);
    const flows = flowsOf(batches);
    assert.deepEqual(
      flows.map(({ ruleId, sourceXlated }) => [ruleId, sourceXlated.length]),
      [
        [4, 0],
        [5, 0],
        [6, 0],
      ],
      'a program that knows fewer fields has told nothing of the others',
    );
    const { malformed, events } = ring.stats();
    assert.deepEqual([malformed, ring.stats().others, events], [3n, 5n, 3n]);
  });
});

test('what a consumer throws is given to onError, and goes on', { skip }, async () => {
  await withRing(1 << 16, async (object) => {
    const errors: unknown[] = [];
    const ring = start({
      ...options(object, []),
      onBatch: () => {
        throw new Error('consumer');
      },
      onError: (error) => errors.push(error),
    });
    await produce(object, 0, 3);
    await ring.stop();
    assert.equal(String(errors[0]), 'Error: consumer');
    assert.equal(ring.stats().queued, 0);
    await ring.stop();
  });
});

test('only ring buffers are read', { skip }, async () => {
  const object = await openObject(compile('maps'));
  assert.throws(() => ringBuffer({ ...options(object, []), map: object.map('plain') } as RingOptions), {
    message: /no map|no ring buffer|has no map/,
  });
  object.close();
});

const LIVE = `
import { openObject, ringBuffer, openNetlink } from '${fileURLToPath(new URL('../src/index.ts', import.meta.url))}';
const object = await openObject(process.argv[1]);
const ring = ringBuffer({ map: object.map('events'), flow: { boot: 1n, firstSeq: 0n }, pollMs: 1, onBatch() {} });
const monitor = openNetlink().monitor(() => {});
const ctx = Buffer.alloc(32);
ctx.writeUInt32LE(1000, 8);
ctx.writeUInt32LE(1, 12);
void object.program('produce').testRun({ ctx });
setTimeout(() => HOW, 30);
`;

for (const [how, expected] of [
  ['process.exit(3)', 3],
  ["(() => { throw new Error('x') })()", 1],
  ['ring.stop().then(() => monitor.stop())', 0],
] as const) {
  test(`a process that ends by ${how} with live threads does not crash`, { skip }, () => {
    for (let i = 0; i < 3; i++) {
      const { status, signal, stderr } = spawnSync(
        process.execPath,
        ['--input-type=module', '-e', LIVE.replace('HOW', how), compile('events', ['RING_BYTES=65536'])],
        { encoding: 'utf8', timeout: 20_000 },
      );
      assert.deepEqual([status, signal], [expected, null], stderr);
    }
  });
}
