// SPDX-License-Identifier: Apache-2.0
/** Runs something again and again, never twice at once; a failure is told and does not end it. */
import { setTimeout as sleep } from 'node:timers/promises';

export const every = (
  intervalMs: number,
  work: () => Promise<unknown>,
  onFailure: (error: unknown) => void,
): { stop(): Promise<void> } => {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    while (!signal.aborted) {
      await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => {});
      if (!signal.aborted) await work().catch(onFailure);
    }
  })();
  return {
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
};
