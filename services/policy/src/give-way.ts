// SPDX-License-Identifier: Apache-2.0
/** Work on many documents lets others have their turn in between. */
import { setImmediate } from 'node:timers/promises';

const AT_A_TIME_MS = 10;

/** To be awaited after each piece of work: pauses for others every few milliseconds. */
export const givingWay = (): (() => Promise<void>) => {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < AT_A_TIME_MS) return;
    await setImmediate();
    since = performance.now();
  };
};

/** Like `map`, in order, giving way. */
export const mapGivingWay = async <T, R>(items: readonly T[], each: (item: T) => R): Promise<R[]> => {
  const results: R[] = [];
  const turn = givingWay();
  for (const item of items) {
    results.push(each(item));
    await turn();
  }
  return results;
};
