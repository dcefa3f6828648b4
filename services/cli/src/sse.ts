// SPDX-License-Identifier: Apache-2.0
/**
 * Server-sent events (WHATWG HTML, 9.2) over fetch, resumed with Last-Event-ID after a broken connection. Yields
 * events until the signal aborts; a refusal (4xx) ends it, an unreachable server is tried again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, Service } from './client.ts';
import { CliFailure, EXIT } from './failure.ts';

export interface SseEvent {
  readonly event: string;
  readonly data: string;
}

const RETRY_MS = 1_000;

export async function* followEvents(
  client: Client,
  service: Service,
  path: string,
  query: URLSearchParams,
  signal: AbortSignal,
): AsyncGenerator<SseEvent> {
  let lastId: string | undefined;
  let connected = false;
  while (!signal.aborted) {
    try {
      const response = await client.send(service, path, {
        query,
        signal,
        timeoutMs: 0,
        headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
      });
      connected = true;
      for await (const { id, ...event } of parseEvents(response.body as ReadableStream<Uint8Array>)) {
        if (id !== undefined) lastId = id;
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      // The first connection must work; later ones come back when the service does.
      if (error instanceof CliFailure && (error.exitCode !== EXIT.unreachable || !connected)) throw error;
    }
    await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

export async function* parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<SseEvent & { id?: string }> {
  const decoder = new TextDecoder();
  let buffered = '';
  let event: { event: string; data: string[]; id?: string } = { event: 'message', data: [] };
  for await (const chunk of body) {
    buffered += decoder.decode(chunk, { stream: true });
    const lines = buffered.split(/\r\n|\n|\r/);
    buffered = lines.pop() as string;
    for (const line of lines) {
      if (line === '') {
        if (event.data.length)
          yield {
            event: event.event,
            data: event.data.join('\n'),
            ...(event.id === undefined ? {} : { id: event.id }),
          };
        event = { event: 'message', data: [] };
        continue;
      }
      const colon = line.indexOf(':');
      if (colon === 0) continue;
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'event') event.event = value;
      else if (field === 'data') event.data.push(value);
      else if (field === 'id') event.id = value;
    }
  }
}
