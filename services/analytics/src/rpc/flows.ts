// SPDX-License-Identifier: Apache-2.0
/** weir.analytics.v1.FlowService. */
import { FlowService, LostSource } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { type FlowApiDeps, listFlows, streamFlows } from '../flow-api.ts';
import { filterParams, flowMessage } from './messages.ts';

const LOST_SOURCE = {
  STREAM_QUEUE: LostSource.STREAM_QUEUE,
  NOT_YET_STORED: LostSource.NOT_YET_STORED,
  EXPIRED: LostSource.EXPIRED,
} as const;

export const flowService = (deps: FlowApiDeps): Registered =>
  implement(FlowService, {
    listFlows: async ({ filter, pageSize, pageToken }) => {
      const { flows, next } = await listFlows(deps, {
        params: filterParams(filter),
        ...(pageSize === 0 ? {} : { limit: pageSize }),
        ...(pageToken === '' ? {} : { cursor: pageToken, cursorField: 'page_token' }),
      });
      return { flows: flows.map((flow) => flowMessage(flow, deps.directory)), nextPageToken: next ?? '' };
    },
    streamFlows: async function* ({ filter, last, afterPosition }, { signal }) {
      const request = {
        params: filterParams(filter),
        after: afterPosition,
        ...(last === 0 ? {} : { last: String(last) }),
      };
      for await (const event of await streamFlows(deps, request, signal)) {
        if ('lost' in event) {
          const lost = { count: BigInt(event.lost), source: LOST_SOURCE[event.source] };
          yield { event: { case: 'lost' as const, value: lost } };
        } else {
          yield {
            event: { case: 'flow' as const, value: flowMessage(event.flow, deps.directory) },
            position: event.id,
          };
        }
      }
    },
  });
