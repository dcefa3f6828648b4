// SPDX-License-Identifier: Apache-2.0
/** GET /v1/changes: what changes in a service, as it happens and from where a reader left off. */
import type { ChangeSource, FeedEvent } from '@weir/bus/publishing';
import { Type } from 'typebox';
import type { HttpApp } from './create-http.ts';
import { EVENT_STREAM_RESPONSE, LastEventId, readerSignal, type StreamEvent, sendEvents } from './event-stream.ts';

async function* shown(events: AsyncIterable<FeedEvent>): AsyncGenerator<StreamEvent> {
  for await (const one of events) {
    if (one.event !== 'change') yield { event: one.event, id: one.id, data: {} };
    else {
      const { kind, key, what, revision, at } = one.change;
      const data = { kind, key, what, revision: revision === null ? null : Number(revision), at: at.toISOString() };
      yield { event: 'change', id: one.id, data };
    }
  }
}

/** `kinds`: those that the service has. */
export const changeRoutes = (app: HttpApp, feed: ChangeSource, kinds: readonly string[]): void => {
  app.get(
    '/v1/changes',
    {
      schema: {
        operationId: 'streamChanges',
        tags: ['changes'],
        summary: 'What changes, as server-sent events',
        description:
          'Events: `ready` (first of all: what changes from here on comes; then read the lists), `change` (data: {kind, key, what, ' +
          'revision, at}; what is written, removed, or status when only what is reported of the object changed; of several changes ' +
          'of a status the newest may stand for all), `reset` (instead of ready: Last-Event-ID is too old or of another database; ' +
          'read the lists again) and `end` (data: {reason}, when the service ends the stream). Each but end has an id; with it as ' +
          'Last-Event-ID the stream goes on behind it, also of another replica or after a restart. Comments keep it alive.',
        querystring: Type.Object(
          {
            kind: Type.Optional(
              Type.Array(Type.Enum([...kinds]), { maxItems: kinds.length, description: 'only of these' }),
            ),
          },
          { additionalProperties: false },
        ),
        headers: LastEventId,
        response: EVENT_STREAM_RESPONSE,
      },
    },
    async ({ query, headers }, reply) => {
      const signal = readerSignal(reply);
      const after = headers['last-event-id'];
      const request = {
        ...(after === undefined ? {} : { after }),
        ...(query.kind === undefined ? {} : { kinds: query.kind }),
      };
      await sendEvents(reply, shown(await feed.follow(request, signal)), signal);
    },
  );
};
