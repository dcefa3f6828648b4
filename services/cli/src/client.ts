// SPDX-License-Identifier: Apache-2.0
/** The REST APIs as the command sees them. Addresses come from the environment; a refusal becomes a CliFailure. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode, Problem } from '@weir/errors';
import { escapeUntrusted } from '@weir/net';
import { CliFailure, EXIT, Refused } from './failure.ts';
import { contextUrls } from './settings.ts';

export const SERVICES = {
  inventory: { variable: 'WEIR_INVENTORY_URL', standard: 'http://127.0.0.1:7101' },
  policy: { variable: 'WEIR_POLICY_URL', standard: 'http://127.0.0.1:7102' },
  analytics: { variable: 'WEIR_ANALYTICS_URL', standard: 'http://127.0.0.1:7103' },
} as const;

export type Service = keyof typeof SERVICES;

export interface Request {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly query?: URLSearchParams;
  readonly body?: { readonly type: string; readonly text: string };
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** 0 = none (streams). Default 30 s. */
  readonly timeoutMs?: number;
}

export interface Page<T> {
  readonly items: T[];
  readonly next_cursor: string | null;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const PAGE_LIMIT = 1_000;
/** Refusals that say nothing was done, so that any request may be sent again. */
const UNDONE: ReadonlySet<string> = new Set(['OVERLOADED', 'RATE_LIMITED'] satisfies ErrorCode[]);
/** Someone waits for the command: a longer Retry-After is theirs to keep. */
const LONGEST_PAUSE_S = 5;
const TRIES = 5;

export class Client {
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  urlOf(service: Service): string {
    const { variable, standard } = SERVICES[service];
    const url = this.#env[variable] ?? contextUrls(this.#env)[service] ?? standard;
    if (!URL.canParse(url) || !/^https?:/.test(url)) {
      throw new CliFailure(EXIT.usage, `${variable}=${url} is not an http URL; such as ${standard}`);
    }
    return url.replace(/\/$/, '');
  }

  /** The raw answer of a request that was not refused; a service that is too busy for a moment is asked again. */
  async send(service: Service, path: string, request: Request = {}): Promise<Response> {
    for (let tries = 1; ; tries += 1) {
      const response = await this.#once(service, path, request);
      if (response.ok) return response;
      const refused = await refusal(service, response);
      const pauseS = Number(response.headers.get('retry-after') ?? Number.NaN);
      const again = refused instanceof Refused && UNDONE.has(refused.problem.code) && pauseS <= LONGEST_PAUSE_S;
      if (!again || tries === TRIES) throw refused;
      await sleep(pauseS * 1_000, undefined, { signal: request.signal });
    }
  }

  async #once(service: Service, path: string, request: Request): Promise<Response> {
    const base = this.urlOf(service);
    const query = request.query?.size ? `?${request.query}` : '';
    const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const signals = [request.signal, timeoutMs ? AbortSignal.timeout(timeoutMs) : undefined].filter(
      (s) => s !== undefined,
    );
    try {
      return await fetch(`${base}${path}${query}`, {
        method: request.method ?? 'GET',
        headers: { ...(request.body ? { 'content-type': request.body.type } : {}), ...request.headers },
        ...(request.body ? { body: request.body.text } : {}),
        ...(signals.length ? { signal: AbortSignal.any(signals) } : {}),
      });
    } catch (error) {
      if (request.signal?.aborted) throw error;
      const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string };
      const why = cause?.code ?? cause?.message ?? message;
      throw new CliFailure(
        EXIT.unreachable,
        `error: ${service} is not reachable at ${base} (${why})\n  fix: start it, or set ${SERVICES[service].variable}`,
      );
    }
  }

  async json<T>(service: Service, path: string, request: Request = {}): Promise<T> {
    const response = await this.send(service, path, request);
    return (await response.json()) as T;
  }

  /** Items of a listing, page after page, as they are asked for. */
  async *each<T>(
    service: Service,
    path: string,
    query = new URLSearchParams(),
    most = Number.POSITIVE_INFINITY,
  ): AsyncGenerator<T> {
    let cursor: string | null = null;
    let count = 0;
    do {
      const page = new URLSearchParams(query);
      page.set('limit', String(Math.min(PAGE_LIMIT, most - count)));
      if (cursor) page.set('cursor', cursor);
      const answer: Page<T> = await this.json(service, path, { query: page });
      yield* answer.items;
      count += answer.items.length;
      cursor = answer.next_cursor;
    } while (cursor && count < most);
  }

  /** All items of a listing, at most `most`. */
  async list<T>(service: Service, path: string, query?: URLSearchParams, most?: number): Promise<T[]> {
    return Array.fromAsync(this.each<T>(service, path, query, most));
  }
}

const refusal = async (service: Service, response: Response): Promise<CliFailure> => {
  const text = await response.text();
  try {
    const problem = JSON.parse(text) as Problem;
    if (typeof problem.detail === 'string') return new Refused(problem);
  } catch {
    // not a problem document; said below
  }
  return new CliFailure(
    EXIT.failed,
    `error: ${service} answered ${response.status}: ${escapeUntrusted(text, 200)}`,
    response.status,
  );
};
