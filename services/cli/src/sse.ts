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

/** Until the service names another pause by a `retry` field. */
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** A service that restarts answers so for a moment; one that refuses the request will refuse it again. */
const isPassing = (error: CliFailure): boolean =>
  error.exitCode === EXIT.unreachable || (error.status !== undefined && (error.status >= 500 || error.status === 429));

export async function* followEvents(
  client: Client,
  service: Service,
  path: string,
  query: URLSearchParams,
  signal: AbortSignal,
): AsyncGenerator<SseEvent> {
  let lastId: string | undefined;
  let connected = false;
  let retryMs = RETRY_MS;
  while (!signal.aborted) {
    try {
      const response = await client.send(service, path, {
        query,
        signal,
        timeoutMs: 0,
        headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
      });
      connected = true;
      for await (const { id, retry, ...event } of parseEvents(response.body as ReadableStream<Uint8Array>)) {
        if (id !== undefined) lastId = id;
        if (retry !== undefined) retryMs = Math.min(retry, RETRY_MAX_MS);
        if (event.data !== '') yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      // The first connection must work; later ones come back when the service does.
      if (error instanceof CliFailure && !(connected && isPassing(error))) throw error;
    }
    await sleep(retryMs, undefined, { signal }).catch(() => {});
  }
}

export interface ParsedEvent extends SseEvent {
  readonly id?: string;
  readonly retry?: number;
}

/** Complete lines, without their ends. A CR that ends a chunk waits: its LF may come with the next one. */
async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let buffered = '';
  for await (const chunk of body) {
    buffered += decoder.decode(chunk, { stream: true });
    const whole = buffered.endsWith('\r') ? buffered.slice(0, -1) : buffered;
    const lines = whole.split(/\r\n|\n|\r/);
    buffered = `${lines.pop()}${whole === buffered ? '' : '\r'}`;
    yield* lines;
  }
}

export async function* parseEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ParsedEvent> {
  let event = 'message';
  let data: string[] = [];
  let id: string | undefined;
  let retry: number | undefined;
  for await (const line of linesOf(body)) {
    if (line === '') {
      if (data.length > 0 || retry !== undefined) {
        yield {
          event,
          data: data.join('\n'),
          ...(id === undefined ? {} : { id }),
          ...(retry === undefined ? {} : { retry }),
        };
      }
      event = 'message';
      data = [];
      id = undefined;
      retry = undefined;
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
    else if (field === 'id') id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) retry = Number(value);
  }
}
