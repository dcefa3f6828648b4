// SPDX-License-Identifier: Apache-2.0
/** Live flows as server-sent events. Each flow has an id; whoever lost the connection goes on behind the last one. */
import {
  EVENT_STREAM_RESPONSE,
  type HttpApp,
  LastEventId,
  readerSignal,
  type StreamEvent,
  sendEvents,
} from '@weir/http';
import { Type } from 'typebox';
import type { Directory } from '../domain/directory.ts';
import { flowView, type StoredFlow } from '../domain/flow-view.ts';
import { type FlowApiDeps, streamFlows } from '../flow-api.ts';
import type { FollowEvent } from '../live/follow.ts';
import { lists } from './flows.ts';
import { flowFilter } from './schemas.ts';

const StreamQuery = Type.Object(flowFilter, { additionalProperties: false });

async function* shown(
  events: AsyncIterable<FollowEvent<StoredFlow>>,
  directory: Directory,
): AsyncGenerator<StreamEvent> {
  for await (const event of events) {
    if ('lost' in event) yield { event: 'lost', data: { count: event.lost, source: event.source } };
    else yield { event: 'flow', id: event.id, data: flowView(event.item, directory) };
  }
}

export const streamRoutes = (app: HttpApp, deps: FlowApiDeps): void => {
  app.get(
    '/v1/flows/stream',
    {
      schema: {
        operationId: 'streamFlows',
        tags: ['flows'],
        summary: 'Flows as they happen, as server-sent events',
        description:
          'Events `flow` (data: a Flow, id: where to go on with Last-Event-ID), `lost` (data: {count, source}; the reader ' +
          'was too slow, the store was behind, or Last-Event-ID is older than what is kept; count 0: unknown) and `end` ' +
          '(data: {reason}, when the service ends the stream). With since or last the stream begins with stored flows.',
        querystring: StreamQuery,
        headers: LastEventId,
        response: EVENT_STREAM_RESPONSE,
      },
    },
    async ({ query, headers }, reply) => {
      const { last, ...params } = query;
      const signal = readerSignal(reply);
      const after = headers['last-event-id'];
      const events = await streamFlows(deps, { params: lists(params), last, after }, signal);
      await sendEvents(reply, shown(events, deps.directory), signal);
    },
  );
};
