// SPDX-License-Identifier: Apache-2.0
/**
 * Strings that others chose (names, labels, DNS names, process arguments) before a terminal shows them. What could move
 * the cursor, colour, retitle, hide or reorder text becomes a visible escape: C0 and C1 controls, DEL, line and paragraph
 * separators, bidirectional controls, zero-width characters, tags, and surrogates without a partner.
 */

const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Surrogate}/gu;

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

const escapeOne = (character: string): string => {
  const named = NAMED[character];
  if (named !== undefined) return named;
  const code = character.codePointAt(0) as number;
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
};

/** One printable line. `maxLength` cuts (with an ellipsis) what would flood a table. */
export const escapeUntrusted = (text: string, maxLength = Number.POSITIVE_INFINITY): string => {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
  return cut.replace(UNSAFE, escapeOne);
};
