// SPDX-License-Identifier: Apache-2.0
/** One real attempt from a workload, made by the agent of its host. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { weirError } from '@weir/errors';
import { isIp, protocolNumber } from '@weir/net';
import { ProbeRequestSchema, ProbeResponseSchema } from '@weir/proto/weir/bus/v1/agent_pb.js';
import { getWorkload } from '../store/workloads.ts';
import { notFound, type Operations } from './context.ts';

export const PROBE_TIMEOUT_MS = { min: 100, standard: 3_000, max: 10_000 };
/** Beside the time that the attempt itself may take. */
const WAY_MS = 5_000;

export interface ProbeInput {
  readonly address: string;
  readonly protocol?: 'TCP' | 'UDP' | 'ICMP' | 'ICMPv6';
  readonly port?: number;
  readonly timeout_ms?: number;
}

export interface ProbeResult {
  readonly host: string;
  readonly source_address: string;
  /** 0: it has none. */
  readonly source_port: number;
  /** Empty: connected or answered. */
  readonly error: string;
  readonly duration_us: number;
  readonly started_at: Date;
}

export const probeWorkload = async (operations: Operations, id: string, input: ProbeInput): Promise<ProbeResult> => {
  const { address, protocol = 'TCP', port = 0, timeout_ms: timeoutMs = PROBE_TIMEOUT_MS.standard } = input;
  const row = await getWorkload(operations.db.kysely, id);
  if (!row) throw notFound('workload', id);
  if (!isIp(address))
    throw weirError('INVALID_ARGUMENT', `address ${JSON.stringify(address)} is no address`, {
      field: 'address',
      value: address,
      fix: 'give an IPv4 or IPv6 address: names are not looked up',
    });
  const source = address.includes(':') ? row.ip6 : row.ip4;
  if (!source)
    throw weirError('INVALID_ARGUMENT', `${id} has no address of the family of ${address}`, {
      field: 'address',
      value: address,
      fix: 'give an address of the other family',
    });
  const request = { workload: id, address, protocol: protocolNumber(protocol), port, timeoutMs };
  const body = toBinary(ProbeRequestSchema, { $typeName: ProbeRequestSchema.typeName, ...request });
  const answer = fromBinary(
    ProbeResponseSchema,
    await operations.callAgent(row.host_id, 'probe', body, timeoutMs + WAY_MS),
  );
  return {
    ...{ host: row.host_id, source_address: source, source_port: answer.sourcePort, error: answer.error },
    ...{ duration_us: answer.durationUs, started_at: new Date(Number(answer.startedMs)) },
  };
};
