// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.WorkloadService */
import { checked, decodeCursor, page } from '@weir/http';
import { WorkloadService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { Type } from 'typebox';
import { notFound, type Operations } from '../operations/context.ts';
import { createWorkload, deleteWorkload, updateWorkload } from '../operations/workloads.ts';
import { WorkloadCreateSchema, WorkloadPatchSchema } from '../routes/inputs.ts';
import { getWorkload, listWorkloads } from '../store/workloads.ts';
import { workloadMessage } from './messages.ts';
import { compact, given, matchOf, pageOfRequest } from './requests.ts';

interface PortMessage {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
}

const portsOf = (ports: readonly PortMessage[]) => ports.map(({ name, port, protocol }) => ({ name, port, protocol }));

export const workloadService = (operations: Operations): Registered =>
  implement(WorkloadService, {
    createWorkload: async ({ name, namespace, host, labels, netns, ip4, ip6, ports }) => {
      const input = compact({
        name,
        namespace: given(namespace),
        host,
        labels,
        netns: given(netns),
        ip4: given(ip4),
        ip6: given(ip6),
        ports: portsOf(ports),
      });
      const body = checked(WorkloadCreateSchema, input);
      const row = await createWorkload(operations, { ...body, namespace: body.namespace ?? 'default' });
      return { workload: workloadMessage(row) };
    },
    getWorkload: async ({ id }) => {
      const row = await getWorkload(operations.db.kysely, id);
      if (!row) throw notFound('workload', id);
      return { workload: workloadMessage(row) };
    },
    listWorkloads: async (request) => {
      const { limit, cursor } = pageOfRequest(request);
      const filter = compact({
        host: given(request.host),
        namespace: given(request.namespace),
        identity: request.identity || undefined,
        labels: Object.keys(request.labels).length > 0 ? request.labels : undefined,
      });
      const after = decodeCursor(Type.String(), cursor) ?? '';
      const rows = await listWorkloads(operations.db.kysely, filter, after, limit + 1);
      const { items, next_cursor } = page(rows, limit, workloadMessage, ({ id }) => id);
      return { workloads: items, nextCursor: next_cursor ?? '' };
    },
    updateWorkload: async ({ id, labels, ports, ifRevision }) => {
      const patch = compact({ labels: labels?.labels, ports: ports === undefined ? undefined : portsOf(ports.ports) });
      const row = await updateWorkload(operations, id, checked(WorkloadPatchSchema, patch), matchOf(ifRevision));
      return { workload: workloadMessage(row) };
    },
    deleteWorkload: async ({ id, ifRevision }) => {
      await deleteWorkload(operations, id, matchOf(ifRevision));
      return {};
    },
  });
