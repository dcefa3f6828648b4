// SPDX-License-Identifier: Apache-2.0
/** In which order the documents of a whole configuration are taken: identities first and last, so that no address is ever without its labels. */
import type { ConfigEntry } from '@weir/bus';

const rankOf = ({ kind }: ConfigEntry): number => (kind === 'identity' ? 0 : kind === 'policy' ? 1 : 2);

export const inOrder = (entries: readonly ConfigEntry[]): ConfigEntry[] =>
  [...entries].sort((a, b) => rankOf(a) - rankOf(b));

/** Those held that are not there any more. */
export const goneOf = (
  held: ReadonlyMap<string, ConfigEntry>,
  entries: readonly ConfigEntry[],
): readonly ConfigEntry[] => {
  const present = new Set(entries.map(({ subject }) => subject));
  return inOrder([...held.values()].filter(({ subject }) => !present.has(subject))).reverse();
};
