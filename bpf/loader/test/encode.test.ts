// SPDX-License-Identifier: Apache-2.0
/** The native encoder against the codec generated from the same .proto: byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FlowBatchSchema, type FlowSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import fc from 'fast-check';
import { encodeFlows } from '../src/index.ts';
import { needKernel } from '../src/testing.ts';

const skip = needKernel();

/** struct flow_event of bpf/include/abi.h. */
const SIZE = 152;

interface Event {
  timeNs: bigint;
  saddr: Uint8Array;
  daddr: Uint8Array;
  sport: number;
  dport: number;
  /** protocol, tcp_flags, verdict, drop_reason, direction, is_reply, trace_point, trace_reason, report, icmp type, code, encrypted, pending, sock_xlate */
  small: number[];
  family: 4 | 6;
  /** source_identity, destination_identity, rule_id, workload_id, frontend, pending_rule */
  wide: number[];
  packets: bigint;
  bytes: bigint;
  connectionNs: bigint;
  /** All zero: the source stays. */
  xlated: Uint8Array;
  execNs: bigint;
  /** pid, uid */
  owner: number[];
}

const raw = (event: Event): Buffer => {
  const out = Buffer.alloc(SIZE);
  const [protocol = 0, flags = 0, verdict = 0, ...rest] = event.small;
  out[0] = 1;
  out[1] = 1;
  out.writeUInt32LE(SIZE, 4);
  out.writeBigUInt64LE(event.timeNs, 8);
  out.set(event.saddr, 16);
  out.set(event.daddr, 32);
  out.writeUInt16BE(event.sport, 48);
  out.writeUInt16BE(event.dport, 50);
  out.set([protocol, event.family, flags, verdict], 52);
  for (const [at, value] of event.wide.slice(0, 4).entries()) out.writeUInt32LE(value, 56 + at * 4);
  out.writeUInt32LE(event.wide[4] ?? 0, 88);
  out.writeUInt32LE(event.wide[5] ?? 0, 92);
  out.writeUInt32LE(0xdeadbeef, 72); // ifindex: only of this host
  out.set(rest, 76);
  out.writeBigUInt64LE(event.packets, 96);
  out.writeBigUInt64LE(event.bytes, 104);
  out.writeBigUInt64LE(event.connectionNs, 112);
  out.set(event.xlated, 120);
  out.writeBigUInt64LE(event.execNs, 136);
  for (const [at, value] of event.owner.entries()) out.writeUInt32LE(value, 144 + at * 4);
  return out;
};

/** IPv4 is v4-mapped. */
const shortest = (bytes: Uint8Array): Uint8Array => {
  if (bytes.every((byte) => byte === 0)) return new Uint8Array(0);
  return bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255
    ? bytes.slice(12)
    : bytes;
};

const flow = (event: Event, offset: bigint, connectionOffset: bigint) => {
  const [protocol = 0, tcpFlags = 0, verdict = 0, dropReason = 0, direction = 0, isReply = 0, ...others] = event.small;
  const [tracePoint = 0, traceReason = 0, report = 0, type = 0, code = 0, encrypted = 0, ...more] = others;
  const [pendingVerdict = 0, sockXlatePoint = 0] = more;
  const [sourceIdentity = 0, destinationIdentity = 0, ruleId = 0, workloadId = 0, frontend = 0, pendingRuleId = 0] =
    event.wide;
  const ip = (bytes: Uint8Array): Uint8Array => (event.family === 4 ? bytes.slice(12) : bytes);
  const wrap = (value: bigint): bigint => BigInt.asUintN(64, value);
  return {
    $typeName: 'weir.flow.v1.Flow' as (typeof FlowSchema)['typeName'],
    timeNs: wrap(event.timeNs + offset),
    sourceIp: ip(event.saddr),
    destinationIp: ip(event.daddr),
    sourcePort: event.sport,
    destinationPort: event.dport,
    protocol,
    tcpFlags,
    icmpType: type,
    icmpCode: code,
    sourceIdentity,
    destinationIdentity,
    verdict,
    dropReason,
    ruleId,
    direction,
    isReply: isReply !== 0,
    tracePoint,
    traceReason,
    report,
    packets: event.packets,
    bytes: event.bytes,
    workloadId,
    connectionNs: event.connectionNs === 0n ? 0n : wrap(event.connectionNs + connectionOffset),
    skipped: 0n,
    encrypted: encrypted !== 0,
    frontend,
    pendingVerdict,
    pendingRuleId,
    sourceXlated: shortest(event.xlated),
    sockXlatePoint,
    execNs: event.owner[0] ? event.execNs : 0n,
    pid: event.owner[0] ?? 0,
    uid: event.owner[0] ? (event.owner[1] ?? 0) : 0,
  };
};

const u64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.constantFrom(0n, 1n, 127n, 128n, 2n ** 63n));
const u32 = fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.constantFrom(0, 127, 128, 2 ** 32 - 1));
const u8 = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constant(0));
const u16 = fc.oneof(fc.integer({ min: 0, max: 65535 }), fc.constant(0));
const address = fc.uint8Array({ minLength: 16, maxLength: 16 });
const event = fc.record<Event>({
  timeNs: u64,
  saddr: address,
  daddr: address,
  sport: u16,
  dport: u16,
  small: fc.array(u8, { minLength: 14, maxLength: 14 }),
  family: fc.constantFrom(4 as const, 6 as const),
  wide: fc.array(u32, { minLength: 6, maxLength: 6 }),
  packets: u64,
  bytes: u64,
  connectionNs: u64,
  xlated: fc.oneof(
    address,
    fc.constant(new Uint8Array(16)),
    fc
      .uint8Array({ minLength: 4, maxLength: 4 })
      .map((tail) => Uint8Array.from([...Array(10).fill(0), 255, 255, ...tail])),
  ),
  execNs: u64,
  owner: fc.array(u32, { minLength: 2, maxLength: 2 }),
});

test('native and generated encoding are the same bytes', { skip }, () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 20 }), u64, u64, u64, u64, (events, boot, firstSeq, offset, other) => {
      const expected = toBinary(
        FlowBatchSchema,
        create(FlowBatchSchema, { boot, firstSeq, flows: events.map((one) => flow(one, offset, other)) }),
      );
      const actual = encodeFlows(Buffer.concat(events.map(raw)), {
        boot,
        firstSeq,
        offsetNs: BigInt.asIntN(64, offset),
        connectionOffsetNs: BigInt.asIntN(64, other),
      });
      assert.deepEqual(new Uint8Array(actual), expected);
    }),
    { numRuns: 500 },
  );
});

test('a whole batch is read back', { skip }, () => {
  const one: Event = {
    timeNs: 5n,
    saddr: Uint8Array.from([...Array(10).fill(0), 255, 255, 10, 0, 0, 1]),
    daddr: Uint8Array.from([...Array(10).fill(0), 255, 255, 10, 0, 0, 2]),
    sport: 40000,
    dport: 443,
    small: [6, 2, 1, 0, 2, 0, 1, 1, 1, 0, 0, 1, 2, 2],
    family: 4,
    wide: [256, 257, 7, 3, 41, 9],
    packets: 1n,
    bytes: 60n,
    connectionNs: 4n,
    xlated: Uint8Array.from([...Array(10).fill(0), 255, 255, 192, 0, 2, 1]),
    execNs: 77n,
    owner: [4242, 1000],
  };
  const bytes = encodeFlows(Buffer.concat(Array.from({ length: 1000 }, () => raw(one))), {
    boot: 9n,
    firstSeq: 5000n,
    offsetNs: 100n,
  });
  const batch = fromBinary(FlowBatchSchema, bytes);
  assert.equal(batch.flows.length, 1000);
  assert.deepEqual([batch.boot, batch.firstSeq, batch.flows[999]?.destinationPort], [9n, 5000n, 443]);
  assert.deepEqual([...(batch.flows[0]?.sourceIp ?? [])], [10, 0, 0, 1]);
  assert.deepEqual([batch.flows[0]?.encrypted, batch.flows[0]?.frontend, batch.flows[0]?.pendingRuleId], [true, 41, 9]);
  assert.deepEqual([[...(batch.flows[0]?.sourceXlated ?? [])], batch.flows[0]?.sockXlatePoint], [[192, 0, 2, 1], 2]);
  assert.deepEqual([batch.flows[0]?.execNs, batch.flows[0]?.pid, batch.flows[0]?.uid], [77n, 4242, 1000]);
  assert.deepEqual([batch.flows[0]?.timeNs, batch.flows[0]?.connectionNs], [105n, 104n]);
});

test('half an event is refused', { skip }, () => {
  const options = { boot: 0n, firstSeq: 0n, offsetNs: 0n };
  assert.throws(() => encodeFlows(Buffer.alloc(SIZE + 1), options), { code: 'INVALID_ARGUMENT', message: /whole/ });
  assert.equal(encodeFlows(Buffer.alloc(0), options).length, 0);
});
