// SPDX-License-Identifier: Apache-2.0
/** rpc.<host>.probe: a real attempt from a workload's namespace, asked for by `weir explain --probe`. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { AgentHandlers } from '@weir/bus';
import { weirError } from '@weir/errors';
import { isIp, PROTOCOLS, protocolName } from '@weir/net';
import { ProbeRequestSchema, ProbeResponseSchema } from '@weir/proto/weir/bus/v1/agent_pb.js';
import type { Wired } from './apply/wiring.ts';
import type { Platform } from './platform.ts';

const TIMEOUT_MS = { min: 100, max: 10_000 };
/** Each waits in a thread of its own; the pool has others to serve. */
const MAX_AT_ONCE = 2;

export type Probe = (request: {
  readonly netns: string;
  readonly address: string;
  /** IANA number. */
  readonly protocol: number;
  readonly port: number;
  readonly timeoutMs: number;
}) => Promise<{ readonly error: string; readonly sourcePort: number; readonly durationUs: number }>;

export interface ProbeContext {
  readonly platform: Pick<Platform, 'probe'>;
  readonly wired: ReadonlyMap<string, Wired>;
}

const refused = (field: string, value: unknown, detail: string, fix: string): Error =>
  weirError('INVALID_ARGUMENT', detail, { field, value, fix });

export const probeHandlers = ({ platform, wired }: ProbeContext): AgentHandlers => {
  let running = 0;
  const { probe } = platform;
  if (!probe) return {};
  const run = async (body: Uint8Array): Promise<Uint8Array> => {
    const { workload, address, protocol, port, timeoutMs } = fromBinary(ProbeRequestSchema, body);
    const found = wired.get(workload);
    if (!found)
      throw weirError('NOT_FOUND', `workload ${JSON.stringify(workload)} is not connected on this host`, {
        field: 'workload',
        value: workload,
        fix: 'wait until it is ready: see GET /v1/workloads',
      });
    if (found.wiring.cgroup !== '')
      throw refused(
        'workload',
        workload,
        `${workload} is a cgroup: what is sent for it must come from a process of it`,
        'probe from a workload that has a network namespace, or try it from within the unit',
      );
    if (!isIp(address))
      throw refused('address', address, `${JSON.stringify(address)} is no address`, 'give IPv4 or IPv6');
    const isEcho = protocol === PROTOCOLS.ICMP || protocol === PROTOCOLS.ICMPv6;
    if (isEcho !== (port === 0) || port > 65_535)
      throw refused(
        'port',
        port,
        `port ${port} with ${protocolName(protocol)}`,
        'give 1 to 65535 for TCP and UDP, 0 else',
      );
    if (isEcho && (protocol === PROTOCOLS.ICMP) !== !address.includes(':'))
      throw refused('protocol', protocol, `${protocolName(protocol)} does not go to ${address}`, 'use the other one');
    if (!isEcho && protocol !== PROTOCOLS.TCP && protocol !== PROTOCOLS.UDP)
      throw refused('protocol', protocol, `${protocolName(protocol)} cannot be probed`, 'use TCP, UDP, ICMP or ICMPv6');
    if (timeoutMs < TIMEOUT_MS.min || timeoutMs > TIMEOUT_MS.max)
      throw refused('timeout_ms', timeoutMs, `${timeoutMs} ms`, `give ${TIMEOUT_MS.min} to ${TIMEOUT_MS.max}`);
    if (running >= MAX_AT_ONCE)
      throw weirError('RATE_LIMITED', `${running} probes run on this host already`, { retryAfterS: 1 });
    running++;
    try {
      const startedMs = BigInt(Date.now());
      const { netns } = found.wiring;
      const result = await probe({ netns, address, protocol, port, timeoutMs });
      return toBinary(ProbeResponseSchema, { $typeName: ProbeResponseSchema.typeName, ...result, startedMs });
    } finally {
      running--;
    }
  };
  return { probe: run };
};
