// SPDX-License-Identifier: Apache-2.0
/** What the agent says of itself after each pass; acks, heartbeats and the local API are made from it. */
import type { WorkloadState as WorkloadStateMessage } from '@weir/proto/weir/bus/v1/agent_pb.js';
import type { HostDatapath } from '../apply/host.ts';
import type { Desired } from '../plan/desired.ts';
import { HEALTH_ENDPOINT } from '../plan/health-endpoint.ts';
import type { DesiredWorkload, DocumentError } from '../plan/model.ts';
import type { RuntimeReport } from '../runtime/port.ts';

export type WorkloadReport = Omit<WorkloadStateMessage, '$typeName' | '$unknown'>;

export interface Report {
  /** Per publisher, the newest revision wholly in the kernel. */
  readonly realised: Readonly<Record<string, bigint>>;
  /** Per publisher, the newest revision that `errors` takes into account. */
  readonly tried: Readonly<Record<string, bigint>>;
  readonly errors: readonly DocumentError[];
  readonly workloads: readonly WorkloadReport[];
  readonly runtime: readonly RuntimeReport[];
  /** This host's own, which is no workload of anybody; undefined: it has none. */
  readonly healthEndpoint?: WorkloadReport | undefined;
}

export const EMPTY_REPORT: Report = { realised: {}, tried: {}, errors: [], workloads: [], runtime: [] };

const stateOf = (
  workload: DesiredWorkload,
  host: HostDatapath,
  failed: ReadonlyMap<string, Error>,
): { state: string; message: string } => {
  const { id, policy, waiting, message } = workload;
  const failure = host.failure(id);
  if (failure !== undefined) return { state: 'not-ready', message: failure };
  if (!policy) return { state: waiting || 'not-ready', message };
  if (!host.wired.has(id)) return { state: 'not-ready', message: 'it is being connected' };
  const refused = failed.get(id);
  if (refused) return { state: 'not-ready', message: `in lockdown, the kernel refused its policy: ${refused.message}` };
  if (policy.lockdown !== '') return { state: 'not-ready', message: `in lockdown: ${policy.lockdown}` };
  return { state: 'ready', message: '' };
};

export const workloadReports = (
  desired: Desired,
  host: HostDatapath,
  failed: ReadonlyMap<string, Error>,
): Pick<Report, 'workloads' | 'healthEndpoint'> => {
  const all = [...desired.workloads.values()].map((workload) => ({
    id: workload.id,
    ...stateOf(workload, host, failed),
    identity: workload.identity,
    localId: host.wired.get(workload.id)?.value.localId ?? workload.localId,
    policyEnabled: workload.policy?.enabled ?? 'none',
    policyEntries: workload.policy?.entries ?? 0,
  }));
  return {
    workloads: all.filter(({ id }) => id !== HEALTH_ENDPOINT),
    healthEndpoint: all.find(({ id }) => id === HEALTH_ENDPOINT),
  };
};
