// SPDX-License-Identifier: Apache-2.0
/** Long loops let others run in between: a fleet's addresses are hundreds of thousands. */
import { setImmediate } from 'node:timers/promises';

const STEPS = 4096;

/** Call it at each step and await what it returns, if anything: every `every` steps, a few thousand, it gives way. */
export const breathing = (every = STEPS): (() => Promise<void> | undefined) => {
  let steps = 0;
  return () => {
    if (++steps % every !== 0) return undefined;
    return setImmediate();
  };
};
