// SPDX-License-Identifier: Apache-2.0
/** SIGINT and SIGTERM as something that a guest, its control plane and their folders can be ended by. */

/** A terminal, npm and a test runner each pass the same signal on: so soon, it is no second wish. */
const SAME_WISH_MS = 2_000;

/** Aborted by the first of the two signals; a later one ends the process as if nobody listened. `close` stops listening. */
export const stopSignal = (): { readonly signal: AbortSignal; close(): void } => {
  const controller = new AbortController();
  let abortedAt = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      abortedAt = performance.now();
      controller.abort(new Error(`stopped by ${name}`));
    } else if (performance.now() - abortedAt > SAME_WISH_MS) {
      close();
      process.kill(process.pid, name);
    }
  };
  const close = (): void => {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return { signal: controller.signal, close };
};
