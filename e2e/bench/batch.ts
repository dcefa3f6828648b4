// SPDX-License-Identifier: Apache-2.0
/**
 * A weir.flow.v1.FlowBatch that is encoded once and sent often: its head is made for each message, its flows only get
 * another time. So the benchmark's own work is small beside what it measures.
 */
import { create, toBinary } from '@bufbuild/protobuf';
import { FlowBatchSchema } from '@weir/proto/weir/flow/v1/flow_pb.js';

/** As the agent's encoder sends them under load. */
export const BATCH_FLOWS = 1000;

/** Tag of Flow.time_ns, a fixed64: the first field of each flow. */
const TIME_TAG = 0x09;
const FLOWS_TAG = 0x1a;

/** Clients of many addresses talk to a few servers; one flow in fifty was refused. */
const flow = (seed: number, i: number) => {
  const n = seed * BATCH_FLOWS + i;
  const isReply = i % 2 === 1;
  const refused = i % 50 === 0;
  const client = { ip: Uint8Array.of(10, 1, seed % 4, 1 + (n % 200)), port: 30_000 + (n % 20_000), id: 256 + (n % 40) };
  const server = { ip: Uint8Array.of(10, 2, 0, 1 + (n % 7)), port: 443, id: 300 + (n % 7) };
  const [source, destination] = isReply ? [server, client] : [client, server];
  return {
    timeNs: 1n,
    sourceIp: source.ip,
    destinationIp: destination.ip,
    sourcePort: source.port,
    destinationPort: destination.port,
    protocol: 6,
    tcpFlags: 18,
    sourceIdentity: source.id,
    destinationIdentity: destination.id,
    verdict: refused ? 2 : 1,
    dropReason: refused ? 133 : 0,
    ruleId: 7,
    direction: 1,
    isReply,
    tracePoint: 1,
    traceReason: isReply ? 3 : 1,
    report: 1,
    packets: 3n,
    bytes: 180n,
    workloadId: 4,
    connectionNs: BigInt(Date.now()) * 1_000_000n,
  };
};

export class BatchTemplate {
  readonly #flows: Buffer;
  readonly #times: number[] = [];

  /** Different seeds give different addresses and ports. */
  constructor(seed: number) {
    const flows = Array.from({ length: BATCH_FLOWS }, (_, i) => flow(seed, i));
    this.#flows = Buffer.from(toBinary(FlowBatchSchema, create(FlowBatchSchema, { flows })));
    for (let at = 0; at < this.#flows.length; ) {
      if (this.#flows[at] !== FLOWS_TAG) throw new Error('a batch begins with its flows');
      let size = 0;
      let shift = 0;
      do {
        at++;
        size |= ((this.#flows[at] as number) & 0x7f) << shift;
        shift += 7;
      } while ((this.#flows[at] as number) & 0x80);
      at++;
      if (this.#flows[at] !== TIME_TAG) throw new Error('a flow begins with its time');
      this.#times.push(at + 1);
      at += size;
    }
  }

  /** The whole message; valid until the next call. */
  at(boot: bigint, firstSeq: bigint, timeNs: bigint): Uint8Array {
    for (const at of this.#times) this.#flows.writeBigUInt64LE(timeNs, at);
    return Buffer.concat([toBinary(FlowBatchSchema, create(FlowBatchSchema, { boot, firstSeq })), this.#flows]);
  }
}
