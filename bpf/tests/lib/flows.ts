// SPDX-License-Identifier: Apache-2.0
/** Flow events as the agent would publish them: out of the ring buffer, through the native encoder, decoded here. */
import assert from 'node:assert/strict';
import { fromBinary } from '@bufbuild/protobuf';
import { ringBuffer } from '@weir/loader';
import { type Flow, FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';
import {
  weir_direction,
  weir_report,
  weir_sock_xlate,
  weir_trace_point,
  weir_trace_reason,
  weir_verdict,
} from '../../gen/index.ts';
import { tcpFlags } from './transport.ts';
import type { World } from './world.ts';

/** A flow in words short enough for a table. */
export interface SeenFlow {
  readonly workload: number;
  /** `10.1.0.1:80`, `[fd01::1]:80`; without port for ICMP and unknown ports. */
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly icmp: string;
  readonly flags: number;
  readonly sourceIdentity: number;
  readonly destinationIdentity: number;
  readonly verdict: string;
  readonly reason: number;
  readonly rule: number;
  readonly direction: string;
  readonly reply: boolean;
  readonly point: string;
  readonly why: string;
  readonly report: string;
  readonly packets: number;
  readonly bytes: number;
  readonly connection: bigint;
  readonly encrypted: boolean;
  /** Of a service, that was asked for. */
  readonly frontend: number;
  /** What staged policies would do: `-` when there are none. */
  readonly pending: string;
  readonly pendingRule: number;
  /** What the source becomes where it leaves the host; empty: it stays. */
  readonly xlated: string;
  readonly socket: string;
}

/** Only what is given is compared; flags are letters. */
export type ExpectedFlow = Partial<Omit<SeenFlow, 'flags'>> & { readonly flags?: string };

const nameOf = (names: Readonly<Record<string, number>>, prefix: string, value: number): string => {
  const name = Object.keys(names).find((candidate) => names[candidate] === value);
  return name?.slice(prefix.length).toLowerCase().replaceAll('_', '-') ?? `${value}`;
};

const ip6Text = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16),
  );
  const zeros = groups.join(':').match(/(^|:)0(:0)+(:|$)/g) ?? [];
  const longest = zeros.sort((a, b) => b.length - a.length)[0];
  return longest ? groups.join(':').replace(longest, '::') : groups.join(':');
};

const endpoint = (bytes: Uint8Array, port: number): string => {
  const text = bytes.length === 4 ? bytes.join('.') : ip6Text(bytes);
  if (!port) return text;
  return bytes.length === 4 ? `${text}:${port}` : `[${text}]:${port}`;
};

const seen = (flow: Flow): SeenFlow => ({
  workload: flow.workloadId,
  from: endpoint(flow.sourceIp, flow.sourcePort),
  to: endpoint(flow.destinationIp, flow.destinationPort),
  protocol: flow.protocol,
  icmp: `${flow.icmpType}/${flow.icmpCode}`,
  flags: flow.tcpFlags,
  sourceIdentity: flow.sourceIdentity,
  destinationIdentity: flow.destinationIdentity,
  verdict: nameOf(weir_verdict, 'VERDICT_', flow.verdict),
  reason: flow.dropReason,
  rule: flow.ruleId,
  direction: nameOf(weir_direction, 'DIRECTION_', flow.direction),
  reply: flow.isReply,
  point: nameOf(weir_trace_point, 'TRACE_', flow.tracePoint),
  why: nameOf(weir_trace_reason, 'TRACE_REASON_', flow.traceReason),
  report: nameOf(weir_report, 'REPORT_', flow.report),
  packets: Number(flow.packets),
  bytes: Number(flow.bytes),
  connection: flow.connectionNs,
  encrypted: flow.encrypted,
  frontend: flow.frontend,
  pending: flow.pendingVerdict === 0 ? '-' : nameOf(weir_verdict, 'VERDICT_', flow.pendingVerdict),
  pendingRule: flow.pendingRuleId,
  xlated: flow.sourceXlated.length === 0 ? '' : endpoint(flow.sourceXlated, 0),
  socket: nameOf(weir_sock_xlate, 'SOCK_XLATE_', flow.sockXlatePoint),
});

export class FlowReader {
  readonly #world: Pick<World, 'map'>;

  constructor(world: Pick<World, 'map'>) {
    this.#world = world;
  }

  /** Takes out of the ring buffer all that is in it. */
  async drain(): Promise<SeenFlow[]> {
    const batches: Buffer[] = [];
    const ring = ringBuffer({
      map: this.#world.map('events'),
      flow: { boot: 1n, firstSeq: 0n, connectionOffsetNs: 0n },
      onBatch: ({ bytes }) => batches.push(bytes),
    });
    await ring.stop();
    return batches.flatMap((bytes) => fromBinary(FlowBatchSchema, bytes).flows.map(seen));
  }

  /** Exactly these flows, in this order. */
  expect(actual: readonly SeenFlow[], expected: readonly ExpectedFlow[], where: string): void {
    assert.equal(actual.length, expected.length, `${where}: flow events: ${JSON.stringify(actual, bigintText, 1)}`);
    for (const [at, flow] of expected.entries()) {
      const wanted = flow.flags === undefined ? flow : { ...flow, flags: tcpFlags(flow.flags) };
      const found = Object.fromEntries(
        Object.keys(wanted).map((field) => [field, actual[at]?.[field as keyof SeenFlow]]),
      );
      assert.deepEqual(found, wanted, `${where}: flow event ${at + 1}`);
    }
  }
}

const bigintText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? `${value}` : value);
