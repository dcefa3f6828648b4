// SPDX-License-Identifier: Apache-2.0
/** For tests: a reader of server-sent events that keeps everything it got. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface SseEvent {
  readonly event: string;
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  readonly data: any;
}

export interface SseReader {
  readonly status: number;
  readonly headers: Headers;
  readonly events: readonly SseEvent[];
  /** Comments that came: pings. */
  comments(): number;
  /** Waits until `holds`. */
  until(what: string, holds: (events: readonly SseEvent[]) => boolean, timeoutMs?: number): Promise<void>;
  /** Resolves when the server has ended the stream. */
  readonly ended: Promise<void>;
  close(): void;
}

const POLL_MS = 10;

const parse = (block: string): SseEvent | undefined => {
  const fields = new Map(
    block
      .split('\n')
      .filter((line) => !line.startsWith(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)] as const),
  );
  const data = fields.get('data');
  if (data === undefined) return undefined;
  return { event: fields.get('event') ?? 'message', id: fields.get('id') ?? '', data: JSON.parse(data) };
};

export const openSse = async (url: string, lastEventId?: string): Promise<SseReader> => {
  const controller = new AbortController();
  const response = await fetch(url, {
    signal: controller.signal,
    headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
  });
  const events: SseEvent[] = [];
  let comments = 0;
  const read = async (): Promise<void> => {
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        if (block.startsWith(':')) comments += 1;
        const event = parse(block);
        if (event) events.push(event);
      }
    }
  };
  const ended = read().catch(() => {});
  return {
    status: response.status,
    headers: response.headers,
    events,
    comments: () => comments,
    until: async (what, holds, timeoutMs = 20_000) => {
      for (const deadline = performance.now() + timeoutMs; !holds(events); await sleep(POLL_MS)) {
        if (performance.now() > deadline) throw new Error(`${what}: not in ${timeoutMs} ms; ${JSON.stringify(events)}`);
      }
    },
    ended,
    close: () => controller.abort(),
  };
};
