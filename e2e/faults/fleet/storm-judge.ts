// SPDX-License-Identifier: Apache-2.0
/**
 * Which of many policies may have been in force while a probe was under way, and whether its outcome is that of one of them. A change is in
 * force somewhere between its call and the moment at which every host is known to have realised it or a later one; so a probe that
 * was sent at `from` and ended at `to` was judged by one of those between the newest known to be in force at `from` and the newest
 * asked for at `to`. When all of these allow it (their intersection does), it must pass; when none does, it must not.
 */

export interface Window {
  readonly first: number;
  readonly last: number;
}

export class Changes {
  /** When change i was asked for, and when all up to i were in force; on one clock, in order. */
  readonly #asked: number[] = [];
  readonly #enforced: { readonly atMs: number; readonly change: number }[] = [];

  /** Returns its number, from 0. */
  ask(atMs: number): number {
    return this.#asked.push(atMs) - 1;
  }

  enforced(change: number, atMs: number): void {
    this.#enforced.push({ atMs, change });
  }

  get count(): number {
    return this.#asked.length;
  }

  window(fromMs: number, toMs: number): Window {
    const known = this.#enforced.findLast(({ atMs }) => atMs <= fromMs);
    const last = this.#asked.findLastIndex((atMs) => atMs <= toMs);
    return { first: known?.change ?? 0, last: Math.max(last, known?.change ?? 0) };
  }
}

/** What must come out of a probe in that window; undefined: both may. `allows`: does the policy of a change allow it? */
export const wanted = ({ first, last }: Window, allows: (change: number) => boolean): boolean | undefined => {
  const verdicts = new Set(Array.from({ length: last - first + 1 }, (_, i) => allows(first + i)));
  return verdicts.size === 1 ? verdicts.has(true) : undefined;
};
