// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Spool, type SpoolOptions } from '../src/events/spool.ts';
import { frame, readFrames } from '../src/records.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-spool-'));
});
const opened: Spool[] = [];
const open = async (options: SpoolOptions): Promise<Spool> => {
  const spool = await Spool.open(options);
  opened.push(spool);
  return spool;
};
afterEach(async () => {
  for (const spool of opened.splice(0)) await spool.close();
  rmSync(dir, { recursive: true, force: true });
});

const batch = (firstSeq: number, count = 10, bytes = 1000) => ({
  firstSeq: BigInt(firstSeq),
  count,
  bytes: Buffer.alloc(bytes, firstSeq & 0xff),
});

const files = (boot: number): string[] => readdirSync(join(dir, String(boot))).sort();

/** Takes everything, acknowledges it, and returns the sequence numbers in the order of sending. */
const sendAll = async (spool: Spool): Promise<[bigint, bigint][]> => {
  const sent: [bigint, bigint][] = [];
  for (let record = await spool.next(); record; record = await spool.next()) {
    // Without events: it only says that some are lost.
    if (record.count > 0) sent.push([record.boot, record.firstSeq]);
    await spool.acked(record);
  }
  return sent;
};

describe('spool', () => {
  it('gives batches in order and keeps them until committed', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 1 << 20 });
    for (let i = 0; i < 100; i++) spool.append(batch(1 + i * 10));
    await spool.flushed();
    const sent = await sendAll(spool);
    assert.deepEqual(
      sent,
      Array.from({ length: 100 }, (_, i) => [1n, BigInt(1 + i * 10)]),
    );
    assert.equal(spool.stats().published, 1000n);
    assert.ok(spool.stats().bytes > 100_000, 'acknowledged is not committed');
    await spool.committed(1n, 1000n);
    await spool.close();
    assert.equal(spool.stats().bytes, 0);
    assert.deepEqual(files(1), []);
  });

  it('releases nothing that is committed but was not acknowledged', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 1 << 20 });
    spool.append(batch(1));
    await spool.flushed();
    await spool.committed(1n, 10n);
    await spool.close();
    assert.equal(spool.stats().events, 10);
  });

  it('never exceeds its bound and counts what it sheds to the event', async () => {
    const maxBytes = 256 << 10;
    const spool = await open({ dir, boot: 1n, maxBytes });
    let produced = 0;
    for (let i = 0; i < 2000; i++) {
      spool.append(batch(1 + i * 7, 7));
      produced += 7;
      if (i % 50 === 0) {
        await spool.flushed();
        assert.ok(spool.stats().bytes <= maxBytes);
        const onDisk = files(1).reduce((sum, name) => sum + readFileSync(join(dir, '1', name)).length, 0);
        assert.equal(onDisk, spool.stats().bytes);
      }
    }
    await spool.flushed();
    const { lost, lostRanges, events } = spool.stats();
    assert.equal(events + Number(lost), produced);
    assert.deepEqual(lostRanges, [{ boot: 1n, from: 1n, to: lost + 1n, count: Number(lost) }]);
    const sent = await sendAll(spool);
    assert.equal(sent[0]?.[1], lost + 1n, 'what is left follows what was shed without a gap');
    assert.equal(sent.length * 7, events);
  });

  it('sheds what was sent without an answer last, and never counts as lost what the bus acknowledged', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 256 << 10, segmentBytes: 32 << 10 });
    for (let i = 0; i < 100; i++) spool.append(batch(1 + i * 10));
    await spool.flushed();
    const inFlight = [];
    for (let i = 0; i < 5; i++) inFlight.push(await spool.next());
    const [first] = inFlight;
    if (first) await spool.acked(first);
    for (let i = 100; i < 600; i++) spool.append(batch(1 + i * 10));
    await spool.flushed();
    spool.rewind();
    const sent = await sendAll(spool);
    assert.deepEqual(
      sent.slice(0, 4).map(([, seq]) => seq),
      [11n, 21n, 31n, 41n],
      'the ambiguous are still here and go first',
    );
    assert.equal(6000, sent.length * 10 + 10 + Number(spool.stats().lost));
  });

  it('counts as lost only the unsent part of a file that is shed', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 128 << 10, segmentBytes: 32 << 10 });
    for (let i = 0; i < 100; i++) spool.append(batch(1 + i * 10));
    await spool.flushed();
    for (let i = 0; i < 15; i++) {
      const record = await spool.next();
      if (record) await spool.acked(record);
    }
    for (let i = 100; i < 400; i++) spool.append(batch(1 + i * 10));
    await spool.flushed();
    const rest = await sendAll(spool);
    assert.equal(4000, 150 + rest.length * 10 + Number(spool.stats().lost));
    assert.equal(spool.stats().published, BigInt(150 + rest.length * 10));
  });

  it('cuts a record torn by a kill in mid-write and replays the rest of the old boot first', async () => {
    const before = await open({ dir, boot: 5n, maxBytes: 1 << 20 });
    for (let i = 0; i < 20; i++) before.append(batch(1 + i * 10));
    await before.flushed();
    const path = join(dir, '5', files(5)[0] ?? '');
    const whole = readFileSync(path).length;
    appendFileSync(path, frame(Buffer.alloc(500)).subarray(0, 300));
    const troubles: string[] = [];
    const after = await open({ dir, boot: 9n, maxBytes: 1 << 20, onTrouble: (what) => troubles.push(what) });
    assert.equal(troubles.length, 1);
    assert.match(troubles[0] ?? '', /torn record; 300 bytes cut/);
    assert.equal(readFileSync(path).length, whole);
    after.append(batch(1));
    await after.flushed();
    const sent = await sendAll(after);
    assert.equal(sent.length, 21);
    assert.deepEqual(sent.slice(-2), [
      [5n, 191n],
      [9n, 1n],
    ]);
    assert.equal(after.stats().published, 10n, 'only this boot counts');
    await after.committed(5n, 200n);
    assert.ok(!readdirSync(dir).includes('5'), 'the old boot is gone with its folder');
  });

  it('survives a file cut anywhere', async () => {
    const before = await open({ dir, boot: 5n, maxBytes: 1 << 20 });
    for (let i = 0; i < 4; i++) before.append(batch(1 + i * 10, 10, 50));
    await before.flushed();
    const path = join(dir, '5', files(5)[0] ?? '');
    const file = readFileSync(path);
    const recordBytes = file.length / 4;
    for (let length = 0; length <= file.length; length++) {
      mkdirSync(join(dir, '5'), { recursive: true });
      writeFileSync(path, file);
      truncateSync(path, length);
      const spool = await open({ dir, boot: 6n, maxBytes: 1 << 20 });
      assert.equal((await sendAll(spool)).length, Math.floor(length / recordBytes));
    }
  });

  it('sheds old boots within the bound and counts them apart', async () => {
    const before = await open({ dir, boot: 5n, maxBytes: 1 << 20 });
    for (let i = 0; i < 500; i++) before.append(batch(1 + i * 10));
    await before.flushed();
    const after = await open({ dir, boot: 6n, maxBytes: 256 << 10 });
    assert.ok(after.stats().bytes <= 256 << 10);
    assert.equal(after.stats().lost, 0n);
    assert.equal(Number(after.stats().lostEarlier) + after.stats().events, 5000);
  });

  it('sends everything uncommitted again after the bus came back', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 1 << 20, segmentBytes: 64 << 10 });
    for (let i = 0; i < 200; i++) spool.append(batch(1 + i * 10));
    await spool.flushed();
    await sendAll(spool);
    await spool.committed(1n, 1000n);
    spool.resendUncommitted();
    const again = await sendAll(spool);
    assert.ok((again[0]?.[1] ?? 0n) <= 1001n);
    assert.equal(again.at(-1)?.[1], 1991n);
    assert.equal(spool.stats().published, 2000n, 'a repetition is not counted again');
  });

  it('sends again what was acknowledged but not committed for 30 s, then more rarely', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 1 << 20 });
    spool.append(batch(1));
    await spool.flushed();
    await sendAll(spool);
    const now = performance.now();
    assert.equal(spool.resendOverdue(now + 29_000), 0);
    assert.equal(spool.resendOverdue(now + 31_000), 1);
    assert.equal((await sendAll(spool)).length, 1);
    assert.equal(spool.resendOverdue(performance.now() + 31_000), 0);
    assert.equal(spool.resendOverdue(performance.now() + 61_000), 1);
    await sendAll(spool);
    await spool.committed(1n, 10n);
    assert.equal(spool.resendOverdue(performance.now() + 700_000), 0);
  });

  it('counts batches that find no disk', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 1 << 20 });
    rmSync(dir, { recursive: true });
    spool.append(batch(1));
    await spool.flushed();
    assert.equal(spool.stats().lost, 10n);
    assert.deepEqual(spool.stats().lostRanges, [{ boot: 1n, from: 1n, to: 11n, count: 10 }]);
  });

  it('bounds what waits in memory for a slow disk', async () => {
    const spool = await open({ dir, boot: 1n, maxBytes: 8 << 20, queueBytes: 10_000 });
    for (let i = 0; i < 100; i++) spool.append(batch(1 + i * 10));
    await spool.flushed();
    const { lost, events } = spool.stats();
    assert.ok(lost > 0n);
    assert.equal(Number(lost) + events, 1000);
  });
});

describe('records', () => {
  it('tells a wrong checksum from a torn end, and zeros from a record', () => {
    const file = Buffer.concat([frame(Buffer.from('one')), frame(Buffer.from('two'))]);
    assert.equal(readFrames(file).damage, 'none');
    assert.equal(readFrames(file.subarray(0, -1)).damage, 'torn');
    const flipped = Buffer.from(file);
    flipped[9] = 0xff;
    assert.deepEqual(readFrames(flipped), { frames: [], validBytes: 0, damage: 'corrupt' });
    assert.equal(readFrames(Buffer.concat([file, Buffer.alloc(64)])).damage, 'corrupt');
    assert.equal(readFrames(Buffer.concat([file, Buffer.alloc(64)])).frames.length, 2);
  });
});
