// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FlowBatchSchema, Verdict } from '@weir/proto/weir/flow/v1/flow_pb.js';
import fc from 'fast-check';
import { keepDrops, shedOf } from '../src/events/keep-drops.ts';
import { Spool } from '../src/events/spool.ts';

const BOOT = 1_795_381_031_138n;

const batchOf = (firstSeq: bigint, verdicts: readonly number[]) => ({
  firstSeq,
  count: verdicts.length,
  bytes: toBinary(
    FlowBatchSchema,
    create(FlowBatchSchema, {
      boot: BOOT,
      firstSeq,
      flows: verdicts.map((verdict, i) => ({
        timeNs: BigInt(i) * 1_000_000_007n,
        sourceIp: Uint8Array.of(10, 0, 0, i),
        sourcePort: 40_000 + i,
        protocol: 6,
        tcpFlags: i % 256,
        verdict,
        ruleId: 0xffff_ffff - i,
        packets: 1n << BigInt(i % 63),
        connectionNs: 5n,
      })),
    }),
  ),
});

interface Numbered {
  readonly seq: bigint;
  readonly verdict: number;
}

/** Flows with their numbers, and what a reader knows to be missing. */
const readAll = (batches: readonly { readonly bytes: Uint8Array }[]) => {
  const flows: (Numbered & { readonly flow: unknown })[] = [];
  let missing = 0n;
  let next: bigint | undefined;
  const shed = { refused: 0n, fromNs: 0n, toNs: 0n };
  for (const { bytes } of batches) {
    const batch = fromBinary(FlowBatchSchema, new Uint8Array(bytes));
    assert.equal(batch.boot, BOOT);
    assert.equal(batch.firstSeq, next ?? batch.firstSeq, 'batches follow without a gap');
    let seq = batch.firstSeq;
    for (const flow of batch.flows) {
      seq += flow.skipped;
      missing += flow.skipped;
      flows.push({ seq, verdict: flow.verdict, flow: { ...flow, skipped: 0n } });
      seq += 1n;
    }
    if (batch.endSeq > 0n) missing += batch.endSeq - seq;
    next = batch.endSeq > 0n ? batch.endSeq : seq;
    shed.refused += batch.shed?.refused ?? 0n;
    shed.fromNs ||= batch.shed?.fromNs ?? 0n;
    shed.toNs = batch.shed?.toNs || shed.toNs;
  }
  return { flows, missing, next, shed };
};

it('keeps exactly the dropped flows, whole, under their own numbers, and says what is missing', () => {
  const verdicts = fc.array(fc.constantFrom(0, Verdict.FORWARDED, Verdict.DROPPED, Verdict.AUDIT), {
    minLength: 1,
    maxLength: 40,
  });
  fc.assert(
    fc.property(
      fc.array(verdicts, { minLength: 1, maxLength: 5 }),
      fc.bigInt({ min: 1n, max: 1n << 60n }),
      (lists, first) => {
        let next = first;
        const batches = lists.map((list) => {
          const batch = batchOf(next, list);
          next += BigInt(list.length);
          return batch;
        });
        const all = readAll(batches).flows;
        const kept = keepDrops(BOOT, batches, first, next);
        const got = readAll(kept);
        assert.deepEqual(
          got.flows,
          all.filter(({ verdict }) => verdict === Verdict.DROPPED),
        );
        assert.equal(got.missing, BigInt(all.length - got.flows.length));
        assert.equal(got.next, next);
        for (const { firstSeq, endSeq, count, bytes } of kept) {
          const read = fromBinary(FlowBatchSchema, new Uint8Array(bytes));
          assert.deepEqual([read.firstSeq, read.endSeq, read.flows.length], [firstSeq, endSeq, count]);
        }
        assert.equal(shedOf(kept, 0n).refused, got.flows.length, 'if they were shed too');
      },
    ),
  );
});

it('the spool sheds what passed before what was refused, and its accounts stay exact', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-keep-'));
  try {
    const spool = await Spool.open({ dir, boot: BOOT, maxBytes: 256 << 10 });
    let seq = 1n;
    let refused = 0;
    for (let i = 0; i < 200; i++) {
      const verdicts = Array.from({ length: 100 }, (_, n) =>
        (i * 100 + n) % 50 === 0 ? Verdict.DROPPED : Verdict.FORWARDED,
      );
      refused += verdicts.filter((verdict) => verdict === Verdict.DROPPED).length;
      spool.append(batchOf(seq, verdicts));
      seq += 100n;
      if (i % 10 === 0) await spool.flushed();
      assert.ok(spool.stats().bytes <= 256 << 10);
    }
    await spool.flushed();
    const { lost, events } = spool.stats();
    assert.ok(lost > 10_000n, 'it had to shed most');
    assert.equal(Number(lost) + events, 20_000);
    const records: { bytes: Uint8Array }[] = [];
    for (let record = await spool.next(); record; record = await spool.next()) {
      assert.equal(fromBinary(FlowBatchSchema, record.bytes).firstSeq, record.firstSeq);
      records.push(record);
      await spool.acked(record);
    }
    const { flows: kept, missing, next } = readAll(records);
    assert.equal(missing, lost, 'readers are told of every one');
    assert.equal(next, seq);
    assert.equal(kept.length, events);
    assert.equal(kept.filter(({ verdict }) => verdict === Verdict.DROPPED).length, refused, 'no refusal is lost');
    assert.deepEqual(
      kept.map(({ seq: at }) => at),
      kept.map(({ seq: at }) => at).sort((a, b) => Number(a - b)),
    );
    await spool.committed(BOOT, seq);
    await spool.close();
    assert.equal(spool.stats().bytes, 0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

it('refused flows that must go in the end are told with their number and time', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-keep-'));
  try {
    const spool = await Spool.open({ dir, boot: BOOT, maxBytes: 256 << 10 });
    let seq = 1n;
    for (let i = 0; i < 400; i++) {
      await spool.append(batchOf(seq, Array(100).fill(i % 2 ? Verdict.DROPPED : Verdict.FORWARDED)));
      seq += 100n;
    }
    const { lost, segments } = spool.stats();
    const records: { bytes: Uint8Array }[] = [];
    for (let record = await spool.next(); record; record = await spool.next()) records.push(record);
    const { flows, missing, next, shed } = readAll(records);
    assert.equal(BigInt(flows.length) + missing, 40_000n);
    assert.equal(missing, lost);
    assert.equal(next, seq);
    const refused = flows.filter(({ verdict }) => verdict === Verdict.DROPPED).length;
    assert.equal(shed.refused, 20_000n - BigInt(refused));
    assert.ok(shed.refused > 1_000n && shed.toNs > shed.fromNs);
    assert.ok(segments < 30, 'what is lost at the beginning is told once');
    await spool.close();
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
