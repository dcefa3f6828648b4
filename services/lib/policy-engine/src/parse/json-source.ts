// SPDX-License-Identifier: Apache-2.0
/**
 * JSON text -> located tree. JSON is YAML, but reading it as YAML costs twenty times more; this reader is for the common case
 * and answers undefined for whatever is not plain JSON, which then gets the YAML reader's opinion.
 */
import type { Issues } from './issues.ts';
import { checkNumber, joinPath, type Located, list, MAX_DEPTH, mapBuilder, scalar } from './located.ts';

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// No backslash or control character inside: the text is its own value.
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them
const PLAIN_STRING = /"[^"\\\u0000-\u001f]*"/y;
const WORDS: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const NOT_JSON = Symbol('not JSON');

export const looksLikeJson = (text: string): boolean => /^\s*[{[]/.test(text);

export const readJson = (text: string, issues: Issues): Located | undefined => {
  let at = 0;
  const skip = (): void => {
    for (;;) {
      const code = text.charCodeAt(at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return;
      at++;
    }
  };
  const string = (): string => {
    PLAIN_STRING.lastIndex = at;
    if (PLAIN_STRING.test(text)) {
      const start = at + 1;
      at = PLAIN_STRING.lastIndex;
      return text.slice(start, at - 1);
    }
    const start = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    at++;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      throw NOT_JSON;
    }
  };
  const value = (path: string, depth: number): Located => {
    if (depth > MAX_DEPTH) throw NOT_JSON;
    skip();
    const start = at;
    switch (text[at]) {
      case '{': {
        const builder = mapBuilder(start, path, issues);
        at++;
        skip();
        if (text[at] === '}') at++;
        else {
          do {
            skip();
            const keyAt = at;
            if (text[at] !== '"') throw NOT_JSON;
            const key = string();
            skip();
            if (text[at++] !== ':') throw NOT_JSON;
            builder.add(key, keyAt, value(joinPath(path, key), depth + 1));
            skip();
          } while (text[at] === ',' && at++ >= 0);
          if (text[at++] !== '}') throw NOT_JSON;
        }
        return builder.done();
      }
      case '[': {
        const items: Located[] = [];
        at++;
        skip();
        if (text[at] === ']') at++;
        else {
          do {
            items.push(value(`${path}[${items.length}]`, depth + 1));
            skip();
          } while (text[at] === ',' && at++ >= 0);
          if (text[at++] !== ']') throw NOT_JSON;
        }
        return list(start, items);
      }
      case '"':
        return scalar(start, string());
      default: {
        NUMBER.lastIndex = at;
        if (NUMBER.test(text)) {
          at = NUMBER.lastIndex;
          const source = text.slice(start, at);
          checkNumber(Number(source), source, start, path, issues);
          return scalar(start, Number(source));
        }
        for (const [word, meaning] of WORDS) {
          if (!text.startsWith(word, at)) continue;
          at += word.length;
          return scalar(start, meaning);
        }
        throw NOT_JSON;
      }
    }
  };
  try {
    const root = value('', 1);
    skip();
    return at === text.length ? root : undefined;
  } catch (error) {
    if (error === NOT_JSON) return undefined;
    throw error;
  }
};
