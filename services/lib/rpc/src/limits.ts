// SPDX-License-Identifier: Apache-2.0
/** Bounds of what callers may ask of a server: calls per address, and a time for those that set none themselves. */
import { type WeirError, weirError } from '@weir/errors';

/** As many as REST allows. */
const CALLS = 10_000;
const WINDOW_MS = 10_000;

/** Counts calls per address and window. `check` throws RATE_LIMITED. */
export const createRateLimit = (calls = CALLS, windowMs = WINDOW_MS): { check(peer: string): void } => {
  let counts = new Map<string, number>();
  let endsAt = 0;
  return {
    check: (peer) => {
      const now = performance.now();
      if (now >= endsAt) {
        counts = new Map();
        endsAt = now + windowMs;
      }
      // Without the port: each connection has another one.
      const address = peer.replace(/:\d+$/, '');
      const count = (counts.get(address) ?? 0) + 1;
      counts.set(address, count);
      if (count <= calls) return;
      throw weirError('RATE_LIMITED', `more than ${calls} calls in ${windowMs / 1_000} seconds`, {
        fix: 'wait for the time in retry-after, then send fewer',
        retryAfterS: Math.max(1, Math.ceil((endsAt - now) / 1_000)),
      });
    },
  };
};

/** Longer than any answer waits that a caller may ask to wait (60 s). */
const DEADLINE_MS = 70_000;

const tooLate = (deadlineMs: number): WeirError =>
  weirError('DEADLINE_EXCEEDED', `there was no answer in ${deadlineMs / 1_000} seconds`, {
    fix: 'ask for less, or set a longer deadline',
    retryAfterS: 1,
  });

/** Rejects after `deadlineMs`, and says `late` so that the work can stop. */
export const withinDeadline = async <T>(
  work: Promise<T>,
  late: () => void,
  deadlineMs: number = DEADLINE_MS,
): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_done, failed) => {
    timer = setTimeout(() => {
      failed(tooLate(deadlineMs));
      late();
    }, deadlineMs);
  });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
  }
};
