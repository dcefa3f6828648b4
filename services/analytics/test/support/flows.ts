// SPDX-License-Identifier: Apache-2.0
/** Flows for tests, as an agent would send them: realistic by default, each field settable. */
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { FlowBatchSchema, type FlowProcessSchema, type FlowSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';

export type FlowInit = MessageInitShape<typeof FlowSchema>;

export type ProcessInit = MessageInitShape<typeof FlowProcessSchema>;

export const ip4 = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));

export const BOOT = 1_785_600_000_000;

/** Flow number `seq` of a run: a web client talks to one of a few servers. */
export const flowInit = (seq: number, timeMs: number = Date.now(), over: FlowInit = {}): FlowInit => {
  const isReply = seq % 2 === 1;
  const client = { ip: ip4(`10.1.0.${1 + (seq % 50)}`), port: 30_000 + (seq % 20_000), identity: 256 + (seq % 40) };
  const server = { ip: ip4(`10.2.0.${1 + (seq % 7)}`), port: 443, identity: 300 + (seq % 7) };
  const [source, destination] = isReply ? [server, client] : [client, server];
  return {
    timeNs: BigInt(timeMs) * 1_000_000n + BigInt(seq % 1_000) * 1_000n,
    sourceIp: source.ip,
    destinationIp: destination.ip,
    sourcePort: source.port,
    destinationPort: destination.port,
    protocol: 6,
    tcpFlags: 18,
    sourceIdentity: source.identity,
    destinationIdentity: destination.identity,
    verdict: 1,
    ruleId: 7,
    direction: 1,
    isReply,
    tracePoint: 1,
    traceReason: isReply ? 3 : 1,
    report: 1,
    packets: 3n,
    bytes: 180n,
    workloadId: 4,
    connectionNs: BigInt(timeMs) * 1_000_000n,
    ...over,
  };
};

export const batchBytes = (
  boot: number,
  firstSeq: number,
  flows: readonly FlowInit[],
  processes: readonly ProcessInit[] = [],
): Uint8Array =>
  toBinary(
    FlowBatchSchema,
    create(FlowBatchSchema, {
      ...{ boot: BigInt(boot), firstSeq: BigInt(firstSeq) },
      ...{ flows: [...flows], processes: [...processes] },
    }),
  );

export const batchOf = (
  firstSeq: number,
  count: number,
  timeMs = Date.now(),
  boot = BOOT,
  over: FlowInit = {},
): Uint8Array =>
  batchBytes(
    boot,
    firstSeq,
    Array.from({ length: count }, (_, index) => flowInit(firstSeq + index, timeMs, over)),
  );
