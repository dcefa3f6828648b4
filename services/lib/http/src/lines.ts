// SPDX-License-Identifier: Apache-2.0
/**
 * A long answer that ends, as one JSON document per line. What is wrong with the request is told as a problem, with its
 * status, because the first line is waited for; what breaks later is the last line, `{"event":"error", "problem":{...}}`.
 */
import { once } from 'node:events';
import { toProblem, toWeirError } from '@weir/errors';
import { logger } from '@weir/telemetry';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';

const LINES = {
  'content-type': 'application/x-ndjson',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
};

const log = logger('http.lines');

/** For the response of such an answer. */
export const LINES_RESPONSE = {
  200: { description: 'One JSON document per line', content: { 'application/x-ndjson': { schema: Type.String() } } },
};

const textOf = (line: unknown): string => `${JSON.stringify(line)}\n`;

/** `signal` is that of readerSignal(): the source should end when it aborts. */
export const sendLines = async (
  reply: FastifyReply,
  lines: AsyncIterable<unknown>,
  signal: AbortSignal,
): Promise<void> => {
  const source = lines[Symbol.asyncIterator]();
  let line = await source.next();
  reply.hijack();
  const { raw } = reply;
  // What hooks set (security headers) goes out too.
  for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200, LINES);
  try {
    for (; !line.done && !signal.aborted; line = await source.next()) {
      if (!raw.write(textOf(line.value))) await once(raw, 'drain', { signal });
    }
  } catch (error) {
    if (!signal.aborted) {
      const known = toWeirError(error);
      raw.write(textOf({ event: 'error', problem: toProblem(known) }));
      if (known.status >= 500) log.warn({ error }, 'a long answer broke');
    }
  } finally {
    await source.return?.();
    raw.end();
  }
};
