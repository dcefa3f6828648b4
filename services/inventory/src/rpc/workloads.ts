// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.WorkloadService */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { checked } from '@weir/http';
import { WorkloadService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, onceOfCall, type Registered } from '@weir/rpc';
import { notFound, type Operations } from '../operations/context.ts';
import { pageOfWorkloads } from '../operations/pages.ts';
import { probeWorkload } from '../operations/probes.ts';
import { createWorkload, deleteWorkload, updateWorkload } from '../operations/workloads.ts';
import { WorkloadCreateSchema, WorkloadPatchSchema, WorkloadProbeSchema } from '../routes/inputs.ts';
import { getWorkload } from '../store/workloads.ts';
import { workloadMessage } from './messages.ts';
import { compact, given, matchOf, pageOfRequest } from './requests.ts';

interface PortMessage {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

const portsOf = (ports: readonly PortMessage[]) => ports.map(({ name, port, protocol }) => ({ name, port, protocol }));

/** Absent: as it is. Empty: none. */
const limit = (quantity: string | undefined): string | null | undefined => (quantity === '' ? null : quantity);

export const workloadService = (operations: Operations): Registered =>
  implement(WorkloadService, {
    createWorkload: async ({ name, namespace, host, labels, netns, cgroup, ip4, ip6, ports, ...more }, call) => {
      const input = compact({
        name,
        namespace: given(namespace),
        host,
        labels,
        netns: given(netns),
        cgroup: given(cgroup),
        host_network: more.hostNetwork || undefined,
        ip4: given(ip4),
        ip6: given(ip6),
        ports: portsOf(ports),
        pool: given(more.pool),
        egress_bandwidth: given(more.egressBandwidth),
        ingress_bandwidth: given(more.ingressBandwidth),
        source_check: more.sourceCheck,
        annotations: Object.keys(more.annotations).length > 0 ? more.annotations : undefined,
      });
      const body = checked(WorkloadCreateSchema, input);
      const full = { ...body, namespace: body.namespace ?? 'default' };
      const row = await createWorkload(operations, full, onceOfCall(call));
      return { workload: workloadMessage(row) };
    },
    probeWorkload: async ({ id, address, protocol, port, timeoutMs }) => {
      const input = compact({ address, protocol: given(protocol), port, timeout_ms: timeoutMs || undefined });
      const result = await probeWorkload(operations, id, checked(WorkloadProbeSchema, input));
      return {
        ...{ host: result.host, sourceAddress: result.source_address, sourcePort: result.source_port },
        ...{ error: result.error, durationUs: result.duration_us, startedAt: timestampFromDate(result.started_at) },
      };
    },
    getWorkload: async ({ id }) => {
      const row = await getWorkload(operations.db.kysely, id);
      if (!row) throw notFound('workload', id);
      return { workload: workloadMessage(row) };
    },
    listWorkloads: async (request) => {
      const filter = compact({
        host: given(request.host),
        namespace: given(request.namespace),
        identity: request.identity || undefined,
        labels: Object.keys(request.labels).length > 0 ? request.labels : undefined,
      });
      const { items, next_cursor } = await pageOfWorkloads(operations, filter, pageOfRequest(request));
      return { workloads: items.map(workloadMessage), nextCursor: next_cursor ?? '' };
    },
    updateWorkload: async ({ id, labels, ports, egressBandwidth, ingressBandwidth, sourceCheck, ifRevision }) => {
      const patch = compact({
        labels: labels?.labels,
        ports: ports === undefined ? undefined : portsOf(ports.ports),
        egress_bandwidth: limit(egressBandwidth),
        ingress_bandwidth: limit(ingressBandwidth),
        source_check: sourceCheck,
      });
      const row = await updateWorkload(operations, id, checked(WorkloadPatchSchema, patch), matchOf(ifRevision));
      return { workload: workloadMessage(row) };
    },
    deleteWorkload: async ({ id, ifRevision }) => {
      await deleteWorkload(operations, id, matchOf(ifRevision));
      return {};
    },
  });
