// SPDX-License-Identifier: Apache-2.0
/** Events of processes, stored and live, and the tree around one. */
import {
  EVENT_STREAM_RESPONSE,
  type HttpApp,
  LastEventId,
  PAGE_LIMIT_DEFAULT,
  PAGE_LIMIT_MAX,
  pageOf,
  pageQuery,
  readerSignal,
  ref,
  type StreamEvent,
  sendEvents,
} from '@weir/http';
import { Type } from 'typebox';
import { processEventView, type StoredProcessEvent } from '../domain/process-view.ts';
import type { FollowEvent } from '../live/follow.ts';
import { listProcessEvents, type ProcessApiDeps, processTree, streamProcessEvents } from '../process-api.ts';
import type { TreeProcess } from '../store/process-pages.ts';
import { lists } from './flows.ts';
import { ProcessEventSchema, ProcessTreeSchema, processFilter } from './process-schemas.ts';

const ListQuery = Type.Object(
  {
    ...processFilter,
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: PAGE_LIMIT_MAX,
        description: `Events per page; ${PAGE_LIMIT_DEFAULT} by default`,
      }),
    ),
    cursor: pageQuery.cursor,
  },
  { additionalProperties: false },
);
const StreamQuery = Type.Object(processFilter, { additionalProperties: false });
const TreeQuery = Type.Object(
  { exec_id: Type.String({ minLength: 1, maxLength: 200, description: 'Of an event' }) },
  { additionalProperties: false },
);

async function* shown(events: AsyncIterable<FollowEvent<StoredProcessEvent>>): AsyncGenerator<StreamEvent> {
  for await (const event of events) {
    if ('lost' in event) yield { event: 'lost', data: { count: event.lost, source: event.source } };
    else yield { event: 'process', id: event.id, data: processEventView(event.item) };
  }
}

const treeView = ({ begin, end }: TreeProcess) => ({
  ...processEventView(begin),
  end: end
    ? { time: processEventView(end).time, ...(processEventView(end).exit ?? { status: 0, signal: null }) }
    : null,
});

export const processRoutes = (app: HttpApp, deps: ProcessApiDeps): void => {
  app.get(
    '/v1/processes/events',
    {
      schema: {
        operationId: 'listProcessEvents',
        tags: ['processes'],
        summary: 'Stored events of processes, newest first',
        description: 'Values of a repeated parameter are alternatives; different parameters must all hold.',
        querystring: ListQuery,
        response: { 200: pageOf(ref(ProcessEventSchema)) },
      },
    },
    async ({ query }) => {
      const { limit, cursor, last, ...params } = query;
      const { events, next } = await listProcessEvents(deps, { params: lists(params), last, limit, cursor });
      return { items: events.map(processEventView), next_cursor: next };
    },
  );
  app.get(
    '/v1/processes/events/stream',
    {
      schema: {
        operationId: 'streamProcessEvents',
        tags: ['processes'],
        summary: 'Events of processes as they happen, as server-sent events',
        description:
          'Events `process` (data: a ProcessEvent, id: where to go on with Last-Event-ID), `lost` (data: {count, source}; the ' +
          'reader was too slow, the store was behind, or Last-Event-ID is older than what is kept; count 0: unknown) and ' +
          '`end` (data: {reason}, when the service ends the stream). With since or last the stream begins with stored events.',
        querystring: StreamQuery,
        headers: LastEventId,
        response: EVENT_STREAM_RESPONSE,
      },
    },
    async ({ query, headers }, reply) => {
      const { last, ...params } = query;
      const signal = readerSignal(reply);
      const events = await streamProcessEvents(
        deps,
        { params: lists(params), last, after: headers['last-event-id'] },
        signal,
      );
      await sendEvents(reply, shown(events), signal);
    },
  );
  app.get(
    '/v1/processes/tree',
    {
      schema: {
        operationId: 'getProcessTree',
        tags: ['processes'],
        summary: 'A process with those above it, beside it and below it, as far as they are stored',
        querystring: TreeQuery,
        response: { 200: ref(ProcessTreeSchema) },
      },
    },
    async ({ query }) => {
      const { process, ancestors, siblings, children } = await processTree(deps, query.exec_id);
      return {
        process: treeView(process),
        ancestors: ancestors.map(treeView),
        siblings: siblings.map(treeView),
        children: children.map(treeView),
      };
    },
  );
};
