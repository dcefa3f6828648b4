// SPDX-License-Identifier: Apache-2.0
/** What somebody probably meant: for the `fix` of an error about a name that nobody knows. */

/** More edits than these make another word. */
const EDITS_MAX = 3;
/** Comparing costs the product of the lengths; names of ours are short. */
const COMPARED_LENGTH = 64;

/** Number of characters to insert, delete or replace (Levenshtein). */
const edits = (left: string, right: string): number => {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, replaced));
    }
    row = next;
  }
  return row[right.length] ?? 0;
};

/** The known name that is closest to `given`; undefined when none is close. */
export const nearest = (given: string, known: readonly string[]): string | undefined => {
  const compared = given.slice(0, COMPARED_LENGTH).toLowerCase();
  let best: { readonly name: string; readonly far: number } | undefined;
  for (const name of known) {
    const far = edits(compared, name.slice(0, COMPARED_LENGTH).toLowerCase());
    if (far <= EDITS_MAX && far < name.length && (best === undefined || far < best.far)) best = { name, far };
  }
  return best?.name;
};
