// SPDX-License-Identifier: Apache-2.0
/** weir.analytics.v1.FlowService. */
import { FlowService, LostSource } from '@weir/proto/weir/analytics/v1/analytics_pb.js';
import { implement, type Registered } from '@weir/rpc';
import { type FlowApiDeps, listFlows, streamFlows } from '../flow-api.ts';
import type { FlowGroups } from '../store/flow-groups.ts';
import { filterParams, flowMessage, groupMessage, rangeUs, timestamp } from './messages.ts';

/** Groups in one message: some hundred kilobytes. */
const GROUPS_PER_MESSAGE = 2_000;

const LOST_SOURCE = {
  STREAM_QUEUE: LostSource.STREAM_QUEUE,
  NOT_YET_STORED: LostSource.NOT_YET_STORED,
  EXPIRED: LostSource.EXPIRED,
} as const;

export interface FlowServiceDeps extends FlowApiDeps {
  readonly groups: Pick<FlowGroups, 'read'>;
}

export const flowService = (deps: FlowServiceDeps): Registered =>
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
            event: { case: 'flow' as const, value: flowMessage(event.item, deps.directory) },
            position: event.id,
          };
        }
      }
    },
    streamFlowGroups: async function* ({ since, until, workloadAddresses }, { signal }) {
      const parts = deps.groups.read({ ...rangeUs(since, until), workloadAddresses }, signal);
      let part = await parts.next();
      for (; !part.done; part = await parts.next()) {
        const { ends, groups, done, flows } = part.value;
        const progress = { done, flows };
        yield {
          ends: ends.map((end) => ({ ...end, labels: [...end.labels], workloads: [...end.workloads] })),
          groups: groups.slice(0, GROUPS_PER_MESSAGE).map(groupMessage),
          progress,
        };
        for (let index = GROUPS_PER_MESSAGE; index < groups.length; index += GROUPS_PER_MESSAGE) {
          yield { groups: groups.slice(index, index + GROUPS_PER_MESSAGE).map(groupMessage), progress };
        }
      }
      const { sinceUs, untilUs, flows, lost, storedSinceUs } = part.value;
      yield {
        summary: {
          since: timestamp(sinceUs),
          until: timestamp(untilUs),
          flows,
          lost,
          ...(storedSinceUs === undefined ? {} : { storedSince: timestamp(storedSinceUs) }),
        },
      };
    },
  });
