// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { CopyWriter } from '@weir/db';
import { type Flow, FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import fc from 'fast-check';
import { packDetail, unpackDetail } from '../src/domain/detail.ts';
import { FlowReader, readBatchHead } from '../src/domain/flow-reader.ts';
import { FLOW_COLUMNS, FlowRows, microsOf } from '../src/domain/flow-rows.ts';
import { packPending } from '../src/domain/pending.ts';
import { validate } from '../src/domain/transcode.ts';
import { PoisonError } from '../src/domain/wire.ts';
import { batchBytes, batchOf, type FlowInit, flowInit } from './support/flows.ts';

const port = fc.integer({ min: 0, max: 0xffff });
const byte = fc.integer({ min: 0, max: 0xff });
const int4 = fc.integer({ min: 0, max: 0x7fff_ffff });
const count = fc.bigInt({ min: 0n, max: 2n ** 40n - 1n });
const timeNs = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n });
const address = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

const anyFlow: fc.Arbitrary<FlowInit> = fc.constantFrom(4, 16).chain((length) =>
  fc.record({
    timeNs,
    sourceIp: address(length),
    destinationIp: address(length),
    sourcePort: port,
    destinationPort: port,
    protocol: byte,
    tcpFlags: byte,
    icmpType: byte,
    icmpCode: byte,
    sourceIdentity: int4,
    destinationIdentity: int4,
    verdict: fc.integer({ min: 0, max: 7 }),
    dropReason: byte,
    ruleId: int4,
    direction: fc.integer({ min: 0, max: 2 }),
    isReply: fc.boolean(),
    tracePoint: fc.integer({ min: 0, max: 5 }),
    traceReason: fc.integer({ min: 0, max: 4 }),
    report: fc.integer({ min: 0, max: 6 }),
    packets: count,
    bytes: count,
    workloadId: int4,
    connectionNs: timeNs,
    encrypted: fc.boolean(),
    frontend: int4,
    pendingVerdict: fc.constantFrom(0, 1, 2),
    pendingRuleId: fc.integer({ min: 0, max: 0x7fff_fffe }),
    sourceXlated: fc.oneof(fc.constant(new Uint8Array(0)), address(4), address(16)),
    sockXlatePoint: fc.integer({ min: 0, max: 4 }),
    execNs: timeNs,
    pid: int4,
    uid: fc.integer({ min: 0, max: 0xffff_ffff }),
  }),
);

const wide = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low);

/** Everything the reader holds, as the generated codec would give it. */
const seen = (reader: FlowReader): FlowInit => ({
  timeNs: wide(reader.timeHigh, reader.timeLow),
  sourceIp: reader.message.slice(reader.sourceAt, reader.sourceAt + reader.addressBytes),
  destinationIp: reader.message.slice(reader.destinationAt, reader.destinationAt + reader.addressBytes),
  sourcePort: reader.sourcePort,
  destinationPort: reader.destinationPort,
  protocol: reader.protocol,
  tcpFlags: reader.tcpFlags,
  icmpType: reader.icmpType,
  icmpCode: reader.icmpCode,
  sourceIdentity: reader.sourceIdentity,
  destinationIdentity: reader.destinationIdentity,
  verdict: reader.verdict,
  dropReason: reader.dropReason,
  ruleId: reader.ruleId,
  direction: reader.direction,
  isReply: reader.isReply,
  tracePoint: reader.tracePoint,
  traceReason: reader.traceReason,
  report: reader.report,
  packets: wide(reader.packetsHigh, reader.packetsLow),
  bytes: wide(reader.bytesHigh, reader.bytesLow),
  workloadId: reader.workloadId,
  connectionNs: wide(reader.connectionHigh, reader.connectionLow),
  encrypted: reader.encrypted,
  frontend: reader.frontend,
  pendingVerdict: reader.pendingVerdict,
  pendingRuleId: reader.pendingRuleId,
  sourceXlated: reader.message.slice(reader.xlatedAt, reader.xlatedAt + reader.xlatedBytes),
  sockXlatePoint: reader.sockXlatePoint,
  execNs: wide(reader.execHigh, reader.execLow),
  pid: reader.pid,
  uid: reader.uid,
});

const plain = (flow: FlowInit | Flow): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(flow)
      .filter(([key]) => !key.startsWith('$'))
      .map(([key, value]) => [key, value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value]),
  );

test('the reader gives what the generated codec gives', () => {
  const safe = fc.integer({ min: 1, max: 2 ** 50 });
  fc.assert(
    fc.property(safe, safe, fc.array(anyFlow, { minLength: 1, maxLength: 20 }), (boot, firstSeq, flows) => {
      const bytes = batchBytes(boot, firstSeq, flows);
      assert.deepEqual(readBatchHead(bytes), {
        boot,
        firstSeq,
        count: flows.length,
        next: firstSeq + flows.length,
      });
      const reader = new FlowReader();
      reader.open(bytes);
      for (const flow of flows) {
        assert.equal(reader.next(), true);
        assert.deepEqual(plain(seen(reader)), plain(flow));
      }
      assert.equal(reader.next(), false);
    }),
    { numRuns: 300 },
  );
});

test('skipping a flow leads to the next one', () => {
  const reader = new FlowReader();
  reader.open(batchOf(1, 10));
  for (let index = 0; index < 4; index += 1) reader.skip();
  reader.next();
  assert.equal(reader.sourcePort === 443 ? reader.destinationPort : reader.sourcePort, 30_005);
});

test('fields that only a newer agent knows are passed over', () => {
  const flow = toBinary(FlowBatchSchema, create(FlowBatchSchema, { flows: [flowInit(2)] }));
  const inner = flow.subarray(2 + (flow.length > 129 ? 1 : 0));
  const known = new BinaryWriter().tag(1, WireType.Varint).uint64(5n).tag(2, WireType.Varint).uint64(9n).finish();
  const extended = new BinaryWriter()
    .raw(known)
    .tag(3, WireType.LengthDelimited)
    .fork()
    .tag(60, WireType.LengthDelimited)
    .string('new')
    .tag(61, WireType.Varint)
    .uint64(2n ** 64n - 1n)
    .tag(62, WireType.Bit32)
    .fixed32(1)
    .tag(63, WireType.Bit64)
    .fixed64(1n)
    .raw(inner)
    .join()
    .tag(9, WireType.LengthDelimited)
    .string('also new')
    .finish();
  assert.deepEqual(readBatchHead(extended), { boot: 5, firstSeq: 9, count: 1, next: 10 });
  const reader = new FlowReader();
  reader.open(extended);
  assert.equal(reader.next(), true);
  assert.equal(reader.destinationPort, 443);
  assert.equal(reader.next(), false);
});

test('bytes that are no batch are poison, and nothing else ever happens', () => {
  const good = batchOf(1, 5);
  const reader = new FlowReader();
  let refused = 0;
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.nat(good.length - 1), value: byte }), { minLength: 1, maxLength: 6 }),
      fc.nat(good.length),
      (changes, length) => {
        const bytes = good.slice(0, length);
        for (const { at, value } of changes) if (at < length) bytes[at] = value;
        try {
          readBatchHead(bytes);
          validate(reader, bytes);
        } catch (error) {
          assert.ok(error instanceof PoisonError, String(error));
          refused += 1;
        }
      },
    ),
    { numRuns: 5_000 },
  );
  assert.ok(refused > 1_000);
});

const POISON: readonly [string, FlowInit | undefined, RegExp][] = [
  ['an address of 5 bytes', { sourceIp: new Uint8Array(5) }, /addresses of 5 and 4 bytes/],
  ['no address', { sourceIp: new Uint8Array(0), destinationIp: new Uint8Array(0) }, /addresses of 0/],
  ['families mixed', { sourceIp: new Uint8Array(16) }, /addresses of 16 and 4/],
  ['no time', { timeNs: 0n }, /no time/],
  ['a time of 64 bits', { timeNs: 2n ** 63n }, /63 bits/],
  ['a port of 17 bits', { destinationPort: 65_536 }, /16 bits/],
  ['a port of 32 bits', { destinationPort: 0xffff_ffff }, /16 bits/],
  ['a protocol of 9 bits', { protocol: 256 }, /8 bits/],
  ['an identity of 32 bits', { sourceIdentity: 0x8000_0000 }, /31 bits/],
  ['impossible bytes', { bytes: 2n ** 40n }, /too large/],
  ['a verdict of 16 bits', { verdict: 0x8000 as never }, /15 bits/],
  ['a negative verdict', { verdict: -1 as never }, /32 bits/],
];

for (const [what, over, reason] of POISON) {
  test(`poison: ${what}`, () => {
    assert.throws(() => validate(new FlowReader(), batchBytes(5, 1, [flowInit(2, 1_000, over)])), reason);
  });
}

test('poison: a batch without boot, without flows, with numbers out of reach', () => {
  assert.throws(() => readBatchHead(batchBytes(0, 1, [flowInit(1)])), /no boot/);
  assert.throws(() => readBatchHead(batchBytes(5, 1, [])), /no flows/);
  const beyond = toBinary(
    FlowBatchSchema,
    create(FlowBatchSchema, { boot: 5n, firstSeq: 2n ** 60n, flows: [flowInit(1)] }),
  );
  assert.throws(() => readBatchHead(beyond), /first_seq is too large/);
  assert.throws(() => readBatchHead(new Uint8Array(0)), PoisonError);
});

test('rows are those of the general COPY writer', () => {
  fc.assert(
    fc.property(
      anyFlow,
      int4,
      fc.integer({ min: 1, max: 2 ** 45 }),
      fc.integer({ min: 0, max: 2 ** 50 }),
      fc.integer({ min: 0, max: 2 ** 50 }),
      (flow, host, boot, seq, owner) => {
        const reader = new FlowReader();
        reader.open(batchBytes(boot, 1, [flow]));
        reader.next();
        const rows = new FlowRows();
        const us = Number((flow.timeNs as bigint) / 1_000n);
        // Far beyond what is stored; there a double is no longer exact.
        fc.pre(us <= Number.MAX_SAFE_INTEGER);
        assert.equal(microsOf(reader.timeHigh, reader.timeLow), us);
        rows.append(reader, host, boot, seq, us, owner);
        const writer = new CopyWriter();
        writer.row(FLOW_COLUMNS.length);
        writer.timestamptzNs(flow.timeNs as bigint);
        writer.int8(BigInt(boot));
        writer.int8(BigInt(seq));
        writer.int8(flow.connectionNs as bigint);
        writer.int8(flow.packets as bigint);
        writer.int8(flow.bytes as bigint);
        for (const value of [host, flow.sourceIdentity, flow.destinationIdentity, flow.ruleId, flow.workloadId]) {
          writer.int4(value as number);
        }
        writer.int4(flow.sourcePort as number);
        writer.int4(flow.destinationPort as number);
        writer.int4(packDetail(reader));
        for (const value of [flow.protocol, flow.verdict, flow.dropReason]) writer.int2(value as number);
        // A v4-mapped IPv6 address stays what it was on the wire.
        const addresses = [flow.sourceIp, flow.destinationIp, flow.sourceXlated] as Uint8Array[];
        if (addresses.some((ip) => ip.length === 16 && ip[10] === 0xff)) return;
        writer.inet(flow.sourceIp as Uint8Array);
        writer.inet(flow.destinationIp as Uint8Array);
        writer.int4(flow.frontend as number);
        writer.int4(packPending({ pendingVerdict: flow.pendingVerdict ?? 0, pendingRuleId: flow.pendingRuleId ?? 0 }));
        if (flow.sourceXlated?.length === 0) writer.null();
        else writer.inet(flow.sourceXlated as Uint8Array);
        writer.int8(BigInt(owner));
        const expected = Buffer.concat(writer.finish()).subarray(19, -2);
        assert.deepEqual(rows.take(), expected);
      },
    ),
    { numRuns: 300 },
  );
});

test('detail is packed and unpacked', () => {
  fc.assert(
    fc.property(
      fc.record({
        protocol: fc.constantFrom(1, 6, 17, 58),
        tcpFlags: byte,
        icmpType: byte,
        icmpCode: byte,
        tracePoint: fc.nat(15),
        traceReason: fc.nat(15),
        report: fc.nat(15),
        direction: fc.nat(3),
        isReply: fc.boolean(),
        encrypted: fc.boolean(),
        sockXlatePoint: fc.nat(7),
      }),
      (flow) => {
        const { protocol, ...detail } = flow;
        const icmp = protocol === 1 || protocol === 58;
        const expected = icmp ? { ...detail, tcpFlags: 0, sockXlatePoint: 0 } : { ...detail, icmpType: 0, icmpCode: 0 };
        assert.deepEqual(unpackDetail(packDetail(flow), protocol), expected);
      },
    ),
  );
});
