// SPDX-License-Identifier: Apache-2.0
/** Workloads that could not be connected yet: why, and when it is tried again. */

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 10_000;

interface Failure {
  readonly message: string;
  readonly waitMs: number;
  readonly retryAtMs: number;
}

export class Failures {
  readonly #failures = new Map<string, Failure>();

  /** Why a workload is not connected; undefined when nothing is known to be wrong. */
  message(id: string): string | undefined {
    return this.#failures.get(id)?.message;
  }

  isDue(id: string, nowMs: number): boolean {
    return (this.#failures.get(id)?.retryAtMs ?? 0) <= nowMs;
  }

  /** For something that may be there any moment: it is looked for as often as can be. */
  waits(id: string, message: string, nowMs: number): void {
    this.#failures.set(id, { message, waitMs: RETRY_MIN_MS, retryAtMs: nowMs + RETRY_MIN_MS });
  }

  failed(id: string, { message }: Error, nowMs: number): void {
    const waitMs = Math.min((this.#failures.get(id)?.waitMs ?? RETRY_MIN_MS / 2) * 2, RETRY_MAX_MS);
    this.#failures.set(id, { message, waitMs, retryAtMs: nowMs + waitMs });
  }

  delete(id: string): void {
    this.#failures.delete(id);
  }

  /** Of others nothing is known any more. */
  keep(wanted: ReadonlyMap<string, unknown>): void {
    for (const id of this.#failures.keys()) if (!wanted.has(id)) this.#failures.delete(id);
  }

  /** When the next one is due again, ms from `nowMs`; undefined: none. */
  retryInMs(nowMs: number): number | undefined {
    let soonest: number | undefined;
    for (const { retryAtMs } of this.#failures.values()) {
      const wait = Math.max(0, retryAtMs - nowMs);
      soonest = soonest === undefined ? wait : Math.min(soonest, wait);
    }
    return soonest;
  }
}
