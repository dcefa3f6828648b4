// SPDX-License-Identifier: Apache-2.0
/**
 * Any text as one subject token, and back. NATS splits subjects at dots and gives `*`, `>` and white space a
 * meaning, so everything outside [A-Za-z0-9_-] travels as %XX of its UTF-8 bytes. One text has one token:
 * what is not written that way does not decode, so two spellings can't name the same thing.
 */
import { weirError } from '@weir/errors';

const PLAIN = /^[A-Za-z0-9_-]+$/;
const TOKEN = /^(?:[A-Za-z0-9_-]|%[0-9A-F]{2})+$/;

export const encodeToken = (text: string): string => {
  if (text === '') throw weirError('INVALID_ARGUMENT', 'a subject token cannot be empty', { fix: 'give a name' });
  if (PLAIN.test(text)) return text;
  let token = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte);
    token += PLAIN.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token;
};

/** The text of a token; undefined when `encodeToken` would not have written it. */
export const decodeToken = (token: string): string | undefined => {
  if (!TOKEN.test(token)) return undefined;
  if (!token.includes('%')) return token;
  try {
    const text = decodeURIComponent(token);
    return encodeToken(text) === token ? text : undefined;
  } catch {
    return undefined;
  }
};
