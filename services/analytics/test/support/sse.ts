// SPDX-License-Identifier: Apache-2.0
/** A reader of server-sent events that keeps everything it got. */
import { until } from './app.ts';

export interface SseEvent {
  readonly event: string;
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  readonly data: any;
}

export interface SseReader {
  readonly status: number;
  readonly headers: Headers;
  readonly events: SseEvent[];
  /** Flows as host:boot:seq. */
  keys(): string[];
  waitFor(count: number): Promise<void>;
  close(): void;
}

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
  const read = async (): Promise<void> => {
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const event = parse(block);
        if (event) events.push(event);
      }
    }
  };
  read().catch(() => {});
  const reader: SseReader = {
    status: response.status,
    headers: response.headers,
    events,
    keys: () =>
      events.filter(({ event }) => event === 'flow').map(({ data }) => `${data.host}:${data.boot}:${data.seq}`),
    waitFor: (count) => until(`${count} flows (have ${reader.keys().length})`, () => reader.keys().length >= count),
    close: () => controller.abort(),
  };
  return reader;
};
