// SPDX-License-Identifier: Apache-2.0
/** One small server that plays all three services, and a way to run a command line against it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { run } from '../src/index.ts';

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

export type Answer =
  | { readonly status?: number; readonly json: unknown }
  | ((asked: Asked, response: ServerResponse) => void | Promise<void>);

/** `GET /v1/hosts` -> answer. What is not there is a 404 problem. */
export type Routes = Readonly<Record<string, Answer>>;

export const createPlayer = async (routes: Routes) => {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const one: Asked = { method: request.method ?? '', url, body: await text(request), headers: request.headers };
    asked.push(one);
    const answer = routes[`${one.method} ${decodeURIComponent(url.pathname)}`] ?? {
      status: 404,
      json: {
        status: 404,
        code: 'NOT_FOUND',
        title: 'Not found',
        detail: `there is no ${url.pathname}`,
        fix: 'list what there is',
      },
    };
    if (typeof answer === 'function') {
      await answer(one, response);
      return;
    }
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer.json));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    asked,
    env: { WEIR_INVENTORY_URL: url, WEIR_POLICY_URL: url, WEIR_ANALYTICS_URL: url },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};

/** Where nobody listens. */
export const nobodyAt = async (): Promise<string> => {
  const player = await createPlayer({});
  await player.close();
  return player.url;
};

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly colours?: boolean;
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  readonly onLine?: (line: string) => void;
}

/** `words`: a line, cut at spaces outside quotation marks, or the words themselves. */
export const weir = async (words: string | readonly string[], options: RunOptions = {}): Promise<Outcome> => {
  const out: string[] = [];
  const err: string[] = [];
  const cut = (line: string) => line.match(/"[^"]*"|\S+/g)?.map((word) => word.replaceAll('"', '')) ?? [];
  const code = await run(typeof words === 'string' ? cut(words) : words, {
    env: options.env ?? {},
    out: (line) => {
      out.push(line);
      options.onLine?.(line);
    },
    err: (line) => err.push(line),
    colours: options.colours ?? false,
    signal: options.signal ?? new AbortController().signal,
    readStdin: async () => options.stdin ?? '',
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
};

/** Runs one command line against these routes. */
export const against = async (routes: Routes, words: string | readonly string[], options: RunOptions = {}) => {
  const player = await createPlayer(routes);
  try {
    return { ...(await weir(words, { ...options, env: { ...player.env, ...options.env } })), asked: player.asked };
  } finally {
    await player.close();
  }
};

export const listing = (items: readonly unknown[]): Answer => ({ json: { items, next_cursor: null } });
