// SPDX-License-Identifier: Apache-2.0
/** When a host counts as alive. Three heartbeats (5 s each) may be lost before anybody worries. */
export const STALE_AFTER_MS = 16_000;

export const hostState = (lastSeen: Date | null, nowMs: number): 'never-seen' | 'alive' | 'stale' => {
  if (lastSeen === null) return 'never-seen';
  return nowMs - lastSeen.getTime() <= STALE_AFTER_MS ? 'alive' : 'stale';
};
