// SPDX-License-Identifier: Apache-2.0
/** A reader of a stream of flows. */
import { openSse as open, type SseReader as Reader } from '@weir/http/testing';

export interface SseReader extends Reader {
  /** Flows as host:boot:seq. */
  keys(): string[];
  waitFor(count: number): Promise<void>;
}

export const openSse = async (url: string, lastEventId?: string): Promise<SseReader> => {
  const reader = await open(url, lastEventId);
  const keys = () =>
    reader.events.filter(({ event }) => event === 'flow').map(({ data }) => `${data.host}:${data.boot}:${data.seq}`);
  return { ...reader, keys, waitFor: (count) => reader.until(`${count} flows`, () => keys().length >= count) };
};
