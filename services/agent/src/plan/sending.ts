// SPDX-License-Identifier: Apache-2.0
/** What a workload's own document says of what it may send: rates, and whose addresses. */
import { weir_workload_flags } from '@weir/bpf';
import type { Workload } from '@weir/proto/weir/bus/v1/config_pb.js';
import type { Bandwidth, WorkloadPolicy } from './model.ts';

const { WORKLOAD_GUARD_HOST, WORKLOAD_EGRESS, WORKLOAD_LIMITED, WORKLOAD_LOCKDOWN, WORKLOAD_NO_SOURCE_CHECK } =
  weir_workload_flags;
const BITS = 8n;

/** A rate under a byte per second is one: 0 would be none. */
const bytesPerSecond = (bits: bigint): number => (bits === 0n ? 0 : Math.max(1, Number(bits / BITS)));

export const bandwidthOf = ({ egressBitsPerSecond, ingressBitsPerSecond }: Workload): Bandwidth | undefined =>
  egressBitsPerSecond === 0n && ingressBitsPerSecond === 0n
    ? undefined
    : { egress: bytesPerSecond(egressBitsPerSecond), ingress: bytesPerSecond(ingressBitsPerSecond) };

const flagged = (policy: WorkloadPolicy | undefined, flag: number, isWanted: boolean): WorkloadPolicy | undefined =>
  policy && isWanted && !(policy.flags & WORKLOAD_LOCKDOWN) ? { ...policy, flags: policy.flags | flag } : policy;

/** The policy with the flag that makes the program look for a limit. */
export const limited = (
  policy: WorkloadPolicy | undefined,
  bandwidth: Bandwidth | undefined,
): WorkloadPolicy | undefined => flagged(policy, WORKLOAD_LIMITED, bandwidth !== undefined);

/** The policy with the flag that lets nothing leave past an egress gateway. */
export const leavingByGateway = (policy: WorkloadPolicy | undefined, isSelected: boolean): WorkloadPolicy | undefined =>
  flagged(policy, WORKLOAD_EGRESS, isSelected);

/** The policy with the flag that lets the workload send from any address. */
export const withSourceCheck = (
  policy: WorkloadPolicy | undefined,
  { anySource }: Pick<Workload, 'anySource'>,
): WorkloadPolicy | undefined => flagged(policy, WORKLOAD_NO_SOURCE_CHECK, anySource);

/** The policy with the flag that has the host's own policy judge what the workload sends to the host. */
export const guardingHost = (policy: WorkloadPolicy | undefined, isGuarding: boolean): WorkloadPolicy | undefined =>
  flagged(policy, WORKLOAD_GUARD_HOST, isGuarding);
