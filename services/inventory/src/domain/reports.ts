// SPDX-License-Identifier: Apache-2.0
/**
 * What an agent says, cut to what a column can hold. The broker vouches for who says it, not for what is said: a
 * report that Postgres refuses must not hold up those of other hosts, which are written with it.
 */
const INT4_MAX = 2 ** 31 - 1;
const INT8_MAX = 2n ** 63n - 1n;
const TEXT_MAX = 1_024;
const ENTRIES_MAX = 512;

/** Postgres holds no zero byte; lone surrogates are no UTF-8. */
export const cleanText = (text: string): string => text.slice(0, TEXT_MAX).replaceAll('\0', '').toWellFormed();

export const cleanCount = (count: number): number => Math.min(count, INT4_MAX);

export const cleanBig = (value: bigint): bigint => (value > INT8_MAX ? INT8_MAX : value);

export const cleanMap = (map: Readonly<Record<string, bigint>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(map)
      .slice(0, ENTRIES_MAX)
      .map(([key, value]) => [cleanText(key), value.toString()]),
  );

export const cleanTexts = (texts: readonly string[]): string[] => texts.slice(0, ENTRIES_MAX).map(cleanText);
