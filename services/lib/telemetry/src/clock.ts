// SPDX-License-Identifier: Apache-2.0
/** The wall clock in microseconds. Date.now() has none; the monotonic clock has, and is set right when the wall clock is. */

/** The two differ by rounding only, unless the wall clock was set. */
const SET_MS = 2;
let offsetMs = performance.timeOrigin;

/** Microseconds since 1970 by this host's clock. */
export const nowUs = (): number => {
  const nowMs = offsetMs + performance.now();
  const wallMs = Date.now();
  if (Math.abs(nowMs - wallMs) <= SET_MS) return Math.round(nowMs * 1_000);
  offsetMs = wallMs - performance.now();
  return wallMs * 1_000;
};
