// SPDX-License-Identifier: Apache-2.0
/** JSON over the public REST APIs, for the runner and the tests; a problem answer becomes an error with its facts. */
import type { Problem } from '@weir/errors';

export class ApiError extends Error {
  readonly status: number;
  readonly problem: Problem;

  constructor(request: string, problem: Problem) {
    super(`${request}: ${problem.status} ${problem.code}: ${problem.detail}`);
    this.status = problem.status;
    this.problem = problem;
  }
}

export interface ApiOptions {
  readonly method?: string;
  readonly body?: unknown;
  /** Sent as it is, with this content type, instead of JSON. */
  readonly raw?: { readonly type: string; readonly text: string };
  readonly headers?: Readonly<Record<string, string>>;
}

export const callApi = async <T>(url: string, options: ApiOptions = {}): Promise<T> => {
  const body = options.raw ? options.raw.text : options.body === undefined ? undefined : JSON.stringify(options.body);
  const type = options.raw ? options.raw.type : 'application/json';
  const method = options.method ?? (body === undefined ? 'GET' : 'POST');
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : { body }),
    headers: { ...(body === undefined ? {} : { 'content-type': type }), ...options.headers },
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  const parsed = text === '' ? undefined : JSON.parse(text);
  if (!response.ok) throw new ApiError(`${method} ${url}`, parsed as Problem);
  return parsed as T;
};

/** Every page of a listing. */
export const callAll = async <T>(url: string): Promise<T[]> => {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const next: string = cursor ? `${url}${url.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}` : url;
    const page: { items: T[]; next_cursor: string | null } = await callApi(next);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return items;
};
