// SPDX-License-Identifier: Apache-2.0
/**
 * Server-sent events (HTML Living Standard, 9.2). Each flow has an id; a browser that lost the connection sends the
 * last one back by itself and goes on behind it. Written only as fast as the reader takes it.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { HttpApp } from '@weir/http';
import { logger } from '@weir/telemetry';
import { Type } from 'typebox';
import type { Directory } from '../domain/directory.ts';
import { flowView } from '../domain/flow-view.ts';
import { type FlowApiDeps, streamFlows } from '../flow-api.ts';
import type { FollowEvent } from '../live/follow.ts';
import { lists } from './flows.ts';
import { flowFilter } from './schemas.ts';

const StreamQuery = Type.Object(flowFilter, { additionalProperties: false });
const StreamHeaders = Type.Object({ 'last-event-id': Type.Optional(Type.String({ maxLength: 4_000 })) });

/** Proxies close what is silent for half a minute. */
const PING_MS = 15_000;
const RETRY_MS = 1_000;
const EVENT_STREAM = { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' };

const log = logger('analytics.stream');

const eventText = (event: FollowEvent, directory: Directory): string => {
  if ('lost' in event) {
    return `event: lost\ndata: ${JSON.stringify({ count: event.lost, source: event.source })}\n\n`;
  }
  return `event: flow\nid: ${event.id}\ndata: ${JSON.stringify(flowView(event.flow, directory))}\n\n`;
};

const endText = (reason: string): string => `event: end\ndata: ${JSON.stringify({ reason })}\n\n`;

const send = async (
  response: ServerResponse,
  events: AsyncGenerator<FollowEvent>,
  directory: Directory,
  signal: AbortSignal,
): Promise<void> => {
  // A reader that does not read is not sent more.
  const ping = setInterval(() => response.writableNeedDrain || response.write(': ping\n\n'), PING_MS);
  try {
    response.write(`retry: ${RETRY_MS}\n\n`);
    for await (const event of events) {
      if (signal.aborted) break;
      if (!response.write(eventText(event, directory))) await once(response, 'drain', { signal });
    }
    if (!signal.aborted) response.write(endText('the service is ending; go on with Last-Event-ID'));
  } catch (error) {
    if (!signal.aborted) response.write(endText('the stream broke; go on with Last-Event-ID'));
    if (!signal.aborted) log.warn({ error }, 'a live stream broke');
  } finally {
    clearInterval(ping);
    response.end();
  }
};

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
        headers: StreamHeaders,
        response: {
          200: { description: 'A stream of events', content: { 'text/event-stream': { schema: Type.String() } } },
        },
      },
    },
    async ({ query, headers }, reply) => {
      const { last, ...params } = query;
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const after = headers['last-event-id'];
      const events = await streamFlows(deps, { params: lists(params), last, after }, gone.signal);
      reply.hijack();
      // What hooks set (security headers) goes out too.
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value);
      reply.raw.writeHead(200, EVENT_STREAM);
      await send(reply.raw, events, deps.directory, gone.signal);
    },
  );
};
