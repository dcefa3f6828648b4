// SPDX-License-Identifier: Apache-2.0
/** Work of which only so much goes on at once, and conditions that come about in their own time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { weirError } from '@weir/errors';

/** Runs `work` for each, at most `atOnce` at a time; results in the order of `items`. */
export const inParallel = async <T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> => {
  const results = new Array<R>(items.length);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T, i);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  return results;
};

export const until = async (
  what: string,
  timeoutMs: number,
  condition: () => Promise<boolean>,
  detail: () => string = () => '',
): Promise<void> => {
  const end = Date.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      if (await condition()) return;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > end) {
      throw weirError('UNAVAILABLE', `waited ${timeoutMs} ms for ${what}: ${detail()} ${cause ? String(cause) : ''}`);
    }
    await sleep(50);
  }
};
