// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FlowBatchSchema, Verdict } from '@weir/proto/weir/flow/v1/flow_pb.js';
import fc from 'fast-check';
import { keepDrops } from '../src/events/keep-drops.ts';
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

it('keeps exactly the dropped flows, whole, under their own sequence numbers', () => {
  const verdicts = fc.array(fc.constantFrom(0, Verdict.FORWARDED, Verdict.DROPPED, Verdict.AUDIT), { maxLength: 40 });
  fc.assert(
    fc.property(verdicts, fc.bigInt({ min: 1n, max: 1n << 60n }), (list, firstSeq) => {
      const batch = batchOf(firstSeq, list);
      const wanted = fromBinary(FlowBatchSchema, batch.bytes).flows.flatMap((flow, i) =>
        flow.verdict === Verdict.DROPPED ? [[firstSeq + BigInt(i), flow]] : [],
      );
      const got = keepDrops(BOOT, batch).flatMap(({ bytes, firstSeq: first, count }) => {
        const { boot, firstSeq: written, flows } = fromBinary(FlowBatchSchema, new Uint8Array(bytes));
        assert.deepEqual([boot, written, flows.length], [BOOT, first, count]);
        return flows.map((flow, i) => [first + BigInt(i), flow]);
      });
      assert.deepEqual(got, wanted);
    }),
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
    const kept: { seq: bigint; verdict: number }[] = [];
    for (let record = await spool.next(); record; record = await spool.next()) {
      const { firstSeq, flows } = fromBinary(FlowBatchSchema, record.bytes);
      assert.equal(firstSeq, record.firstSeq);
      kept.push(...flows.map(({ verdict }, i) => ({ seq: firstSeq + BigInt(i), verdict })));
      await spool.acked(record);
    }
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
