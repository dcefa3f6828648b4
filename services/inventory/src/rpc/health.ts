// SPDX-License-Identifier: Apache-2.0
/** weir.inventory.v1.HealthService */
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { weirError } from '@weir/errors';
import { HealthService } from '@weir/proto/weir/inventory/v1/inventory_pb.js';
import { implement, type Registered } from '@weir/rpc';
import type { Operations } from '../operations/context.ts';
import { type PathStatus, pageOfHostHealth, pageOfPaths, STATUSES } from '../operations/health.ts';
import { hostHealthView, pathView } from '../routes/health.ts';
import { compact, given, pageOfRequest } from './requests.ts';

const statusOf = (text: string): PathStatus | undefined => {
  if (text === '') return undefined;
  const known = STATUSES.find((status) => status === text);
  if (known) return known;
  throw weirError('INVALID_ARGUMENT', `status ${JSON.stringify(text)} is not known`, {
    field: 'status',
    value: text,
    fix: `use one of: ${STATUSES.join(', ')}`,
  });
};

export const healthService = (operations: Operations): Registered =>
  implement(HealthService, {
    listHealth: async (request) => {
      const filter = compact({ from: given(request.from), to: given(request.to), status: statusOf(request.status) });
      const { items, next_cursor } = await pageOfPaths(operations, filter, pageOfRequest(request));
      const paths = items.map((item) => {
        const { probed_at, latency_us, error, ...path } = pathView(item);
        return {
          ...path,
          latencyUs: latency_us ?? 0,
          error: error ?? '',
          probedAt: timestampFromDate(new Date(probed_at)),
        };
      });
      return { paths, nextCursor: next_cursor ?? '' };
    },
    listHostHealth: async (request) => {
      const { items, next_cursor } = await pageOfHostHealth(operations, pageOfRequest(request));
      const hosts = items.map((row) => {
        const view = hostHealthView(row);
        return {
          host: view.host,
          reportedAt: timestampFromDate(row.reported_at),
          intervalS: view.interval_s,
          stale: view.stale,
          hosts: view.hosts,
          unreachableHosts: view.unreachable_hosts,
          endpoints: view.endpoints,
          unreachableEndpoints: view.unreachable_endpoints,
          probesTotal: view.probes_total,
          unreachableProbes: view.unreachable_probes,
        };
      });
      return { hosts, nextCursor: next_cursor ?? '' };
    },
  });
