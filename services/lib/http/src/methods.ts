// SPDX-License-Identifier: Apache-2.0
/** What a path can do, for the answer to a request that asks it for something else: 405 with Allow instead of 404. */
import type { FastifyInstance } from 'fastify';

export interface KnownPaths {
  /** Methods of the routes that the path of `url` fits; none: there is nothing there. */
  methodsAt(url: string): string[];
}

/** `/v1/hosts/:id` fits `/v1/hosts/alpha`. */
const patternOf = (route: string): RegExp =>
  new RegExp(
    `^${route
      .split('/')
      .map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')))
      .join('/')}$`,
  );

/** Knows the routes that are added after it. */
export const knowPaths = (app: FastifyInstance): KnownPaths => {
  const known = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    const entry = known.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) entry.methods.add(one);
    known.set(url, entry);
  });
  return {
    methodsAt: (url) => {
      const path = url.split('?')[0] ?? '';
      const methods = [...known.values()].flatMap((entry) => (entry.pattern.test(path) ? [...entry.methods] : []));
      return [...new Set(methods)].sort();
    },
  };
};
