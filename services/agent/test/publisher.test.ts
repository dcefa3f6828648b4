// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Publisher } from '../src/events/publisher.ts';
import type { SpoolRecord } from '../src/events/segment.ts';
import { Spool } from '../src/events/spool.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-publisher-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const until = async (what: () => boolean, ms = 60_000): Promise<void> => {
  for (const end = Date.now() + ms; !what(); await sleep(2)) assert.ok(Date.now() < end, 'in time');
};

it('sends in order, and after a failure again from the first that was not acknowledged', async () => {
  const bus: bigint[] = [];
  let broken = 0;
  const publish = async ({ firstSeq }: SpoolRecord): Promise<void> => {
    await sleep(Math.random() * 3);
    if (firstSeq >= 50n && broken > 0) {
      broken--;
      throw new Error('no acknowledgement');
    }
    bus.push(firstSeq);
  };
  const spool = await Spool.open({ dir, boot: 1n, maxBytes: 1 << 20, onAppended: () => publisher.kick() });
  const publisher = new Publisher({ spool, publish, retryMinMs: 1, retryMaxMs: 5 });
  publisher.resume();
  broken = 30;
  for (let i = 0; i < 100; i++) spool.append({ firstSeq: BigInt(i + 1), count: 1, bytes: Buffer.alloc(10) });
  await until(() => spool.stats().published === 100n);
  assert.deepEqual(
    [...new Set(bus)].sort((a, b) => Number(a - b)),
    Array.from({ length: 100 }, (_, i) => BigInt(i + 1)),
  );
  await publisher.stop();
  await spool.close();
});

it('tries nothing while the bus is away, so that what overflows is lost for certain', async () => {
  const sent: bigint[] = [];
  const spool = await Spool.open({ dir, boot: 1n, maxBytes: 128 << 10, onAppended: () => publisher.kick() });
  const publisher = new Publisher({
    spool,
    publish: async ({ firstSeq, count }) => void (count > 0 && sent.push(firstSeq)),
  });
  for (let i = 0; i < 400; i++) {
    spool.append({ firstSeq: BigInt(1 + i * 10), count: 10, bytes: Buffer.alloc(1000) });
    if (i % 20 === 0) await spool.flushed();
  }
  await spool.flushed();
  await sleep(20);
  assert.equal(sent.length, 0);
  const { lost, events } = spool.stats();
  assert.ok(lost > 0n);
  publisher.resume();
  await until(() => sent.length * 10 === events);
  assert.equal(Number(lost) + sent.length * 10, 4000);
  await publisher.stop();
  await spool.close();
});
