// SPDX-License-Identifier: Apache-2.0
/** Arithmetic on ranges of sequence numbers: what of a batch is new, and up to where a host's flows are settled. */

export interface Range {
  readonly first: number;
  /** One past the last. */
  readonly next: number;
}

export const lengthOf = (ranges: readonly Range[]): number =>
  ranges.reduce((sum, { first, next }) => sum + next - first, 0);

/** Sorted by `first`, overlapping and touching ones joined. */
export const join = (ranges: readonly Range[]): Range[] => {
  const joined: Range[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const last = joined.at(-1);
    if (last === undefined || range.first > last.next) joined.push(range);
    else if (range.next > last.next) joined[joined.length - 1] = { first: last.first, next: range.next };
  }
  return joined;
};

/** What of `wanted` is in none of `held`, in order. */
export const without = (wanted: Range, held: readonly Range[]): Range[] => {
  const rest: Range[] = [];
  let first = wanted.first;
  for (const range of join(held)) {
    if (range.next <= first) continue;
    if (range.first >= wanted.next) break;
    if (range.first > first) rest.push({ first, next: range.first });
    first = range.next;
  }
  if (first < wanted.next) rest.push({ first, next: wanted.next });
  return rest;
};

export const overlaps = (a: Range, b: Range): boolean => a.first < b.next && b.first < a.next;

export interface StoredRange extends Range {
  readonly storedAtMs: number;
}

export interface SettledInput {
  /** Joined and sorted. */
  readonly stored: readonly StoredRange[];
  /** Up to here the agent has let go of its copies: it will never send them again. */
  readonly releasedSeq: number;
  readonly nowMs: number;
}

/** The agent's last repetition comes ten minutes after the bus acknowledged a batch; what did not come then never will. */
export const GAP_MAX_AGE_MS = 15 * 60_000;

/**
 * The last sequence number up to which every flow is stored, or known to be lost: what a watermark says, because the
 * agent frees its spool up to there. What the agent shed is told in its place and leaves no gap; a gap is on its way, and
 * is passed only when the agent has let go of it or when it is too old to be filled. 0: nothing yet. Numbers start at 0
 * or 1.
 */
export const settledUpTo = ({ stored, releasedSeq, nowMs }: SettledInput): number => {
  let next = releasedSeq + 1;
  for (const range of stored) {
    if (range.first > next && nowMs - range.storedAtMs < GAP_MAX_AGE_MS) break;
    next = Math.max(next, range.next);
  }
  return next - 1;
};
