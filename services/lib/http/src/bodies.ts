// SPDX-License-Identifier: Apache-2.0
/** Readers of bodies. JSON is parsed strictly; YAML arrives as text, since only its reader knows lines and columns. */
import { weirError } from '@weir/errors';
import type { FastifyInstance } from 'fastify';

export const YAML_TYPES = ['application/yaml', 'application/x-yaml', 'text/yaml', 'text/x-yaml'];

/** Keys that reach the prototype of an object when it is copied carelessly. */
const POISON = /"(?:__proto__|constructor)"\s*:/;
const LINE_BREAK = /\n/g;
/** Documents of ours are less than ten deep; a stack is finite wherever such a value goes later. */
const DEPTH_MAX = 64;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Deepest nesting of brackets outside strings. */
const depthOf = (text: string): number => {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (quoted) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) quoted = false;
    } else if (code === QUOTE) quoted = true;
    else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x5d || code === 0x7d) depth -= 1;
  }
  return deepest;
};

/** V8 names the place as a position or as line and column, depending on the fault. */
const placeOf = (text: string, message: string): { line?: number; column?: number } => {
  const at = /position (\d+)/.exec(message)?.[1];
  if (at === undefined) return {};
  const before = text.slice(0, Number(at));
  return { line: (before.match(LINE_BREAK)?.length ?? 0) + 1, column: before.length - before.lastIndexOf('\n') };
};

const withoutPoison = (key: string, value: unknown): unknown => {
  if (key === '__proto__' || (key === 'constructor' && typeof value === 'object')) {
    throw weirError('MALFORMED', `the key ${key} is not allowed in JSON`, { field: key, fix: 'leave it out' });
  }
  return value;
};

export const parseJson = (text: string): unknown => {
  if (depthOf(text) > DEPTH_MAX) {
    throw weirError('MALFORMED', `the body is nested more than ${DEPTH_MAX} deep`, {
      field: 'body',
      fix: 'flatten it',
    });
  }
  try {
    return POISON.test(text) ? JSON.parse(text, withoutPoison) : JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const place = placeOf(text, error.message);
    throw weirError('MALFORMED', `the body is not JSON: ${error.message}`, {
      field: 'body',
      ...place,
      fix: 'send one JSON document in UTF-8',
    });
  }
};

export const readBodies = (app: FastifyInstance): void => {
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, text, done) => {
    const body = text.toString();
    // DELETE and the like are sent with a JSON type and nothing in them by many clients.
    if (body === '' && request.headers['content-length'] === '0') return done(null, undefined);
    try {
      done(null, parseJson(body));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addContentTypeParser(YAML_TYPES, { parseAs: 'string' }, (_request, text, done) => done(null, text));
};

/** For a scope whose routes want the text itself, JSON too (for lines and columns). Call inside `register`. */
export const textBodies = (scope: FastifyInstance): void => {
  const types = ['application/json', 'text/plain', ...YAML_TYPES];
  for (const type of types) if (scope.hasContentTypeParser(type)) scope.removeContentTypeParser(type);
  scope.addContentTypeParser(types, { parseAs: 'string' }, (_request, text, done) => done(null, text));
};
