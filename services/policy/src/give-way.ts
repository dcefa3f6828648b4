// SPDX-License-Identifier: Apache-2.0
/** Work on many documents lets others have their turn in between. */
import { setImmediate } from 'node:timers/promises';

const AT_A_TIME_MS = 20;

/** Like `map`, in order, pausing for others every few milliseconds. */
export const mapGivingWay = async <T, R>(items: readonly T[], each: (item: T) => R): Promise<R[]> => {
  const results: R[] = [];
  let since = performance.now();
  for (const item of items) {
    results.push(each(item));
    if (performance.now() - since < AT_A_TIME_MS) continue;
    await setImmediate();
    since = performance.now();
  }
  return results;
};
