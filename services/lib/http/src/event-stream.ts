// SPDX-License-Identifier: Apache-2.0
/**
 * Server-sent events (HTML Living Standard, 9.2). A reader that lost the connection sends the last id back by itself and goes
 * on behind it. Written only as fast as the reader takes it; silence is broken by comments; whoever is cut off by us is told.
 */
import { once } from 'node:events';
import { logger } from '@weir/telemetry';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';

export interface StreamEvent {
  readonly event: string;
  /** Where to go on with Last-Event-ID. */
  readonly id?: string;
  readonly data: unknown;
}

/** Proxies close what is silent for half a minute. */
const PING_MS = 15_000;
const RETRY_MS = 1_000;
const EVENT_STREAM = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
  // Kept alive behind a stream that ended, it would hold up a service that ends for its keep-alive time (72 s).
  connection: 'close',
};

const log = logger('http.stream');

/** Headers schema of a stream. */
export const LastEventId = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({ maxLength: 4_000, description: 'id of the last event that you have; go on behind it' }),
  ),
});

/** For the response of a stream. */
export const EVENT_STREAM_RESPONSE = {
  200: { description: 'A stream of events', content: { 'text/event-stream': { schema: Type.String() } } },
};

const textOf = ({ event, id, data }: StreamEvent): string =>
  `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;

const endText = (reason: string): string => textOf({ event: 'end', data: { reason } });

/** Aborted when the reader is gone. */
export const readerSignal = (reply: FastifyReply): AbortSignal => {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
};

/**
 * Sends `events` until they end, then an event `end` that says why: they end by themselves only when the service does.
 * `signal` is that of readerSignal().
 */
export const sendEvents = async (
  reply: FastifyReply,
  events: AsyncIterable<StreamEvent>,
  signal: AbortSignal,
  pingMs = PING_MS,
): Promise<void> => {
  reply.hijack();
  const { raw } = reply;
  // What hooks set (security headers) goes out too.
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, EVENT_STREAM);
  // A reader that does not read is not sent more.
  const ping = setInterval(() => raw.writableNeedDrain || raw.write(': ping\n\n'), pingMs);
  try {
    raw.write(`retry: ${RETRY_MS}\n\n`);
    for await (const event of events) {
      if (signal.aborted) break;
      if (!raw.write(textOf(event))) await once(raw, 'drain', { signal });
    }
    if (!signal.aborted) raw.write(endText('the service is ending; go on with Last-Event-ID'));
  } catch (error) {
    if (!signal.aborted) {
      raw.write(endText('the stream broke; go on with Last-Event-ID'));
      log.warn({ error }, 'a live stream broke');
    }
  } finally {
    clearInterval(ping);
    raw.end();
  }
};
