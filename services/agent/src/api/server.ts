// SPDX-License-Identifier: Apache-2.0
/**
 * The local API: HTTP and JSON on a unix socket that only root may open, for people on the host and for the CLI. It
 * answers from memory and from the kernel's maps, so it works when everything else is away. Reading changes nothing; what changes
 * something is asked with POST.
 */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { toProblem, weirError } from '@weir/errors';

export interface LocalRequest {
  /** Path segments behind the route's own. */
  readonly rest: readonly string[];
  readonly query: URLSearchParams;
}

/** A text is sent as it is, anything else as JSON. */
export type LocalRoutes = Readonly<Record<string, (request: LocalRequest) => unknown>>;

export interface LocalTables {
  readonly get: LocalRoutes;
  readonly post: LocalRoutes;
}

const REQUEST_TIMEOUT_MS = 10_000;

const toJson = (value: unknown): string =>
  JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? Number(part) : part));

const route = async (tables: LocalTables, method: string, target: string): Promise<{ type: string; body: string }> => {
  const { pathname, searchParams } = new URL(target, 'http://agent');
  if (method !== 'GET' && method !== 'POST') {
    throw weirError('UNSUPPORTED', `the local API only answers GET and POST, not ${method}`, {
      field: 'method',
      fix: 'use GET',
    });
  }
  const routes = method === 'GET' ? tables.get : tables.post;
  let segments: string[];
  try {
    segments = pathname.split('/').filter(Boolean).map(decodeURIComponent);
  } catch (cause) {
    throw weirError('MALFORMED', `the path ${pathname} is not valid percent-encoding`, { field: 'path', cause });
  }
  const [name = 'status', ...rest] = segments;
  const handle = Object.hasOwn(routes, name) ? routes[name] : undefined;
  if (!handle) {
    throw weirError('NOT_FOUND', `the local API has no ${method} /${name}`, {
      field: 'path',
      value: pathname,
      fix: `use one of ${Object.keys(routes)
        .map((known) => `/${known}`)
        .join(', ')}`,
    });
  }
  const answer = await handle({ rest, query: searchParams });
  return typeof answer === 'string'
    ? { type: 'text/plain; charset=utf-8', body: answer }
    : { type: 'application/json', body: `${toJson(answer)}\n` };
};

export interface LocalApi {
  close(): Promise<void>;
}

export const serveLocalApi = async (path: string, tables: LocalTables): Promise<LocalApi> => {
  // Left by an agent that was killed; two agents of one host can't run anyway.
  await rm(path, { force: true });
  const server: Server = createServer((request, response) => {
    route(tables, request.method ?? 'GET', request.url ?? '/').then(
      ({ type, body }) => response.writeHead(200, { 'content-type': type }).end(body),
      (error) => {
        const problem = toProblem(error);
        response.writeHead(problem.status, { 'content-type': 'application/problem+json' }).end(toJson(problem));
      },
    );
  });
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  // Nobody else may connect, not even between bind and chmod.
  const umask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
  } finally {
    process.umask(umask);
  }
  await chmod(path, 0o600);
  return {
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(path, { force: true });
    },
  };
};
